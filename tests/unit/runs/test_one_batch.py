"""What one batch decides about one run, folded: what was asked for and given back leaves nothing behind."""

from __future__ import annotations

from typing import Any

from monjolo.domains.runs.changes import Changes
from monjolo.engine import commands as orders
from monjolo.engine.draft import Decision


def folded(*decisions: tuple[Any, ...]) -> Changes:
    changes = Changes(None, 0)  # type: ignore[arg-type]
    for commands in decisions:
        changes.add(Decision(commands=commands), 1)
    return changes


def test_a_slot_asked_for_and_given_back_in_one_batch_is_not_asked_for() -> None:
    ask, other = orders.AcquireSlot("a", "s", 1, "queue"), orders.AcquireSlot("b", "s", 1, "queue")
    changes = folded((ask, other), (orders.ReleaseSlot("a", "s"),))
    assert changes.acquires == [other]
    assert [release.key for release in changes.releases] == ["a"]


def test_a_timer_started_and_cleared_in_one_batch_is_not_kept() -> None:
    changes = folded((orders.StartTimer("a", "retry", 1, 9),), (orders.ClearTimers("a"),))
    assert (changes.timers, changes.cleared) == ({}, ["a"])
