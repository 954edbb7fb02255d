"""The real platform as a process of its own, reached as people and programs reach it: HTTP and command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest

T = TypeVar("T")
MONJOLO = [sys.executable, "-c", "from monjolo.cli.main import main; main()"]
START_SECONDS, PATIENCE_SECONDS = 30.0, 30.0
ENDED = {"succeeded", "failed", "cancelled", "skipped", "timed_out", "crashed"}


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Ours without any setting of whoever runs the tests, and with a data folder of the test's own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MONJOLO_")}
    return clean | {"MONJOLO_DATA": str(folder), "XDG_CONFIG_HOME": str(folder / "no-config")} | more


def until(condition: Callable[[], T | None], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """The first true answer; fails when none has come in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"in {seconds:.0f} s there was no {what}")
        time.sleep(0.05)


@dataclass
class Platform:
    """A running `monjolo up` on a data folder."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    said: str = ""
    client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=60, trust_env=False), repr=False)

    # --- its life -------------------------------------------------------------------------------------------

    def start(self, *arguments: str) -> Platform:
        with (self.folder.parent / f"{self.folder.name}.log").open("a") as log:
            self.process = subprocess.Popen(
                [*MONJOLO, "up", "--port", self.settings.get("port", "0"), *arguments],
                env=environment(self.folder, **{k: v for k, v in self.settings.items() if k.isupper()}),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        assert "Monjolo is up at" in self.said, (self.folder.parent / f"{self.folder.name}.log").read_text()
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code."""
        assert self.process is not None
        assert self.process.stdout is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(START_SECONDS)
        self.process.stdout.close()
        self.client.close()
        self.client = httpx2.Client(timeout=60, trust_env=False)
        return code

    @property
    def log(self) -> str:
        return (self.folder.parent / f"{self.folder.name}.log").read_text()

    @property
    def url(self) -> str:
        return str(json.loads((self.folder / "monjolo.lock").read_bytes())["url"])

    @property
    def token(self) -> str:
        return (self.folder / "cli-token").read_text().strip()

    # --- its doors ------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """A request with the machine's own token; `token=None` for a stranger's."""
        token = request.pop("token", self.token)
        headers = dict(request.pop("headers", {}))
        if token is not None:
            headers.setdefault("authorization", f"Bearer {token}")
        target = path if path.startswith(("/health", "/metrics", "/.well-known", "/docs")) else f"/api/v1{path}"
        return self.client.request(method, f"{self.url}{target}", headers=headers, **request)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.ask("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, status: int = 202, **request: Any) -> Any:
        answer = self.ask("POST", path, json=body, **request)
        assert answer.status_code == status, answer.text
        return answer.json()

    def cli(self, *arguments: str, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MONJOLO, *arguments],
            env=environment(self.folder, **variables),
            input=given,
            capture_output=True,
            text=True,
            timeout=90,
        )

    # --- what most tests do with it -------------------------------------------------------------------------

    def publish(self, source: str) -> str:
        """The flow's id."""
        answer = self.ask("POST", "/flows", params={"replace": "true"}, json={"source": source})
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["slug"])

    def run(self, flow: str, inputs: dict[str, Any] | None = None) -> dict[str, Any]:
        """The run after its end."""
        answer = self.ask("POST", f"/flows/{flow}/runs", params={"wait": "60s"}, json={"inputs": inputs or {}})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def begin(self, flow: str, inputs: dict[str, Any] | None = None) -> str:
        """The id of a run that was accepted."""
        return str(self.post(f"/flows/{flow}/runs", {"inputs": inputs or {}})["id"])

    def ended(self, run: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = self.get(f"/runs/{run}")
            return dict(found) if found["status"] in ENDED else None

        return until(look, f"end of the run {run}")

    def runs_of(self, flow: str) -> list[dict[str, Any]]:
        return list(self.get("/runs", flow=flow)["items"])

    def log_of(self, run: str) -> str:
        return "\n".join(line["text"] for line in self.get(f"/runs/{run}/logs", limit=5000)["items"])


@pytest.fixture(scope="session")
def used_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder on which a platform has been up once; a start on a copy of it is a quick one."""
    platform = Platform(tmp_path_factory.mktemp("used") / "data").start()
    assert platform.stop() == 0
    return platform.folder


@pytest.fixture(scope="session")
def platform(used_folder: Path) -> Iterator[Platform]:
    """The one that most tests share; they name their flows apart."""
    folder = used_folder.parent / "shared"
    shutil.copytree(used_folder, folder)
    running = Platform(folder, {"MONJOLO_LOG_FORMAT": "json"}).start()
    yield running
    running.stop()


@pytest.fixture
def another(tmp_path: Path, used_folder: Path) -> Iterator[Callable[..., Platform]]:
    """Makes a platform of the test's own; it ends with the test."""
    made: list[Platform] = []

    def make(**settings: str) -> Platform:
        made.append(Platform(tmp_path / f"data{len(made)}", settings))
        shutil.copytree(used_folder, made[-1].folder)
        return made[-1]

    yield make
    for one in made:
        if one.process is not None:
            one.stop(signal.SIGKILL)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])
