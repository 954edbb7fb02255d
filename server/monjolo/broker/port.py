"""How tasks reach workers and what they say reaches the orchestrator. A hint, never the truth: the database is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from monjolo_sdk.wire import Control, Heartbeat, LogBatch, Report, TaskMessage


class Delivery(Protocol):
    """A message in a worker's hands. Unacknowledged ones are delivered again when the worker is gone."""

    @property
    def message(self) -> TaskMessage: ...
    @property
    def redelivered(self) -> bool: ...
    async def ack(self) -> None: ...


class WorkerBroker(Protocol):
    """The worker's side."""

    async def next_message(self, group: str) -> Delivery: ...

    async def report(self, reports: Sequence[Report]) -> None:
        """Returns once the reports are durable; only then may their message be acknowledged."""

    async def heartbeat(self, beat: Heartbeat) -> None: ...

    async def logs(self, batches: Sequence[LogBatch]) -> None:
        """Returns once the lines are durable; a worker waits for it, so a slow store slows the writer."""

    def controls(self, worker: str) -> AsyncIterator[Control]: ...


class OrchestratorBroker(Protocol):
    """The orchestrator's side."""

    async def publish(self, messages: Sequence[TaskMessage]) -> None:
        """Returns once the broker has confirmed every message."""

    async def control(self, orders: Sequence[Control]) -> None: ...

    async def next_reports(self) -> tuple[list[Report], ReportReceipt]:
        """Waits for at least one report and takes all that are there."""

    async def next_heartbeats(self) -> list[Heartbeat]: ...

    async def next_logs(self) -> tuple[list[LogBatch], ReportReceipt]: ...


class ReportReceipt(Protocol):
    """Settles what was taken: `done` after the commit, `failed` when it must be delivered again."""

    def done(self) -> None: ...
    def failed(self, error: BaseException) -> None: ...
