"""Our platform under measurement: a fresh data folder, the benchmark module, its flows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks import documents

HERE = Path(__file__).parent
PORT = 7839
PATIENCE_SECONDS = 60.0


class Platform:
    """`with Platform() as platform:` starts it and, at the end, stops it and removes its data."""

    def __init__(self, port: int = PORT, *, start: bool = True, settings: dict[str, str] | None = None) -> None:
        """`settings`: environment variables besides the usual ones."""
        self.port = port
        self._start = start
        self._settings = settings or {}
        self._folder = tempfile.TemporaryDirectory(prefix="monjolo-bench-")
        self.data = Path(self._folder.name) / "data"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Platform:
        modules = self.data / "modules"
        modules.mkdir(parents=True)
        (modules / "bench.py").write_text((HERE / "module.py").read_text())
        if self._start:
            self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def token(self) -> str:
        return (self.data / "cli-token").read_text().strip()

    def start(self) -> float:
        """Seconds until it is ready."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MONJOLO_")}
        settings = {"MONJOLO_LOG_LEVEL": "warning", "MONJOLO_RETENTION_RUNS": "10000000"}
        command = [str(Path(sys.executable).with_name("monjolo")), "up", "--data", str(self.data)]
        began = time.perf_counter()
        with (Path(self._folder.name) / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port)], env=inherited | settings | self._settings, stdout=log, stderr=log
            )
        while time.perf_counter() - began < PATIENCE_SECONDS:
            if self._process.poll() is not None:
                raise RuntimeError((Path(self._folder.name) / "log").read_text()[-4000:])
            if self._answers():
                return time.perf_counter() - began
            time.sleep(0.01)
        raise RuntimeError("the platform did not become ready")

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=5):
                return True
        except (OSError, urllib.error.URLError):
            return False

    def call(self, method: str, path: str, body: Any = None) -> Any:
        text = self.text(path, method, body)
        return json.loads(text) if text else None

    def text(self, path: str, method: str = "GET", body: Any = None) -> str:
        content = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=400) as answer:
                return str(answer.read(), "utf-8")
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error

    def publish(self, document: documents.Document) -> None:
        """The module may need a moment to be live."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.call("PUT", f"/api/v1/flows/{document['id']}", {"document": document})
                return
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def run(self, flow: str, inputs: dict[str, Any] | None = None) -> dict[str, Any]:
        """Starts a run and waits for its end; it must succeed."""
        run: dict[str, Any] = self.call("POST", f"/api/v1/flows/{flow}/runs?wait=300s", {"inputs": inputs or {}})
        if run["status"] != "succeeded":
            raise RuntimeError(f"{flow}: {run['status']} {run.get('error')}")
        return run

    def succeeded(self, flow: str) -> int:
        """How many runs of the flow did (ten thousand is the most that is counted)."""
        page = self.call("GET", f"/api/v1/runs?flow={flow}&status=succeeded&count=true&limit=1")
        return int(page.get("total", page.get("total_at_least", 0)))

    def load(self, **order: Any) -> dict[str, Any]:
        """One order to the load generator (http_load.py), in its own process."""
        process = self.begin_load(**order)
        return finish_load(process)

    def begin_load(self, **order: Any) -> subprocess.Popen[str]:
        return begin_load(port=self.port, token=self.token, **order)


def begin_load(**order: Any) -> subprocess.Popen[str]:
    """The load generator at work; `finish_load` has its result."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "http_load.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(order))
    process.stdin.close()
    return process


def finish_load(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    text = process.stdout.read()
    if process.wait() != 0:
        raise RuntimeError("the load generator failed")
    result: dict[str, Any] = json.loads(text)
    return result
