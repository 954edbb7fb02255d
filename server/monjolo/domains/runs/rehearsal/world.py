"""One run in virtual time: the real engine and expressions, and mocks in the place of workers and sub-flows.

It obeys the engine's orders as the platform would, at the instant they are due: a day's sleep takes no time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from monjolo.domains.runs.evaluation import Evaluator
from monjolo.domains.runs.rehearsal.document import Mock, uses_of
from monjolo.engine import commands as orders
from monjolo.engine import events as facts
from monjolo.engine.admission import next_holders, who_leaves
from monjolo.engine.decide import decide
from monjolo.engine.evolve import evolve
from monjolo.engine.graph import item_index, parent_of, path_of
from monjolo.engine.transitions import RUN_ENDED
from monjolo.engine.types import Error, State, StepState
from monjolo.flow_document import Compiled
from monjolo.kit.time import to_rfc3339

MOST_EVENTS = 200_000
_SEED = 7  # of the jitter: the same in every run of a test
_TIMED_OUT = Error("TimedOut", "the step did not end within its time-out")


class CannotGoOn(Exception):
    """The test does not say what happens next; `code` and the message say what is missing."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Rehearsal:
    """A run of `compiled` from `now` on. Afterwards: `state`, `steps` (all that ever were), `given`, `now`.

    Of `mocks` the first that has one for a step is taken.
    """

    def __init__(
        self,
        compiled: Compiled,
        inputs: dict[str, Any],
        context: Mapping[str, Any],
        now: int,
        mocks: Sequence[Mapping[str, Mock]],
    ) -> None:
        self.state = State("test", compiled.plan, _SEED, now, inputs, dict(context))
        self.began = self.now = now
        self.steps: dict[str, StepState] = {}
        self.given: dict[str, Any] = {}  # key -> the inputs of its last attempt
        self.attempts: dict[str, int] = {}
        self._compiled, self._mocks = compiled, mocks
        self._evaluate = Evaluator(compiled)
        self._ids = {path: step for step, path in compiled.step_paths.items()}
        self._agenda: list[tuple[int, int, facts.Event]] = []
        self._number = 0
        self._timers: dict[tuple[str, str], orders.StartTimer] = {}
        self._waits: dict[str, orders.AwaitEvent] = {}
        self._slots: dict[str, tuple[str, int, bool]] = {}  # key -> slot, limit, held

    def to_end(self) -> None:
        """Raises CannotGoOn."""
        self._tell(facts.RunCreated(self.now))
        for _ in range(MOST_EVENTS):
            if self.state.head.status in RUN_ENDED:
                return
            if not self._go_on():
                raise self._stuck()
        raise CannotGoOn("endless", f"the run did not end within {MOST_EVENTS:,} events")

    def _tell(self, event: facts.Event) -> None:
        decision = decide(self.state, event, self._evaluate)
        self.steps.update(decision.steps)
        evolve(self.state, decision)
        for order in decision.commands:
            self._obey(order)

    # --- time -------------------------------------------------------------------------------------------------

    def _later(self, length: int, event: Callable[[int], facts.Event]) -> None:
        at = self.now + length
        self._number += 1
        heapq.heappush(self._agenda, (at, self._number, event(at)))

    def _go_on(self) -> bool:
        """The next thing that happens; False when nothing will."""
        times = [happening[0] for happening in self._agenda[:1]] + [timer.due_at for timer in self._timers.values()]
        if not times:
            return False
        when = min(times)
        self.now = max(self.now, when)
        if self._agenda and self._agenda[0][0] == when:
            self._tell(heapq.heappop(self._agenda)[2])
            return True
        timer = self._timers.pop(min(name for name, timer in self._timers.items() if timer.due_at == when))
        self._tell(facts.TimerFired(self.now, timer.key, timer.kind, timer.token))
        return True

    def _stuck(self) -> CannotGoOn:
        if self._waits:
            key, wait = next(iter(self._waits.items()))
            text = f"the step `{key}` waits for the event `{wait.event}`, and none comes that it takes: "
            return CannotGoOn("no_event", text + f"add mocks: {{{self._name(key)}: {{event: …}}}}")
        return CannotGoOn("stuck", "nothing can happen any more, and the run has not ended")

    # --- the platform's part ----------------------------------------------------------------------------------

    def _obey(self, order: orders.Command) -> None:
        match order:
            case orders.Dispatch():
                self._play(order)
            case orders.StartTimer():
                self._timers[order.key, order.kind] = order
            case orders.ClearTimers(key=key):
                self._timers = {name: timer for name, timer in self._timers.items() if name[0] != key}
            case orders.AwaitEvent():
                self._await(order)
            case orders.StopWaiting(key=key):
                self._waits.pop(key, None)
            case orders.CancelTask(key=key, token=token):
                if self._drop(key, token):
                    self._later(0, lambda at: facts.TaskFinished(at, key, token, "cancelled"))
            case orders.AcquireSlot():
                self._acquire(order)
            case orders.ReleaseSlot(key=key, slot=slot):
                self._slots.pop(key, None)
                self._grant(slot)
            case orders.StartChild():
                self._child(order)
            case orders.CancelChild(key=key, token=token):
                self._drop(key, token)
                self._later(0, lambda at: facts.ChildFinished(at, key, token, "cancelled"))

    def _play(self, order: orders.Dispatch) -> None:
        key, token, begun = order.key, order.token, self.now
        uses = uses_of(self._compiled, path_of(key)) or ""
        mock = self._mock(key, uses, f"the step `{key}` ({uses}) has no mock")
        self.given[key] = order.inputs
        if order.at_most_once:
            self._later(0, lambda at: facts.TaskClaimed(at, key, token, "mock"))
        else:
            self._later(0, lambda at: facts.TaskStarted(at, key, token))
        if order.timeout is not None and mock.after > order.timeout:
            timed_out = partial(facts.TaskFinished, status="timed_out", started_at=begun, error=_TIMED_OUT)
            self._later(order.timeout, lambda at: timed_out(at, key, token))
            return
        failed = mock.error
        error = Error(failed.type, failed.message, details=failed.details) if failed else None
        retry_after, retryable = (failed.retry_after, failed.retryable) if failed else (None, True)
        status = "failed" if failed else "succeeded"
        self._later(
            mock.after,
            lambda at: facts.TaskFinished(at, key, token, status, begun, mock.output, error, retry_after, retryable),
        )

    def _child(self, order: orders.StartChild) -> None:
        key, token = order.key, order.token
        mock = self._mock(key, "", f"the step `{key}` (the sub-flow {order.flow}) has no mock")
        self.given[key] = order.inputs
        self._later(0, lambda at: facts.ChildAccepted(at, key, token, f"child-{key}"))
        error = Error(mock.error.type, mock.error.message, details=mock.error.details) if mock.error else None
        status = "failed" if mock.error else "succeeded"
        self._later(mock.after, lambda at: facts.ChildFinished(at, key, token, status, mock.output, error))

    def _await(self, order: orders.AwaitEvent) -> None:
        self._waits[order.key] = order
        mock = self._find(order.key, "")
        for one in (mock.sequence or (mock,)) if mock is not None else ():
            if one.event is None:
                raise CannotGoOn("wrong_mock", f"the step `{order.key}` waits for an event: its mock must have `event`")
            about = {"id": "mocked", "type": order.event, "source": "test", "data": one.event}
            self._later(one.after, partial(_arrived, order.key, order.token, about))

    def _mock(self, key: str, uses: str, missing: str) -> Mock:
        """The mock of the next attempt. Raises CannotGoOn."""
        mock = self._find(key, uses)
        if mock is None:
            raise CannotGoOn("unmocked_step", f"{missing}: add mocks: {{{self._name(key)}: {{output: …}}}}")
        number = self.attempts[key] = self.attempts.get(key, 0) + 1
        if mock.sequence is not None:
            if number > len(mock.sequence):
                text = f"the sequence of `{key}` has {len(mock.sequence)} entries, and this is attempt {number}"
                raise CannotGoOn("unmocked_attempt", text)
            mock = mock.sequence[number - 1]
        if mock.event is not None or mock.sequence is not None or mock.items is not None:
            raise CannotGoOn("wrong_mock", f"an attempt of `{key}` must have an output or an error")
        return mock

    def _find(self, key: str, uses: str) -> Mock | None:
        """By its key, then its path, its id, its action; `items` picks one by the innermost index."""
        names = (key, path_of(key), self._name(key), uses)
        found = next(((name, mocks[name]) for mocks in self._mocks for name in names if name in mocks), None)
        if found is None or found[1].items is None:
            return found[1] if found else None
        index, items = _index(key), found[1].items
        if index is None or index >= len(items):
            raise CannotGoOn("unmocked_item", f"the items of the mock `{found[0]}` have none for `{key}`")
        return items[index]

    def _name(self, key: str) -> str:
        """The id that a person wrote: of an item without steps of its own, that of its loop."""
        path = path_of(key)
        return self._ids.get(path) or self._ids.get(path.removesuffix("[]")) or path

    def _drop(self, key: str, token: int) -> bool:
        kept = [
            one for one in self._agenda if (getattr(one[2], "key", ""), getattr(one[2], "token", 0)) != (key, token)
        ]
        dropped = len(kept) != len(self._agenda)
        heapq.heapify(kept)
        self._agenda = kept
        return dropped

    def _acquire(self, order: orders.AcquireSlot) -> None:
        self._slots[order.key] = (order.slot, order.limit, False)
        self._grant(order.slot)
        if self._slots[order.key][2]:
            return
        waiting = sum(1 for slot, _, held in self._slots.values() if slot == order.slot and not held)
        leaving = who_leaves(order, waiting)
        if leaving is not None and leaving.who == "newcomer":
            del self._slots[order.key]
            by = "another" if leaving.how == "coalesced" else None
            self._later(0, lambda at: facts.SlotRefused(at, order.key, leaving.how, by))

    def _grant(self, slot: str) -> None:
        waiters = [key for key, (name, _, held) in self._slots.items() if name == slot and not held]
        if not waiters:
            return
        held = sum(1 for name, _, held in self._slots.values() if name == slot and held)
        limit = self._slots[waiters[0]][1]
        for key in next_holders(limit, held, waiters):
            self._slots[key] = (slot, limit, True)
            self._later(0, partial(_granted, key))


def _granted(key: str, at: int) -> facts.Event:
    return facts.SlotGranted(at, key)


def _arrived(key: str, token: int, about: dict[str, Any], at: int) -> facts.Event:
    return facts.EventArrived(at, key, token, at, {**about, "at": to_rfc3339(at)})


def _index(key: str) -> int | None:
    """The number of the innermost item that the step is, or stands in."""
    while key and not key.endswith("]"):
        key = parent_of(key)
    return item_index(key) if key else None
