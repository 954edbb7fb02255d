"""Broker within one process: queues in memory, nothing kept. What is lost with it, the database repairs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Generic, TypeVar

from monjolo_sdk.wire import Cancel, Control, Heartbeat, LogBatch, Report, TaskMessage

T = TypeVar("T")


class MemoryDelivery:
    redelivered = False

    def __init__(self, message: TaskMessage) -> None:
        self.message = message

    async def ack(self) -> None:
        """Nothing to settle: a message lives only as long as the process that would redeliver it."""


class Receipt:
    """Settles a handful of reports (or log batches) whose senders wait for them to be durable."""

    def __init__(self, waiting: list[asyncio.Future[None]]) -> None:
        self._waiting = waiting

    def done(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def failed(self, error: BaseException) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)


class Intake(Generic[T]):
    """What senders hand over and one reader takes, all that is there at once."""

    def __init__(self) -> None:
        self._items: list[T] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._arrived = asyncio.Event()

    async def put(self, items: Sequence[T]) -> None:
        future = asyncio.get_running_loop().create_future()
        self._items.extend(items)
        self._waiting.append(future)
        self._arrived.set()
        await future

    async def take(self) -> tuple[list[T], Receipt]:
        await self._arrived.wait()
        self._arrived.clear()
        items, self._items = self._items, []
        waiting, self._waiting = self._waiting, []
        return items, Receipt(waiting)


class MemoryBroker:
    """A task that is cancelled while it waits here is not handed out any more."""

    def __init__(self) -> None:
        self._waiting: set[tuple[str, str, int]] = set()
        self._queues: dict[str, asyncio.Queue[TaskMessage]] = {}
        self._controls: dict[str, asyncio.Queue[Control]] = {}
        self._reports: Intake[Report] = Intake()
        self._logs: Intake[LogBatch] = Intake()
        self._beats: deque[Heartbeat] = deque()
        self._beat_arrived = asyncio.Event()

    def _queue(self, group: str) -> asyncio.Queue[TaskMessage]:
        queue = self._queues.get(group)
        if queue is None:
            queue = self._queues[group] = asyncio.Queue()
        return queue

    async def publish(self, messages: Sequence[TaskMessage]) -> None:
        for message in messages:
            self._waiting.update((task.run_id, task.key, task.token) for task in message.tasks)
            self._queue(message.group).put_nowait(message)

    async def control(self, orders: Sequence[Control]) -> None:
        for order in orders:
            if isinstance(order, Cancel):
                self._waiting.discard((order.run_id, order.key, order.token))
        for queue in self._controls.values():
            for order in orders:
                queue.put_nowait(order)

    async def next_message(self, group: str) -> MemoryDelivery:
        queue = self._queue(group)
        while True:
            message = await queue.get()
            tasks = tuple(task for task in message.tasks if (task.run_id, task.key, task.token) in self._waiting)
            self._waiting.difference_update((task.run_id, task.key, task.token) for task in tasks)
            if len(tasks) == len(message.tasks):
                return MemoryDelivery(message)
            if tasks:
                return MemoryDelivery(message._replace(tasks=tasks))

    async def report(self, reports: Sequence[Report]) -> None:
        await self._reports.put(reports)

    async def heartbeat(self, beat: Heartbeat) -> None:
        self._beats.append(beat)
        self._beat_arrived.set()

    async def logs(self, batches: Sequence[LogBatch]) -> None:
        await self._logs.put(batches)

    async def controls(self, worker: str) -> AsyncIterator[Control]:
        queue = self._controls.setdefault(worker, asyncio.Queue())
        while True:
            yield await queue.get()

    async def next_reports(self) -> tuple[list[Report], Receipt]:
        return await self._reports.take()

    async def next_heartbeats(self) -> list[Heartbeat]:
        await self._beat_arrived.wait()
        self._beat_arrived.clear()
        beats = list(self._beats)
        self._beats.clear()
        return beats

    async def next_logs(self) -> tuple[list[LogBatch], Receipt]:
        return await self._logs.take()
