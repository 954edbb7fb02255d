"""The simulated database: rows in dictionaries, and `commit`, which is one transaction.

It has the shape of `domains/runs/changes.write`: one compare-and-set over the runs of a batch, rows of what
follows for the winners alone, slots settled in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from monjolo.domains.runs.changes import Changes
from monjolo.engine import events as facts
from monjolo.engine.admission import DEFAULT_PRIORITY, next_holders, queue_at, who_leaves
from monjolo.engine.commands import AcquireSlot
from monjolo.engine.draft import Decision
from monjolo.engine.evolve import evolve
from monjolo.engine.transitions import RUN_ENDED, STEP_ENDED
from monjolo.engine.types import State, StepStatus

LEASE = 30_000_000
_NO_TASK = STEP_ENDED | {StepStatus.RETRYING}
Name = tuple[str, str, int]  # run, key, token


@dataclass(slots=True)
class RunRow:
    state: State
    flow: str
    revision: int = 0
    parent: tuple[str, str, int] | None = None
    priority: int = DEFAULT_PRIORITY
    cancelled_at: int | None = None
    stored_in: int = 0  # the world's step that stored it, and the one that stored its cancel: its clock may jump back
    cancelled_in: int = 0


@dataclass(slots=True)
class Entry:
    """A run in an orchestrator's memory."""

    state: State
    revision: int
    parent: tuple[str, str, int] | None


@dataclass(slots=True)
class TaskRow:
    run: str
    key: str
    token: int
    attempt: int
    alone: bool
    once: bool
    timeout: int | None
    not_after: int | None
    flow: str = ""
    priority: int = DEFAULT_PRIORITY
    ready_at: int = 0
    state: str = "ready"  # ready | dispatched | started
    dispatched_at: int = 0
    heard_at: int = -1
    worker: str = ""
    lease_until: int = 0

    @property
    def name(self) -> Name:
        return (self.run, self.key, self.token)

    @property
    def seen(self) -> tuple[object, ...]:
        """What a judgement about this task was based on; it must still be so when the judgement is stored."""
        return (self.state, self.token, self.dispatched_at, self.lease_until, self.heard_at)


@dataclass(slots=True)
class SlotRow:
    run: str
    key: str
    ask: AcquireSlot
    priority: int
    asked_at: int
    held: bool = False

    @property
    def slot(self) -> str:
        return self.ask.slot

    @property
    def limit(self) -> int:
        return self.ask.limit


@dataclass(slots=True)
class Work:
    """What one batch decided about one run."""

    entry: Entry
    revision: int
    changes: Changes
    decisions: list[Decision] = field(default_factory=list)
    guards: list[Callable[[], bool]] = field(default_factory=list)
    children: list[Work] = field(default_factory=list)
    row: RunRow | None = None
    started: list[tuple[Name, str]] = field(default_factory=list)

    @property
    def run(self) -> str:
        return self.entry.state.run_id


def copy_state(state: State) -> State:
    return State(
        state.run_id,
        state.plan,
        state.seed,
        state.created_at,
        state.inputs,
        state.context,
        state.head,
        dict(state.steps),
        dict(state.items),
        {key: dict(outputs) for key, outputs in state.item_outputs.items()},
        state.reused,
    )


class Database:
    def __init__(self, bug: str | None, watch: Any) -> None:
        self.bug = bug
        self.watch = watch  # the invariants
        self.runs: dict[str, RunRow] = {}
        self.tasks: dict[tuple[str, str], TaskRow] = {}
        self.timers: dict[tuple[str, str, str], tuple[int, int]] = {}
        self.inbox: dict[int, tuple[str, facts.Event]] = {}
        self.slots: dict[tuple[str, str], SlotRow] = {}
        self.keys: dict[str, str] = {}
        self.schedules: dict[str, int] = {}
        self.ticks: dict[tuple[str, int], str] = {}
        self.marker = (-1, -1)  # published at, came back at
        self.counter: dict[str, int] = {}  # only the mutant "slot counter" reads it
        self._id = 0

    def load(self, run: str) -> Entry | None:
        row = self.runs.get(run)
        return None if row is None else Entry(copy_state(row.state), row.revision, row.parent)

    def tell(self, run: str, event: facts.Event) -> None:
        self._id += 1
        self.inbox[self._id] = (run, event)

    # --- one transaction ------------------------------------------------------------------------------------

    def commit(self, works: Sequence[Work], now: int) -> list[str]:
        """Returns the runs that lost the comparison."""
        losers = [work.run for work in works if work.row is None and self._lost(work)]
        if losers and self.bug == "one stale run undoes its batch":
            return [work.run for work in works]
        winners: list[Work] = []
        for work in works:
            if work.run not in losers:
                winners.append(work)
                winners += work.children
            elif self.bug == "child written although its parent lost":
                winners += work.children
        winners = [work for work in winners if work.decisions]
        for work in winners:
            self._write_run(work)
            self._write_tasks(work, now)
            self._write_timers(work)
            self._write_inbox(work)
            self.watch.world.hearing.write(work.run, work.changes)
        self._settle_slots(winners)
        self.watch.committed(winners)
        return losers

    def _lost(self, work: Work) -> bool:
        if not all(guard() for guard in work.guards):
            return True
        return self.runs[work.run].revision != work.revision and self.bug != "claim without compare"

    def _write_run(self, work: Work) -> None:
        if work.row is not None:
            self.runs[work.run] = row = work.row
        else:
            row = self.runs[work.run]
        for decision in work.decisions:
            self.watch.before(row, decision, work.changes.at)
            evolve(row.state, decision)
        row.revision += 1

    def _write_tasks(self, work: Work, now: int) -> None:
        run = work.run
        for key, order in work.changes.dispatches.items():
            task = TaskRow(run, key, order.token, order.attempt, order.alone, order.at_most_once, order.timeout,
                           order.not_after, self.runs[run].flow, self.runs[run].priority, now)  # fmt: skip
            if key in work.changes.direct:
                task.state, task.dispatched_at = "dispatched", now
            self.tasks[run, key] = task
            self.watch.dispatched(self.runs[run], order, work.changes.at)
        for (_, key, token), worker in work.started:
            task_row = self.tasks.get((run, key))
            if task_row is not None and task_row.token == token:
                task_row.state, task_row.worker, task_row.lease_until = "started", worker, now + LEASE
        for key, step in work.changes.steps.items():
            if step.token and step.status in _NO_TASK:
                task_row = self.tasks.get((run, key))
                if task_row is not None and task_row.token <= step.token:
                    del self.tasks[run, key]

    def _write_timers(self, work: Work) -> None:
        if self.timers:
            for key in work.changes.cleared:
                for kind in ("retry", "sleep", "interval", "timeout", "queue_timeout", "force_cancel"):
                    self.timers.pop((work.run, key, kind), None)
        for (key, kind), order in work.changes.timers.items():
            if self.bug != "timer not in the database":
                self.timers[work.run, key, kind] = (order.token, order.due_at)

    def _write_inbox(self, work: Work) -> None:
        changes, parent = work.changes, work.entry.parent
        head = self.runs[work.run].state.head
        if changes.head is not None and head.status in RUN_ENDED and parent is not None:
            run, key, token = parent
            told = facts.ChildFinished(changes.at, key, token, str(head.status), head.outputs, head.error)
            self.tell(run, told)
        if self.bug != "sub-flow not told of a cancel":
            for order in changes.child_cancels:
                child = order.child or self._child_of(work.run, order.key, order.token)
                if child is not None:
                    self.tell(child, facts.CancelRequested(changes.at, "parent_cancelled"))

    def _child_of(self, run: str, key: str, token: int) -> str | None:
        for name, row in self.runs.items():
            if row.parent == (run, key, token) and row.state.head.status not in RUN_ENDED:
                return name
        return None

    # --- slots ----------------------------------------------------------------------------------------------

    def _settle_slots(self, winners: Sequence[Work]) -> None:
        touched: dict[str, int] = {}
        asked: dict[str, list[SlotRow]] = {}
        for work in winners:
            at = work.changes.at
            for release in work.changes.releases:
                self.slots.pop((work.run, release.key), None)
                if self.bug not in ("slot not offered at the end", "slot counter"):
                    touched[release.slot] = at
            gone = {release.key: True for release in work.changes.releases}
            for ask in work.changes.acquires:
                if ask.key in gone:
                    continue  # asked for and given back within this batch
                row = SlotRow(work.run, ask.key, ask, self.runs[work.run].priority, at)
                self.slots[work.run, ask.key] = row
                asked.setdefault(ask.slot, []).append(row)
                touched[ask.slot] = at
        for slot in sorted(touched):
            self.grant(slot, touched[slot])
        for slot, rows in asked.items():
            self._turn_away(rows, self.waiting(slot), touched[slot])

    def waiting(self, slot: str) -> list[SlotRow]:
        """In the order in which they asked."""
        return [row for row in self.slots.values() if row.slot == slot and not row.held]

    def _turn_away(self, asked: Sequence[SlotRow], waiting: list[SlotRow], at: int) -> None:
        alone = self.bug == "max_queued not counted within one batch"
        for row in reversed(asked):
            if row.held or row not in waiting:
                continue
            leaving = who_leaves(row.ask, len(waiting) - (len(asked) - 1 if alone else 0))
            if leaving is None or (leaving.how == "coalesced" and self.bug == "a coalesced run runs all the same"):
                continue
            match leaving.who:
                case "others":
                    left = [] if self.bug == "cancel_running spares who waits" else [r for r in waiting if r is not row]
                    holders = [r for r in self.slots.values() if r.slot == row.slot and r.held]
                    for other in (*holders, *left):
                        self.tell(other.run, facts.CancelRequested(at, "superseded"))
                case "oldest":
                    left = [r for r in waiting if r is not row][: leaving.many]
                    for other in left:
                        self.tell(other.run, facts.SlotRefused(at, other.key, leaving.how, row.run))
                case _:
                    left = [row]
                    by = waiting[0].run if leaving.how == "coalesced" else None
                    self.tell(row.run, facts.SlotRefused(at, row.key, leaving.how, by))
            for other in left:
                waiting.remove(other)
                if self.bug != "who left the queue is let in":
                    del self.slots[other.run, other.key]

    def count_back(self, stored: Sequence[Work], at: int) -> None:
        """Only the mutant "slot counter": a number that is put right in a transaction of its own, or never."""
        for work in stored:
            for release in work.changes.releases:
                self.counter[release.slot] = self.counter.get(release.slot, 0) - 1
                self.grant(release.slot, at)

    def grant(self, slot: str, at: int) -> None:
        waiters = self.waiting(slot)
        if not waiters:
            return
        waiters.sort(key=lambda row: queue_at(row.priority, row.asked_at))
        if self.bug == "no ageing":
            waiters.sort(key=lambda row: -row.priority)
        held = sum(1 for row in self.slots.values() if row.slot == slot and row.held)
        if self.bug == "slot counter":
            held = self.counter.get(slot, 0)
        for row in next_holders(waiters[0].limit, held, waiters):
            if self.bug == "slot check then act":
                continue  # another transaction takes it, on this one's word
            self.watch.let_in(row, [other for other in waiters if not other.held])
            row.held = True
            self.counter[slot] = self.counter.get(slot, 0) + 1
            self.tell(row.run, facts.SlotGranted(at, row.key))
