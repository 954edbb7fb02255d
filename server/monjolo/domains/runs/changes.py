"""What one batch changes of one run: decisions gathered in the order they were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from monjolo.domains.runs.models import Entry
from monjolo.engine import commands as orders
from monjolo.engine.draft import Decision
from monjolo.engine.transitions import RUN_ENDED
from monjolo.engine.types import RunHead, StepState


@dataclass(slots=True)
class Changes:
    """What one batch changes of one run, in the order it was decided."""

    entry: Entry
    revision: int
    row: dict[str, Any] | None = None  # of a run that is not in the database yet
    repeat_of: str | None = None
    head: RunHead | None = None
    steps: dict[str, StepState] = field(default_factory=dict)
    items: dict[str, list[Any]] = field(default_factory=dict)
    forget: set[str] = field(default_factory=set)
    dispatches: dict[str, orders.Dispatch] = field(default_factory=dict)
    direct: set[str] = field(default_factory=set)  # dispatches that leave right after the commit
    timers: dict[tuple[str, str], orders.StartTimer] = field(default_factory=dict)
    cleared: list[str] = field(default_factory=list)
    waits: dict[str, orders.AwaitEvent] = field(default_factory=dict)
    waits_over: list[str] = field(default_factory=list)
    acquires: list[orders.AcquireSlot] = field(default_factory=list)
    releases: list[orders.ReleaseSlot] = field(default_factory=list)
    cancels: list[orders.CancelTask] = field(default_factory=list)
    permits: list[orders.Permit] = field(default_factory=list)
    children: list[orders.StartChild] = field(default_factory=list)
    child_cancels: list[orders.CancelChild] = field(default_factory=list)
    attempts: list[Sequence[Any]] = field(default_factory=list)
    started: list[tuple[str, int, str, str, int]] = field(default_factory=list)
    artifacts: list[Sequence[Any]] = field(default_factory=list)
    kept_state: list[Sequence[Any]] = field(default_factory=list)
    at: int = 0

    def add(self, decision: Decision, at: int) -> None:
        self.at = at
        if decision.head is not None:
            self.head = decision.head
        self.steps.update(decision.steps)
        if self.dispatches:  # of an earlier decision of this batch: what has ended since does not leave
            for key, step in decision.steps.items():
                if step.finished_at is not None:
                    self.dispatches.pop(key, None)
        self.items.update(decision.items)
        self.forget.update(decision.forget)
        for order in decision.commands:
            self._add_order(order)

    def _add_order(self, order: orders.Command) -> None:
        match order:
            case orders.Dispatch(key=key):
                self.dispatches[key] = order
            case orders.StartTimer(key=key, kind=kind):
                self.timers[key, kind] = order
            case orders.ClearTimers(key=key):
                self.cleared.append(key)
                for kind in ("retry", "sleep", "interval", "timeout", "queue_timeout", "force_cancel"):
                    self.timers.pop((key, kind), None)
            case orders.AwaitEvent(key=key):
                self.waits[key] = order
            case orders.StopWaiting(key=key):
                self.waits.pop(key, None)
                self.waits_over.append(key)
            case orders.AcquireSlot():
                self.acquires.append(order)
            case orders.ReleaseSlot(key=key):
                self.acquires = [ask for ask in self.acquires if ask.key != key]  # asked for in this very batch
                self.releases.append(order)
            case orders.CancelTask():
                self.cancels.append(order)
            case orders.Permit():
                self.permits.append(order)
            case orders.StartChild():
                self.children.append(order)
            case orders.CancelChild():
                self.child_cancels.append(order)

    @property
    def run_id(self) -> str:
        return self.entry.state.run_id

    @property
    def ended(self) -> bool:
        return self.head is not None and self.head.status in RUN_ENDED
