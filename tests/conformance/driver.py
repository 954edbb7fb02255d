"""A whole run in one process and in virtual time: the real compiler, the real engine, an imagined worker.

`Run` obeys the engine's commands as the platform would. What a step gives is told by `plays`, by key or id.
Each event also checks what must hold of every decision.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monjolo.domains.runs.evaluation import Evaluator
from monjolo.engine import commands as orders
from monjolo.engine import events as facts
from monjolo.engine.admission import next_holders, who_leaves
from monjolo.engine.decide import decide
from monjolo.engine.draft import Decision
from monjolo.engine.evolve import evolve
from monjolo.engine.graph import path_of
from monjolo.engine.transitions import RUN_ENDED
from monjolo.engine.types import Error, State, StepState, StepStatus
from monjolo.flow_document import Compiled, ResolvedAction, compile_plan, parse, resolve_actions, validate

SECOND = 1_000_000
BEGIN = 1_700_000_000 * SECOND


class Actions:
    """Every `m/…` is an action that takes and gives anything; `m@2/…` is its second version."""

    def resolve(self, uses: str) -> ResolvedAction | None:
        module, _, action = uses.partition("/")
        name, _, version = module.partition("@")
        if name != "m":
            return None
        return ResolvedAction(name, version or "1.0.0", f"sha256:{name}", action, {"type": "object"}, None)


@dataclass(frozen=True)
class Gives:
    """An attempt that takes `after` seconds and then ends so."""

    output: Any = None
    status: str = "succeeded"
    after: float = 0
    error: Error | None = None
    retry_after: int | None = None
    retryable: bool = True


def bad(message: str = "it broke", *, type: str = "Broken", **more: Any) -> Gives:
    return Gives(status="failed", error=Error(type, message), **more)


@dataclass(frozen=True)
class Dies:
    """The worker goes down with it; its lease runs out."""

    after: float = 5


class Ignored:
    """No worker ever takes it."""


@dataclass
class Start:
    """One attempt that a worker began."""

    key: str
    at: float
    attempt: int
    inputs: Any


def compiled_of(source: str, *, checked: bool = True) -> Compiled:
    if "schema:" not in source:
        source = f"schema: monjolo/flow/v1\nid: f\n{source}"
    parsed = parse(source)
    assert parsed.document is not None, parsed.problems
    if checked:
        problems = [problem for problem in validate(source, Actions()) if problem.severity == "error"]
        assert not problems, problems
    return compile_plan(parsed.document, "f", 1, resolve_actions(parsed.document, Actions()))


@dataclass
class Run:
    source: str
    inputs: dict[str, Any] = field(default_factory=dict)
    plays: Mapping[str, Any] = field(default_factory=dict)  # key or id of a step -> Gives, a value, a list of them
    children: Mapping[str, Gives] = field(default_factory=dict)  # flow -> how its run ends
    context: dict[str, Any] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)  # concurrency slots that others hold
    queued: dict[str, int] = field(default_factory=dict)  # how many others wait for them
    seed: int = 7
    reused: dict[str, Any] = field(default_factory=dict)
    watch: Callable[[facts.Event, Decision], None] | None = None
    compiled: Compiled | None = None

    def __post_init__(self) -> None:
        self.compiled = self.compiled or compiled_of(self.source)
        self.state = State("run", self.compiled.plan, self.seed, BEGIN, self.inputs, self.context, reused=self.reused)
        self.now = BEGIN
        self.starts: list[Start] = []
        self.orders: list[orders.Command] = []
        self.peak = 0
        self._evaluate = Evaluator(self.compiled)
        self._agenda: list[tuple[int, int, facts.Event]] = []
        self._number = 0
        self._timers: dict[tuple[str, str], orders.StartTimer] = {}
        self._waits: dict[str, orders.AwaitEvent] = {}
        self._slots: dict[str, list[Any]] = {}  # key -> [slot, limit, held]
        self._played: dict[str, int] = {}

    # --- what tests ask ---------------------------------------------------------------------------------------

    def __getitem__(self, key: str) -> StepState:
        return self.state.steps.get(key) or StepState()

    @property
    def status(self) -> str:
        return str(self.state.head.status)

    @property
    def outputs(self) -> Any:
        return self.state.head.outputs

    @property
    def elapsed(self) -> float:
        return (self.now - BEGIN) / SECOND

    def statuses(self) -> dict[str, str]:
        return {key: str(step.status) for key, step in self.state.steps.items()}

    def keys_started(self) -> list[str]:
        return [start.key for start in self.starts]

    def of(self, kind: type[Any]) -> list[Any]:
        return [order for order in self.orders if isinstance(order, kind)]

    # --- what tests do ----------------------------------------------------------------------------------------

    def begin(self) -> Run:
        self.tell(facts.RunCreated(self.now))
        return self

    def to_end(self, limit: int = 100_000) -> Run:
        """Until the run has ended, or nothing can happen any more."""
        if not self.orders and not self.state.head.started_at:
            self.begin()
        for _ in range(limit):
            if self.state.head.status in RUN_ENDED or not self.go_on():
                return self
        raise AssertionError("the run does not come to an end")

    def until(self, seconds: float) -> Run:
        """Until this long after the beginning."""
        if not self.orders and not self.state.head.started_at:
            self.begin()
        while (when := self._next()) is not None and when <= BEGIN + seconds * SECOND:
            self.go_on()
        self.now = max(self.now, BEGIN + round(seconds * SECOND))
        return self

    def cancel(self, *, force: bool = False) -> Run:
        self.tell(facts.CancelRequested(self.now, "asked", force))
        return self

    def happen(self, kind: str, data: dict[str, Any] | None = None) -> Run:
        """An event, told to the steps that wait for its type."""
        self._number += 1
        event = {"id": f"e{self._number}", "type": kind, "source": "test", "at": "", "data": data or {}}
        for wait in [wait for wait in self._waits.values() if wait.event == kind]:
            self.tell(facts.EventArrived(self.now, wait.key, wait.token, self.now, event))
        return self

    def free(self, slot: str) -> None:
        self.taken[slot] -= 1
        self._grant(slot)

    def tell(self, event: facts.Event) -> Decision:
        before = _picture(self.state)
        decision = decide(self.state, event, self._evaluate)
        assert _picture(self.state) == before, "decide changed the state it was given"
        evolve(self.state, decision)
        assert self.state.head.active == active_of(self.state)
        self.peak = max(self.peak, self.state.head.active)
        if self.watch is not None:
            self.watch(event, decision)
        for order in decision.commands:
            self.orders.append(order)
            self._obey(order)
        return decision

    # --- time -------------------------------------------------------------------------------------------------

    def later(self, seconds: float, event: Callable[[int], facts.Event]) -> None:
        at = self.now + round(seconds * SECOND)
        self._number += 1
        heapq.heappush(self._agenda, (at, self._number, event(at)))

    def _next(self) -> int | None:
        times = [entry[0] for entry in self._agenda[:1]] + [timer.due_at for timer in self._timers.values()]
        return min(times, default=None)

    def go_on(self) -> bool:
        """The next thing that happens; False when nothing will."""
        when = self._next()
        if when is None:
            return False
        self.now = max(self.now, when)
        if self._agenda and self._agenda[0][0] == when:
            self.tell(heapq.heappop(self._agenda)[2])
            return True
        name = min((name for name, timer in self._timers.items() if timer.due_at == when))
        timer = self._timers.pop(name)
        self.tell(facts.TimerFired(self.now, timer.key, timer.kind, timer.token))
        return True

    # --- the platform's part ------------------------------------------------------------------------------------

    def _obey(self, order: orders.Command) -> None:
        match order:
            case orders.Dispatch():
                self._play(order)
            case orders.StartTimer():
                self._timers[order.key, order.kind] = order
            case orders.ClearTimers(key=key):
                self._timers = {name: timer for name, timer in self._timers.items() if name[0] != key}
            case orders.AwaitEvent(key=key):
                self._waits[key] = order
            case orders.StopWaiting(key=key):
                self._waits.pop(key, None)
            case orders.CancelTask(key=key, token=token):
                self._stop(key, token)
            case orders.AcquireSlot():
                self._acquire(order)
            case orders.ReleaseSlot(key=key, slot=slot):
                self._slots.pop(key, None)
                self._grant(slot)
            case orders.StartChild(key=key, token=token):
                self._child(order)
            case orders.CancelChild(key=key, token=token):
                self._drop_agenda(key, token)
                self.later(0, lambda at: facts.ChildFinished(at, key, token, "cancelled"))

    def _outcome(self, order: orders.Dispatch) -> Any:
        step = path_of(order.key).rpartition(".")[2].removesuffix("[]")
        for name in (order.key, path_of(order.key), step):
            if name in self.plays:
                played = self.plays[name]
                if callable(played):
                    played = played(order)
                if isinstance(played, list):
                    number = self._played.get(order.key, 0)
                    self._played[order.key] = number + 1
                    played = played[min(number, len(played) - 1)]
                return played if isinstance(played, Gives | Dies | Ignored) else Gives(played)
        return Gives(order.inputs)

    def _play(self, order: orders.Dispatch) -> None:
        outcome = self._outcome(order)
        key, token = order.key, order.token
        if isinstance(outcome, Ignored):
            return
        self.starts.append(Start(key, self.elapsed, order.attempt, order.inputs))
        if order.at_most_once:
            self.later(0, lambda at: facts.TaskClaimed(at, key, token, "w"))
        elif outcome.after >= 1:
            self.later(0, lambda at: facts.TaskStarted(at, key, token))
        if isinstance(outcome, Dies):
            self.later(outcome.after, lambda at: facts.LeaseExpired(at, key, token))
            return
        status, after = outcome.status, outcome.after
        if order.timeout is not None and after * SECOND > order.timeout:
            status, after = "timed_out", order.timeout / SECOND
        begun = self.now
        self.later(after, lambda at: facts.TaskFinished(
            at, key, token, status, begun, outcome.output, outcome.error, outcome.retry_after, outcome.retryable
        ))  # fmt: skip

    def _drop_agenda(self, key: str, token: int) -> bool:
        kept = [e for e in self._agenda if (getattr(e[2], "key", None), getattr(e[2], "token", None)) != (key, token)]
        dropped = len(kept) != len(self._agenda)
        self._agenda = kept
        heapq.heapify(self._agenda)
        return dropped

    def _stop(self, key: str, token: int) -> None:
        if self._drop_agenda(key, token):
            self.later(0, lambda at: facts.TaskFinished(at, key, token, "cancelled"))

    def _acquire(self, order: orders.AcquireSlot) -> None:
        self._slots[order.key] = [order.slot, order.limit, False]
        self._grant(order.slot)
        if self._slots[order.key][2]:
            return
        own = sum(1 for slot, _, held in self._slots.values() if slot == order.slot and not held)
        leaving = who_leaves(order, self.queued.get(order.slot, 0) + own)
        if leaving is not None and leaving.who == "newcomer":
            del self._slots[order.key]
            by = "another" if leaving.how == "coalesced" else None
            self.later(0, lambda at: facts.SlotRefused(at, order.key, leaving.how, by))

    def _grant(self, slot: str) -> None:
        waiters = [key for key, (name, _, held) in self._slots.items() if name == slot and not held]
        if not waiters:
            return
        held = sum(1 for name, _, held in self._slots.values() if name == slot and held) + self.taken.get(slot, 0)
        for key in next_holders(self._slots[waiters[0]][1], held, waiters):
            self._slots[key][2] = True
            self.later(0, lambda at, key=key: facts.SlotGranted(at, key))  # type: ignore[misc]

    def _child(self, order: orders.StartChild) -> None:
        key, token = order.key, order.token
        self.starts.append(Start(key, self.elapsed, 1, order.inputs))
        self.later(0, lambda at: facts.ChildAccepted(at, key, token, f"child-{key}"))
        ends = self.children.get(order.flow, Gives(order.inputs))
        self.later(ends.after, lambda at: facts.ChildFinished(at, key, token, ends.status, ends.output, ends.error))


_ACTIVE = frozenset({StepStatus.QUEUED, StepStatus.RUNNING})


def active_of(state: State) -> int:
    return sum(1 for s in state.steps.values() if s.status in _ACTIVE and s.scope is None and s.fan is None)


def _picture(state: State) -> Any:
    """All that could change, cheaply: everything below it is frozen."""
    return (state.head, dict(state.steps), {k: len(v) for k, v in state.items.items()},
            {k: len(v) for k, v in state.item_outputs.items()})  # fmt: skip


def run(source: str, **given: Any) -> Run:
    """A flow, to its end."""
    return Run(source, **given).to_end()
