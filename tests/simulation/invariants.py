"""What must hold in every world, whatever went wrong: I1 to I8 of the contract, and what was added to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulation.broker import Task
from tests.simulation.database import RunRow, SlotRow, TaskRow, Work
from tests.simulation.hearing import Unheard, keys_of

from monjolo.engine import graph
from monjolo.engine.admission import places
from monjolo.engine.commands import Dispatch
from monjolo.engine.draft import Decision
from monjolo.engine.events import (
    CancelRequested,
    DispatchLost,
    LeaseExpired,
    TaskClaimed,
    TaskFinished,
    TaskRedelivered,
    TaskReleased,
    TaskStarted,
)
from monjolo.engine.transitions import RUN_ENDED, STEP_ENDED
from monjolo.engine.types import RunStatus, State, StepKind, StepStatus

_ACTIVE = frozenset({StepStatus.QUEUED, StepStatus.RUNNING})
_FAILED = frozenset({StepStatus.FAILED, StepStatus.CRASHED, StepStatus.CANCELLED, StepStatus.UNKNOWN,
                     StepStatus.TIMED_OUT})  # fmt: skip
_REPORTS = (TaskStarted, TaskClaimed, TaskFinished, TaskReleased, TaskRedelivered, DispatchLost, LeaseExpired)


class Violation(Exception):
    pass


class Invariants:
    def __init__(self, world: Any) -> None:
        self.world = world
        self.effects: dict[tuple[str, str], list[int]] = {}
        self.dispatches = 0

    # --- while it runs --------------------------------------------------------------------------------------

    def before(self, row: RunRow, decision: Decision, at: int) -> None:
        """I7: whatever ended never changes."""
        state = row.state
        self._say(self.world.hearing.before, state, decision)
        if state.head.status in RUN_ENDED and not decision.changes_nothing:
            raise Violation(f"I7 run {state.run_id} ended {state.head.status} and was changed")
        for key, step in decision.steps.items():
            old = state.steps.get(key)
            if old is not None and old.status in STEP_ENDED and step.status is not old.status:
                raise Violation(f"I7 step {state.run_id}/{key} ended {old.status} and became {step.status}")

    def committed(self, winners: list[Work]) -> None:
        world = self.world
        for work in winners:
            row = world.database.runs[work.run]
            state = row.state
            row.stored_in = row.stored_in or world.steps
            cancelling = work.changes.head is not None and state.head.status is RunStatus.CANCELLING
            if cancelling and row.cancelled_at is None:
                row.cancelled_at, row.cancelled_in = world.now, world.steps
            active = sum(1 for step in state.steps.values()
                         if step.status in _ACTIVE and step.scope is None and step.fan is None)  # fmt: skip
            if active != state.head.active:
                raise Violation(f"active of {work.run} says {state.head.active}, its steps say {active}")
        self._slots()

    def _say(self, rule: Callable[..., None], *about: Any) -> None:
        """I18 of waits for events, I19 of loops."""
        try:
            rule(*about)
        except Unheard as unheard:
            raise Violation(str(unheard)) from None

    def _slots(self) -> None:
        """I8: live holders never exceed the limit."""
        database = self.world.database
        held: dict[str, int] = {}
        for row in database.slots.values():
            if row.held:
                held[row.slot] = held.get(row.slot, 0) + 1
                if held[row.slot] > row.limit:
                    raise Violation(f"I8 {held[row.slot]} hold {row.slot}, limit {row.limit}")
        waiting: dict[str, int] = {}
        for row in database.slots.values():
            if not row.held:
                waiting[row.slot] = waiting.get(row.slot, 0) + 1
                free = 1 if row.ask.on_limit == "cancel_running" else places(row.ask)
                if free is not None and waiting[row.slot] > free:
                    raise Violation(f"I16 {waiting[row.slot]} wait for {row.slot}, where {free} may")

    def let_in(self, row: SlotRow, others: list[SlotRow]) -> None:
        """I17: who waits longer than another by a minute for each point of priority is not passed over by it."""
        for other in others:
            seconds = (row.asked_at - other.asked_at) / 1_000_000
            if seconds > 60 * (row.priority - other.priority):
                raise Violation(f"I17 {row.run} ({row.priority}) was let in before {other.run} ({other.priority}), "
                                f"which came {seconds} s before it")  # fmt: skip

    def believed(self, state: State, event: Any) -> None:
        """I15: a report with another token than the step's changes nothing."""
        step = state.steps.get(getattr(event, "key", ""))
        if step is not None and isinstance(event, _REPORTS) and step.token != event.token:
            raise Violation(f"I15 {type(event).__name__} with token {event.token} of {state.run_id}/{event.key} "
                            f"was believed; the token is {step.token}")  # fmt: skip

    def dispatched(self, row: RunRow, order: Dispatch, at: int) -> None:
        """No step of the body begins once its run is being cancelled; I6: none before what it needs."""
        self.dispatches += 1
        state, key = row.state, order.key
        self._say(self.world.hearing.dispatched, state, order)
        if row.cancelled_at is not None and not _in_handler(key):
            raise Violation(f"I9 step {state.run_id}/{key} was dispatched after its run was cancelled")
        if row.parent is not None and self._goes_on_alone(row):
            raise Violation(f"I9 {state.run_id} goes on: its parent was cancelled, and nobody told it")
        plan = state.plan.steps[graph.path_of(key)]
        for need in plan.needs:
            other = state.steps.get(graph.sibling(key, plan.id, need))
            if other is None or other.status not in STEP_ENDED:
                raise Violation(f"I6 step {state.run_id}/{key} was dispatched before {need} ended")
            if other.status in _FAILED and not state.plan.steps[graph.path_of(key)].run_when.startswith("al"):
                raise Violation(f"I6 step {state.run_id}/{key} was dispatched although {need} failed")
        bound = plan.retry.max_attempts + plan.max_crashes
        if order.attempt > bound:
            raise Violation(f"I10 attempt {order.attempt} of {state.run_id}/{key}, bound {bound}")

    def _goes_on_alone(self, row: RunRow) -> bool:
        assert row.parent is not None
        database = self.world.database
        if row.cancelled_at is not None or database.runs[row.parent[0]].cancelled_at is None:
            return False
        told = (run for run, event in database.inbox.values() if isinstance(event, CancelRequested))
        return row.state.run_id not in told

    def effect(self, task: Task, worker: Any) -> None:
        """A worker begins to do what the step is for."""
        world = self.world
        if task.name in worker.cancelled:
            raise Violation(f"I9 {worker.id} began {task.name}, although it had heard of its cancel")
        times = self.effects.setdefault((task.run, task.key), [])
        times.append(task.attempt)
        if task.once and len(times) > 1:
            raise Violation(f"I3 at_most_once step {task.run}/{task.key} took effect {len(times)} times")
        row = world.database.runs.get(task.run)
        if row is None:
            raise Violation(f"I1 {task.run}/{task.key} takes effect, but the run is not in the database")
        self._slot_held(task, row)
        if world.quiet and "deadly" in task.key and len(times) > 4:  # max_attempts 1 + max_crashes 2 + 1 if shared
            raise Violation(f"I10 {task.run}/{task.key} was started {len(times)} times and killed each worker")
        if world.gentle and times.count(task.attempt) > 1:
            raise Violation(f"I11 attempt {task.attempt} of {task.run}/{task.key} ran twice without a fault")

    def _slot_held(self, task: Task, row: RunRow) -> None:
        plan = row.state.plan.steps[graph.path_of(task.key)]
        step = row.state.steps.get(task.key)
        if plan.concurrency is None or step is None or step.token != task.token or step.status in STEP_ENDED:
            return
        slot = self.world.database.slots.get((task.run, task.key))
        if slot is None or not slot.held:
            raise Violation(f"I8 {task.run}/{task.key} runs without its slot")

    def expired(self, row: TaskRow) -> None:
        """I12: a worker that is merely busy is not taken over."""
        for worker in self.world.workers:
            if worker.id == row.worker and row.name in worker.held and not worker.frozen and not worker.silent:
                raise Violation(f"I12 the lease of {row.name} was taken from {worker.id}, which is alive")

    def ticked(self, name: str, instant: int) -> None:
        world = self.world
        if instant > world.latest:
            raise Violation(f"I4 tick {instant} of {name} fired early, at {world.now}")
        if (name, instant) in world.database.ticks:
            raise Violation(f"I4 tick {instant} of {name} fired twice")

    # --- at rest --------------------------------------------------------------------------------------------

    def at_rest(self) -> None:
        world, database = self.world, self.world.database
        if not world.settled():
            live = [f"{run}={row.state.head.status}" for run, row in database.runs.items()
                    if row.state.head.status not in RUN_ENDED]  # fmt: skip
            raise Violation(f"I1 not settled: wishes={world.wishes} live={live} inbox={len(database.inbox)}")
        for key in world.accepted:
            if key not in database.keys:
                raise Violation(f"I1 accepted {key} is not in the database")
        per_key: dict[str, int] = {}
        for run, key in world.made_by.items():
            if run in database.runs:
                per_key[key] = per_key.get(key, 0) + 1
                if per_key[key] > 1:
                    raise Violation(f"I5 key {key} made {per_key[key]} runs")
        left = [name for name in ("tasks", "timers", "inbox", "slots") if getattr(database, name)]
        left += ["waits"] if world.hearing.waits else []
        if left:
            raise Violation(f"I13 left over at rest: {left}")
        self._ticks()
        self._children()
        for row in database.runs.values():
            self._effects_of(row)
            self._replaced(row)

    def taken(self, rows: list[TaskRow], left: list[TaskRow]) -> None:
        """I17 for tasks: within a flow as for a place; between flows, one whose turn it is as well gets its share."""
        shares: dict[str, int] = {}
        highest = max((row.priority for row in rows), default=0)
        for row in rows:
            shares[row.flow] = shares.get(row.flow, 0) + 1
        for row in rows:
            for other in left:
                seconds = (row.ready_at - other.ready_at) / 1_000_000
                passed = seconds > 60 * (row.priority - other.priority)
                if passed and row.flow == other.flow:
                    raise Violation(f"I17 {row.name} ({row.priority}) left before {other.name} ({other.priority}), "
                                    f"which was ready {seconds} s before it")  # fmt: skip
                fair = other.priority >= highest and shares[row.flow] > 1 + 2 * shares.get(other.flow, 0)
                if fair and row.flow != other.flow and len(rows) >= 4:
                    raise Violation(f"I17 {row.flow} has {shares[row.flow]} of a refill, and {other.name} waits")

    def _replaced(self, row: RunRow) -> None:
        """I16: who was coalesced had no effect, and names the run that waited in its place."""
        head, runs = row.state.head, self.world.database.runs
        if head.reason != "coalesced":
            return
        other = runs.get(head.error.details["run"]) if head.error is not None else None
        if other is None or other.flow != row.flow:
            raise Violation(f"I16 {row.state.run_id} was coalesced and names nobody")
        if (other.stored_in > row.stored_in) != (row.flow == "newest") and other.stored_in != row.stored_in:
            raise Violation(f"I16 {row.state.run_id} was coalesced, and {other.state.run_id} took its place")
        if any(run == row.state.run_id for run, _ in self.effects):
            raise Violation(f"I16 {row.state.run_id} was coalesced, and ran")

    def _ticks(self) -> None:
        world = self.world
        for name, first in world.first_ticks.items():
            for instant in range(first, world.horizon + 1, 60_000_000):
                if (name, instant) not in world.database.ticks:
                    raise Violation(f"I4 tick {instant} of {name} never fired")

    def _children(self) -> None:
        seen: dict[tuple[str, str, int], str] = {}
        for run, row in self.world.database.runs.items():
            if row.parent is None:
                continue
            if row.parent in seen:
                raise Violation(f"I14 {row.parent} has two children: {seen[row.parent]} and {run}")
            seen[row.parent] = run
            parent = self.world.database.runs[row.parent[0]]
            if parent.state.head.status is RunStatus.CANCELLED and row.stored_in > parent.cancelled_in > 0:
                raise Violation(f"I9 {run} was started after its parent {row.parent[0]} was cancelled")
            step = parent.state.steps[row.parent[1]]
            if step.child != run:
                raise Violation(f"I14 the parent of {run} knows nothing of it")

    def _effects_of(self, row: RunRow) -> None:
        """I2: a run that succeeded had the effect of every step that succeeded, and no step of it was left out."""
        state = row.state
        if state.head.status is not RunStatus.SUCCEEDED:
            return
        for path, plan in state.plan.steps.items():
            if plan.kind is not StepKind.ACTION or _in_handler(path):
                continue
            for key in keys_of(state, path):
                step = state.steps.get(key)
                if "[" not in path and (step is None or step.status not in STEP_ENDED):
                    raise Violation(f"I2 {state.run_id} succeeded without {key}")
                if step is not None and step.status is not StepStatus.SUCCEEDED:
                    continue
                if not self.effects.get((state.run_id, key)):
                    raise Violation(f"I2 {state.run_id}/{key} succeeded without its effect")


def _in_handler(key: str) -> bool:
    return not graph.HANDLERS.isdisjoint(key.replace("[", ".").split("."))
