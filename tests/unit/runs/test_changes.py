"""What one batch changes of one run, in the order it was decided."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from monjolo.domains.runs.changes import Changes
from monjolo.engine.commands import ClearTimers, Command, Dispatch, StartTimer
from monjolo.engine.draft import Decision
from monjolo.engine.types import StepState, StepStatus

SEND = Dispatch("a", 1, 1, {}, False, False, None, None)


def _changes(*decisions: Decision) -> Changes:
    changes = Changes(cast(Any, SimpleNamespace()), 0)
    for at, decision in enumerate(decisions):
        changes.add(decision, at)
    return changes


def _orders(*orders: Command) -> Decision:
    return Decision(commands=orders)


def test_a_timer_set_after_its_key_was_cleared_stays() -> None:
    timer = StartTimer("a", "retry", 2, 50)
    changes = _changes(_orders(StartTimer("a", "sleep", 1, 9)), _orders(ClearTimers("a"), timer))
    assert list(changes.timers.values()) == [timer]
    assert changes.cleared == ["a"]


def test_a_timer_that_is_cleared_afterwards_goes() -> None:
    changes = _changes(_orders(StartTimer("a", "queue_timeout", 1, 9), ClearTimers("a")))
    assert changes.timers == {}


def test_what_ended_after_it_was_dispatched_does_not_leave() -> None:
    ended = StepState(status=StepStatus.CANCELLED, token=1, finished_at=5)
    changes = _changes(_orders(SEND), Decision(steps={"a": ended}))
    assert changes.dispatches == {}


def test_the_last_dispatch_of_a_step_counts() -> None:
    again = Dispatch("a", 2, 1, {}, True, False, None, None)
    assert _changes(_orders(SEND), _orders(again)).dispatches == {"a": again}
