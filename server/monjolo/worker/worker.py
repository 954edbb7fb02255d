"""The worker: takes messages while there is room. What becomes of their tasks is in `attempts`."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

import monjolo_sdk
from monjolo.broker.port import WorkerBroker
from monjolo.kit.ids import new_id
from monjolo.kit.time import Clock, SystemClock
from monjolo.worker.attempts import Attempts
from monjolo.worker.heartbeats import Heartbeats
from monjolo.worker.pool import PoolSettings
from monjolo.worker.port import WorkerDoor
from monjolo.worker.runner import RunnerPlace
from monjolo_sdk.wire import Cancel, Drain, Limits, Permit

logger = structlog.get_logger(__name__)

RUNNER_MAIN = Path(monjolo_sdk.__file__).parent / "runner" / "main.py"
RETRY_SECONDS = 1.0
USUAL_LIMITS = Limits(open_files=4096)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """All that can be set about a worker; the platform's settings are turned into this by whoever wires it."""

    group: str = "default"
    slots: int = os.cpu_count() or 1  # sync actions at once
    prefetch: int = 0  # tasks in hand at most, begun or not; 0: 128 a slot
    heartbeat_seconds: float = 5.0
    heartbeat_when_idle: bool = True  # False: no timer while nothing is in hand (embedded)
    idle_seconds: float = 600.0  # how long a warm runner may be idle
    memory_bytes: int = 1024 * 1024 * 1024  # of warm runners together
    limits: Limits = USUAL_LIMITS
    egress_allow: tuple[str, ...] = ()
    folder: Path | None = None  # for the runners' temporary folders; None: the system's
    runner_main: Path = RUNNER_MAIN
    version: str = ""

    @property
    def capacity(self) -> int:
        return self.prefetch or 128 * self.slots


@dataclass(frozen=True, slots=True)
class WorkerStats:
    running: int
    held: int
    capacity: int
    warm_runners: int


class Worker:
    """`start`, then `drain` and `close`. One session: its name is new with every start of the process."""

    def __init__(
        self,
        broker: WorkerBroker,
        door: WorkerDoor,
        settings: WorkerSettings | None = None,
        clock: Clock | None = None,
        name: str | None = None,
    ) -> None:
        self.settings = settings or WorkerSettings()
        self.name = name or f"worker-{new_id()}"
        self._broker, self._door, self._clock = broker, door, clock or SystemClock()
        self._changed = asyncio.Event()
        self._draining = False
        self._tasks: list[asyncio.Task[None]] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._attempts: Attempts | None = None

    @property
    def attempts(self) -> Attempts:
        if self._attempts is None:
            raise RuntimeError("the worker is not started")
        return self._attempts

    async def start(self) -> None:
        settings = self.settings
        self._folder = await asyncio.to_thread(
            tempfile.TemporaryDirectory, prefix="monjolo-", dir=settings.folder, ignore_cleanup_errors=True
        )
        place = RunnerPlace(settings.runner_main, Path(self._folder.name), settings.egress_allow)
        pool = PoolSettings(
            slots=settings.slots,
            memory_bytes=settings.memory_bytes,
            idle_seconds=settings.idle_seconds,
            limits=settings.limits,
        )
        self._attempts = Attempts(self.name, self._broker, self._door, self._clock, pool, place, self._changed.set)
        beats = Heartbeats(self.name, self._broker, self._clock, self.settings, self._attempts)
        create = asyncio.get_running_loop().create_task
        self._tasks = [create(self._consume()), create(self._obey()), create(beats.run())]

    async def warm(self, digest: str) -> None:
        """Has a runner of the bundle ready before its first task comes."""
        await self.attempts.pool.warm(digest)

    def stats(self) -> WorkerStats:
        attempts = self.attempts
        runners = attempts.pool.runners()
        running = sum(len(runner.side) + bool(runner.queue) for runner in runners)
        return WorkerStats(running, len(attempts.held), self.settings.capacity, len(runners))

    async def drain(self, grace_seconds: float) -> bool:
        """Takes nothing more and waits; after the grace, releases what has not begun. True when all is told."""
        self._draining = True
        self._changed.set()
        if not await self._wait_empty(grace_seconds):
            self.attempts.give_back()
            await self._wait_empty(1.0)
        return not self.attempts.held

    async def close(self) -> None:
        """Ends everything now. What has begun is reported as crashed, with its processes gone."""
        self._draining = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._attempts is not None:
            self._attempts.give_back()
            await self._attempts.close()
        if self._folder is not None:
            await asyncio.to_thread(self._folder.cleanup)

    async def _consume(self) -> None:
        while True:
            await self._until(self._may_take)
            try:
                delivery = await self._broker.next_message(self.settings.group)
            except Exception as error:
                logger.warning("broker_unavailable", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.attempts.accept(delivery)
            self._changed.set()

    def _may_take(self) -> bool:
        """Room in hand, a slot that will soon be free, and nobody waiting for a free one already."""
        attempts = self.attempts
        if self._draining or len(attempts.held) >= self.settings.capacity or attempts.pool.all_long():
            return False
        return attempts.pool.alone_waiting() < self.settings.slots

    async def _obey(self) -> None:
        while True:
            try:
                async for order in self._broker.controls(self.name):
                    if isinstance(order, Cancel):
                        self.attempts.cancel(order)
                    elif isinstance(order, Permit):
                        await self.attempts.permit(order)
                    elif isinstance(order, Drain) and order.worker in (None, self.name):
                        self._draining = True
            except Exception as error:
                logger.warning("broker_unavailable", error=repr(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _wait_empty(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._until(lambda: not self.attempts.held)
        except TimeoutError:
            return False
        return True

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()
