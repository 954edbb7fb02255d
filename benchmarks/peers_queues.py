"""The peers that are queues of tasks: Dramatiq and Taskiq on RabbitMQ, Procrastinate on PostgreSQL.

Each has a worker with the defaults of its command line for two processes, and a program that sends.
"""

from __future__ import annotations

import os
import subprocess
import time
from types import TracebackType
from typing import Any, ClassVar, Self

from benchmarks.peers import PROGRAMS, Installed, PeerMissing, need_rabbitmq


class TaskQueue(Installed):
    """`with Dramatiq() as dramatiq:` runs its worker; at the end it is stopped and its queue removed."""

    name: ClassVar[str]
    requirements: ClassVar[tuple[str, ...]]
    worker: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        super().__init__(self.name, *self.requirements)
        self.environment |= {"PYTHONPATH": str(PROGRAMS), "BENCH_QUEUE": f"bench-{self.name}-{os.getpid()}"}
        self._worker: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self.forget()
        self._folder.cleanup()

    def prepare(self) -> None:
        need_rabbitmq(self.name)

    def forget(self) -> None:
        """Removes the queues."""
        self._order({"kind": "forget"})

    @property
    def pid(self) -> int:
        assert self._worker is not None
        return self._worker.pid

    def start(self) -> float:
        """Seconds until the worker has done a task."""
        began = time.perf_counter()
        with (self.folder / "worker.log").open("ab") as log:
            self._worker = subprocess.Popen(
                [str(self._python), "-m", *self.worker], env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )
        self.throughput(1)
        return time.perf_counter() - began

    def stop(self) -> None:
        if self._worker is not None and self._worker.poll() is None:
            self._worker.terminate()
            try:
                self._worker.wait(30)
            except subprocess.TimeoutExpired:
                self._worker.kill()
                self._worker.wait()

    def throughput(self, count: int) -> float:
        """Tasks a second, produced and consumed at once."""
        return count / float(self._order({"kind": "throughput", "count": count})["seconds"])

    def latency(self, count: int, pause: float) -> dict[str, Any]:
        return self._order({"kind": "latency", "count": count, "pause": pause})

    def sequence(self, steps: int, n: int) -> float:
        """Seconds of a chain."""
        return float(self._order({"kind": "sequence", "steps": steps, "n": n})["seconds"])

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        return self._drive(f"{self.name}_tasks.py", order)


class Dramatiq(TaskQueue):
    name = "dramatiq"
    requirements = ("dramatiq[rabbitmq]==2.2.*",)
    worker = ("dramatiq", "dramatiq_tasks", "--processes", "2")


class Taskiq(TaskQueue):
    name = "taskiq"
    requirements = ("taskiq==0.13.*", "taskiq-aio-pika==0.6.*")
    worker = ("taskiq", "worker", "taskiq_tasks:broker", "--workers", "2")


class Procrastinate(TaskQueue):
    """Its database is made for it on the server at BENCH_POSTGRES."""

    name = "procrastinate"
    requirements = ("procrastinate==3.10.*", "psycopg[binary]==3.3.*")
    worker = ("procrastinate", "--app", "procrastinate_tasks.app", "worker", "--concurrency", "10")

    def __init__(self) -> None:
        super().__init__()
        server = os.environ.get("BENCH_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
        database = f"{server.rpartition('/')[0]}/{self.environment['BENCH_QUEUE']}"
        self.environment |= {"BENCH_POSTGRES": server, "BENCH_DATABASE": database}

    def prepare(self) -> None:
        try:
            self._drive("procrastinate_database.py", {"kind": "create"})
        except RuntimeError as error:
            raise PeerMissing(f"Procrastinate needs PostgreSQL at BENCH_POSTGRES: {str(error)[-300:]}") from error

    def forget(self) -> None:
        self._drive("procrastinate_database.py", {"kind": "drop"})
