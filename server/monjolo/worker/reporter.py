"""Tells the orchestrator what happened: whatever is there in one call, in order, until it is durable."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Protocol

import structlog

from monjolo.broker.port import Delivery, WorkerBroker
from monjolo_sdk.wire import Progress, Report

logger = structlog.get_logger(__name__)

PROGRESS_SECONDS = 0.25
RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)


class Receipt:
    """A message in hand. It is acknowledged when each of its tasks is durably finished, started or released."""

    __slots__ = ("delivery", "open")

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.open = len(delivery.message.tasks)


class Reported(Protocol):
    """Who waits for a report to be durable."""

    def durable(self, report: Report) -> Receipt | None:
        """Called once it is; returns the receipt that this settles one task of, if it does."""


class Returned:
    """A task that was only looked at: its message came a second time."""

    __slots__ = ("receipt",)

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt

    def durable(self, report: Report) -> Receipt | None:
        return self.receipt


class Reporter:
    def __init__(self, broker: WorkerBroker, after: Callable[[], None]) -> None:
        """`after` is called whenever reports have become durable."""
        self._broker, self._after = broker, after
        self._pending: list[tuple[Report, Reported | None]] = []
        self._progress: dict[tuple[str, str, int], Progress] = {}
        self._sender: asyncio.Task[None] | None = None

    def submit(self, report: Report, reported: Reported | None = None) -> None:
        self._pending.append((report, reported))
        self._wake()

    def progress(self, report: Progress) -> None:
        """Only the newest of each attempt is worth sending, and not more than a few in a second."""
        if not self._progress:
            asyncio.get_running_loop().call_later(PROGRESS_SECONDS, self._wake)
        self._progress[(report.run_id, report.key, report.token)] = report

    async def settle(self, receipt: Receipt) -> None:
        """One more task of the message is settled."""
        receipt.open -= 1
        if receipt.open == 0:
            try:
                await receipt.delivery.ack()
            except Exception as error:  # the broker delivers it again, and its tasks are then known to be done
                logger.warning("not_acknowledged", message=receipt.delivery.message.id, error=repr(error))

    async def close(self) -> None:
        while self._sender is not None:
            sender = self._sender
            try:
                await asyncio.wait((sender,))
            except asyncio.CancelledError:  # the caller's patience is over
                sender.cancel()
                raise

    def _wake(self) -> None:
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while self._pending or self._progress:
            taken, self._pending = self._pending, []
            progress, self._progress = self._progress, {}
            await self._deliver([*progress.values(), *(report for report, _ in taken)])
            for report, reported in taken:
                receipt = reported.durable(report) if reported is not None else None
                if receipt is not None:
                    await self.settle(receipt)
            self._after()
        self._sender = None

    async def _deliver(self, reports: list[Report]) -> None:
        for tries in itertools.count():
            try:
                await self._broker.report(reports)
                return
            except Exception as error:
                logger.warning("reports_not_taken", reports=len(reports), tries=tries, error=repr(error))
            await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
