"""The peers, each in an environment of its own under benchmarks/.peers, installed when first needed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from benchmarks.harness import say

HERE = Path(__file__).parent
PEERS = HERE / ".peers"
PROGRAMS = HERE / "programs"
CELERY, DBOS = "celery==5.7.*", "dbos==3.4.*"
RABBITMQ = ("127.0.0.1", 5672)


class PeerMissing(Exception):
    """What the peer needs on this machine is not there; says what."""


ABSENT: dict[str, str] = {}  # peers that could not be had here, and why


class Peer(Protocol):
    """What every peer is; what it can do besides, its class says."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


P = TypeVar("P", bound=Peer)


@contextmanager
def absent(name: str, make: Callable[[], P]) -> Iterator[P | None]:
    """The peer at work, or None when this machine cannot have it: then the result says why."""
    with ExitStack() as stack:
        peer: P | None = None
        try:
            made = make()
            stack.enter_context(made)
            peer = made
        except (PeerMissing, OSError, RuntimeError, subprocess.SubprocessError) as error:
            ABSENT[name] = str(error)
            say(f"  {name} is not here: {error}")
        yield peer


def need_rabbitmq(name: str) -> None:
    try:
        socket.create_connection(RABBITMQ, timeout=2).close()
    except OSError as error:
        raise PeerMissing(f"{name} needs RabbitMQ on 127.0.0.1:5672 (apt-get install rabbitmq-server)") from error


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def environment_of(name: str, *requirements: str) -> Path:
    """The peer's Python. Installed with uv when it is not there."""
    python = PEERS / name / "bin" / "python"
    mark = PEERS / name / ".installed"
    requirement = " ".join(requirements)
    if not mark.exists() or mark.read_text() != requirement:
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{HERE.parent / '.tools/bin'}:{os.environ['PATH']}")
        if uv is None:
            raise PeerMissing("uv is needed to install the peers; `make setup` brings it")
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(PEERS / name)], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *requirements], check=True)
        mark.write_text(requirement)
    return python


class Installed:
    """A Python peer with its environment, a folder, and programs that drive it."""

    def __init__(self, name: str, *requirements: str) -> None:
        self._python = environment_of(name, *requirements)
        self._folder = tempfile.TemporaryDirectory(prefix=f"monjolo-bench-{name}-")
        self.folder = Path(self._folder.name)
        self.environment = {**os.environ, "BENCH_FOLDER": str(self.folder), "BENCH_QUEUE": f"bench-{os.getpid()}"}

    def _drive(self, program: str, order: dict[str, Any]) -> dict[str, Any]:
        done = subprocess.run(
            [str(self._python), str(PROGRAMS / program)],
            input=json.dumps(order), env=self.environment, cwd=self.folder, text=True, capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{program} {order}: {done.stderr[-2000:]}")
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


class Celery(Installed):
    """A worker of two processes with Celery's defaults, on RabbitMQ. `with Celery() as celery:` runs it."""

    name = "celery"

    def __init__(self) -> None:
        need_rabbitmq("celery")
        super().__init__("celery", CELERY)
        self._worker: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Celery:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self._drive("celery_drive.py", {"kind": "forget"})
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        assert self._worker is not None
        return self._worker.pid

    def start(self) -> float:
        """Seconds until the worker says that it is ready."""
        said = self.folder / "worker.log"
        said.unlink(missing_ok=True)
        command = [str(self._python), "-m", "celery", "-A", "celery_tasks", "--workdir", str(PROGRAMS), "worker"]
        began = time.perf_counter()
        with said.open("wb") as log:
            self._worker = subprocess.Popen(
                [*command, "--pool", "prefork", "-c", "2", "-f", str(said)],
                env=self.environment, cwd=self.folder, stdout=log, stderr=log,
            )  # fmt: skip
        counts = self.folder / "counts"
        self._until_it_works(counts)
        return time.perf_counter() - began

    def _until_it_works(self, counts: Path) -> None:
        """The default log level says nothing of being ready, so one task is the sign."""
        self._drive("celery_drive.py", {"kind": "throughput", "count": 1})

    def stop(self) -> None:
        if self._worker is not None:
            self._worker.terminate()
            self._worker.wait(30)

    def begin_beat(self, schedules: int, minutes: str) -> subprocess.Popen[bytes]:
        """The peer's clock, with that many schedules due in the same minutes; its tasks go to the worker."""
        told = {"BENCH_SCHEDULES": str(schedules), "BENCH_MINUTES": minutes}
        command = [str(self._python), "-m", "celery", "-A", "celery_tasks", "--workdir", str(PROGRAMS), "beat"]
        return subprocess.Popen(
            [*command, "-s", str(self.folder / "beat")], env=self.environment | told, cwd=self.folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ticks(self) -> list[float]:
        """Of each task the clock began since the last call: how long after the full minute, in order."""
        stamps = self.folder / "stamps"
        found = sorted(float(line) for line in stamps.read_text().splitlines()) if stamps.exists() else []
        stamps.unlink(missing_ok=True)
        return found

    def throughput(self, count: int) -> float:
        """Tasks a second, produced and consumed at once."""
        return count / float(self._drive("celery_drive.py", {"kind": "throughput", "count": count})["seconds"])

    def latency(self, count: int, pause: float) -> dict[str, Any]:
        return self._drive("celery_drive.py", {"kind": "latency", "count": count, "pause": pause})

    def sequence(self, steps: int, n: int) -> float:
        """Seconds of a chain."""
        return float(self._drive("celery_drive.py", {"kind": "sequence", "steps": steps, "n": n})["seconds"])


class Dbos(Installed):
    """Workflows in one process on SQLite."""

    name = "dbos"

    def __init__(self) -> None:
        super().__init__("dbos", DBOS)

    def __enter__(self) -> Dbos:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._folder.cleanup()

    def throughput(self, count: int) -> float:
        """Workflows of one step a second."""
        return count / float(self._drive("dbos_drive.py", {"kind": "throughput", "count": count})["seconds"])

    def latency(self, count: int, pause: float) -> dict[str, Any]:
        return self._drive("dbos_drive.py", {"kind": "latency", "count": count, "pause": pause})

    def sequence(self, steps: int, n: int) -> float:
        return float(self._drive("dbos_drive.py", {"kind": "sequence", "steps": steps, "n": n})["seconds"])

    def fan_out(self, count: int) -> float:
        return float(self._drive("dbos_drive.py", {"kind": "fan_out", "count": count})["seconds"])

    def begin_idle(self) -> tuple[subprocess.Popen[str], float]:
        """A process with DBOS launched and nothing to do, and the seconds that took; ends when told on `stop`."""
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(self._python), str(PROGRAMS / "dbos_drive.py")], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            env=self.environment, cwd=self.folder, text=True,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps({"kind": "idle", "ready": str(ready), "stop": str(self.folder / "stop")}))
        process.stdin.close()
        while not ready.exists():
            if process.poll() is not None:
                raise RuntimeError("DBOS did not start")
            time.sleep(0.01)
        return process, time.perf_counter() - began

    def end_idle(self, process: subprocess.Popen[str]) -> None:
        (self.folder / "stop").touch()
        process.wait(30)
