"""Says that the worker lives, and which attempts it has in hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from monjolo.broker.port import WorkerBroker
from monjolo.kit.time import Clock
from monjolo.worker.attempts import Attempts
from monjolo_sdk.wire import Heartbeat

if TYPE_CHECKING:
    from monjolo.worker.worker import WorkerSettings

logger = structlog.get_logger(__name__)


class Heartbeats:
    def __init__(
        self, worker: str, broker: WorkerBroker, clock: Clock, settings: WorkerSettings, attempts: Attempts
    ) -> None:
        self._worker, self._broker, self._clock, self._settings = worker, broker, clock, settings
        self._attempts = attempts
        self._started_at = clock.now()

    async def run(self) -> None:
        """One at the start, then one per interval: always, or while something is in hand and once after it."""
        while True:
            beat = self._beat()
            try:
                await self._broker.heartbeat(beat)
            except Exception as error:
                logger.warning("heartbeat_not_taken", error=repr(error))
            await asyncio.sleep(self._settings.heartbeat_seconds)
            if not self._settings.heartbeat_when_idle and not beat.held:
                await self._attempts.busy.wait()

    def _beat(self) -> Heartbeat:
        attempts = self._attempts
        return Heartbeat(
            worker=self._worker,
            group=self._settings.group,
            at=self._clock.now(),
            capacity=self._settings.capacity,
            held=tuple(attempts.held),
            started_at=self._started_at,
            version=self._settings.version,
            bundles=tuple(sorted({runner.bundle.digest for runner in attempts.pool.runners()})),
        )
