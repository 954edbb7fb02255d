"""The peer Prefect: its server on SQLite, and flows in a process beside it."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any

from benchmarks.peers import Installed, free_port

# With newer ones of FastAPI its server answers nothing.
REQUIREMENTS = ("prefect==3.8.*", "fastapi==0.150.0")
PATIENCE_SECONDS = 120.0


class Prefect(Installed):
    """`with Prefect() as prefect:` runs the server; at the end it is stopped and its data removed."""

    name = "prefect"

    def __init__(self) -> None:
        super().__init__(self.name, *REQUIREMENTS)
        self._port = free_port()
        self.environment |= {
            "PREFECT_HOME": str(self.folder / "home"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self._port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_CLI_PROMPT": "false",
        }
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Prefect:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    def start(self) -> float:
        """Seconds until it says that it is healthy."""
        command = [str(self._python), "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--no-ui"]
        began = time.perf_counter()
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [*command, "--port", str(self._port)], env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )
        while time.perf_counter() - began < PATIENCE_SECONDS:
            if self._server.poll() is not None:
                raise RuntimeError((self.folder / "server.log").read_text()[-500:])
            try:
                with urllib.request.urlopen(f"{self.environment['PREFECT_API_URL']}/health", timeout=5):
                    return time.perf_counter() - began
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        raise RuntimeError("Prefect's server did not become healthy")

    def stop(self) -> None:
        if self._server is not None and self._server.poll() is None:
            self._server.terminate()
            try:
                self._server.wait(30)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()

    def throughput(self, count: int) -> float:
        """Flow runs of one task a second."""
        return count / float(self._drive("prefect_drive.py", {"kind": "throughput", "count": count})["seconds"])

    def fan_out(self, count: int) -> float:
        """Tasks of one flow a second."""
        return count / float(self._drive("prefect_drive.py", {"kind": "fan_out", "count": count})["seconds"])

    def latency(self, count: int, pause: float) -> dict[str, Any]:
        return self._drive("prefect_drive.py", {"kind": "latency", "count": count, "pause": pause})

    def sequence(self, steps: int, n: int) -> float:
        return float(self._drive("prefect_drive.py", {"kind": "sequence", "steps": steps, "n": n})["seconds"])
