"""A broker and a door in memory, for a worker with real runners."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from monjolo.worker.port import Bundle, EnvironmentSpec
from monjolo_sdk.wire import (
    Control,
    Finished,
    Heartbeat,
    LogBatch,
    Permit,
    Report,
    Task,
    TaskMessage,
)

numbers = itertools.count(1)


class FakeDelivery:
    def __init__(self, message: TaskMessage, redelivered: bool, broker: FakeBroker) -> None:
        self.message, self.redelivered, self._broker = message, redelivered, broker

    async def ack(self) -> None:
        self._broker.acknowledged.append(self.message.id)
        self._broker.changed.set()


class FakeBroker:
    """Keeps everything it is told, in order."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[FakeDelivery] = asyncio.Queue()
        self.orders: asyncio.Queue[Control] = asyncio.Queue()
        self.reports: list[Report] = []
        self.log_batches: list[LogBatch] = []
        self.beats: list[Heartbeat] = []
        self.acknowledged: list[str] = []
        self.events: list[tuple[str, Any]] = []  # reports and log batches as they came
        self.changed = asyncio.Event()
        self.store_open = asyncio.Event()
        self.store_open.set()
        self.reports_open = asyncio.Event()
        self.reports_open.set()
        self.offered: list[Report] = []  # came, and may still wait to be taken
        self.failures = 0  # of the next calls

    async def next_message(self, group: str) -> FakeDelivery:
        return await self.messages.get()

    async def report(self, reports: Sequence[Report]) -> None:
        self.offered.extend(reports)
        self.changed.set()
        await self.reports_open.wait()
        self._fail()
        for report in reports:
            if isinstance(report, Finished) and report.log is not None:
                self.log_batches.append(report.log)
                self.events.append(("logs", report.log))
            self.reports.append(report)
            self.events.append(("report", report))
        self.changed.set()

    async def heartbeat(self, beat: Heartbeat) -> None:
        self.beats.append(beat)
        self.changed.set()

    async def logs(self, batches: Sequence[LogBatch]) -> None:
        await self.store_open.wait()
        self._fail()
        self.log_batches.extend(batches)
        self.events.extend(("logs", batch) for batch in batches)
        self.changed.set()

    async def controls(self, worker: str) -> AsyncIterator[Control]:
        while True:
            yield await self.orders.get()

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the broker is away")

    # --- for tests

    def put(self, *tasks: Task, redelivered: bool = False) -> TaskMessage:
        message = TaskMessage(f"m{next(numbers)}", "default", tasks)
        self.messages.put_nowait(FakeDelivery(message, redelivered, self))
        return message

    async def until(self, condition: Callable[[], Any], seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            self.changed.clear()
            try:
                async with asyncio.timeout(min(0.05, max(0.001, deadline - time.monotonic()))):
                    await self.changed.wait()
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise AssertionError(f"it did not come; reports: {self.reports[-5:]}") from None

    def of(self, task: Task, kind: type[Report] | None = None) -> list[Report]:
        name = (task.run_id, task.key, task.token)
        return [
            report
            for report in self.reports
            if (report.run_id, report.key, report.token) == name and (kind is None or isinstance(report, kind))
        ]

    async def finished(self, task: Task, seconds: float = 15.0) -> Finished:
        await self.until(lambda: self.of(task, Finished), seconds)
        (report,) = self.of(task, Finished)
        assert isinstance(report, Finished)
        return report

    def lines(self, task: Task) -> list[str]:
        return [line.text for batch in self.log_batches if batch.run_id == task.run_id for line in batch.lines]

    def permit(self, task: Task, worker: str, deadline: int) -> None:
        self.orders.put_nowait(Permit(task.run_id, task.key, task.token, worker, deadline))


class FakeDoor:
    """Bundles are files in a folder; the digest is the file's name."""

    def __init__(self, folder: Path, python: Path = Path(sys.executable)) -> None:
        self.folder, self._python = folder, python
        self.state: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []

    async def bundle(self, digest: str) -> Bundle:
        path = self.folder / f"{digest}.py"
        if not path.exists():
            raise LookupError(f"no bundle {digest}")
        return Bundle(digest, "file", path, digest, EnvironmentSpec(self._python))

    async def state_get(self, task: Task, key: str) -> Any:
        return self.state.get(key)

    async def token(self, task: Task) -> dict[str, Any]:
        return {"url": "http://platform", "token": "t"}

    async def put_artifact(self, task: Task, name: str, path: str, content_type: str | None) -> dict[str, Any]:
        content = await asyncio.to_thread(Path(path).read_bytes)
        self.asked.append((name, content))
        return {
            "name": name,
            "size": len(content),
            "sha256": "0" * 64,
            "blob": f"blob-{name}",
            "content_type": content_type,
        }


def task(action: str, inputs: dict[str, Any] | None = None, **details: Any) -> Task:
    number = next(numbers)
    values: dict[str, Any] = {
        "run_id": f"run-{number}",
        "key": "step",
        "token": number,
        "attempt": 1,
        "module": "sample",
        "version": "1.0.0",
        "digest": "sample",
        "action": action,
        "inputs": inputs or {},
        "flow": "flow",
    }
    return Task(**{**values, **details})
