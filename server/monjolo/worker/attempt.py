"""One task in a worker's hands, from the message that brought it to the report that ends it."""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from monjolo.worker.logs import AttemptLog
from monjolo.worker.masking import Masker
from monjolo.worker.reporter import Receipt
from monjolo_sdk.wire import Claim, Finished, Released, Report, Task

if TYPE_CHECKING:
    from monjolo.worker.runner import Runner


Name = tuple[str, str, int]  # run, key, token


class Phase(IntEnum):
    WAITING = 0  # for a runner
    CLAIMED = 1  # at_most_once: a runner is kept free until the permit comes
    SENT = 2  # in a runner's queue
    BEGUN = 3
    ENDED = 4


class Attempt:
    __slots__ = (
        "alone",
        "artifacts",
        "begun_at",
        "called_off",
        "head_at",
        "held",
        "is_async",
        "leased",
        "log",
        "masker",
        "permit_until",
        "phase",
        "receipt",
        "runner",
        "state_writes",
        "stopped",
        "task",
        "timer",
    )

    def __init__(
        self, task: Task, receipt: Receipt, log: AttemptLog, masker: Masker, held: dict[Name, Attempt]
    ) -> None:
        self.task = task
        self.receipt: Receipt | None = receipt
        self.held = held
        self.log = log
        self.masker = masker
        self.phase = Phase.WAITING
        self.alone = task.alone or task.at_most_once or not task.short  # nobody waits behind it, nor it behind others
        self.is_async = False
        self.leased = False  # reported as started: a lease covers it, its message may be acknowledged
        self.permit_until = 0
        self.head_at = 0.0  # first in its runner's queue since, by the loop's clock
        self.begun_at = 0
        self.stopped = ""  # timed_out | cancelled, once that was decided
        self.called_off = ""  # asked back from the runner's queue, for this reason
        self.runner: Runner | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.artifacts: list[dict[str, Any]] = []
        self.state_writes: dict[str, Any] = {}

    @property
    def name(self) -> Name:
        return (self.task.run_id, self.task.key, self.task.token)

    def settle(self) -> Receipt | None:
        """The message this was a part of, once: the first durable word about the attempt settles its part."""
        receipt, self.receipt = self.receipt, None
        return receipt

    def durable(self, report: Report) -> Receipt | None:
        if isinstance(report, Finished | Released):
            self.held.pop(self.name, None)
        return None if isinstance(report, Claim) else self.settle()

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
