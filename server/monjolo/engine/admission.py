"""Who gets a concurrency slot, who may wait for one, and whose turn comes first.

There is no counter: what is held and what waits is what the rows say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from monjolo.engine.commands import AcquireSlot
from monjolo.engine.types import SECOND, Duration, Instant

DEFAULT_PRIORITY = 50
AGEING: Duration = 60 * SECOND  # of waiting weighs as much as one point of priority
_FOREVER: Instant = 2**62
Waiter = TypeVar("Waiter")


def queue_at(priority: int, at: Instant) -> Instant:
    """Whoever has the least of it is next: the instant it came, a minute earlier for each point of priority.

    It never changes, so that waiting makes up for priority without anybody counting.
    """
    return at - priority * AGEING


class Head(NamedTuple):
    """A flow with ready tasks, and the one of them whose turn is next."""

    flow: str
    priority: int
    queue_at: Instant


def whose_turn(heads: Sequence[Head], turn: str, now: Instant) -> tuple[list[str], Instant]:
    """The flows that are served now, in equal shares and beginning after the flow `turn`, and what of theirs: the
    tasks whose `queue_at` is not later than this. They are of the highest priority, or have made up for it.
    """
    first = max(heads, key=lambda head: head.priority)
    until = queue_at(first.priority, now)
    if first.queue_at > until:  # the clock was put back
        until = _FOREVER
    flows = sorted(head.flow for head in heads if head.queue_at <= until)
    return [flow for flow in flows if flow > turn] + [flow for flow in flows if flow <= turn], until


def next_holders(limit: int, held: int, waiters: Sequence[Waiter]) -> Sequence[Waiter]:
    """The waiters, in their order, that may hold a slot now."""
    return waiters[: max(0, limit - held)]


class Leaving(NamedTuple):
    """Who may not wait: `newcomer`, the `oldest` that wait (`many` of them), or the runs of all `others`."""

    who: str
    how: str  # skip | fail | full | coalesced | superseded
    many: int = 1


def places(ask: AcquireSlot) -> int | None:
    """How many may wait for the slot, when this one does; None: any number."""
    if ask.on_limit in ("skip", "fail"):
        return 0
    return ask.max_queued if ask.coalesce == "none" else ask.max_queued or 1


def who_leaves(ask: AcquireSlot, waiting: int) -> Leaving | None:
    """What follows when one that asked was not let in; `waiting` counts those that wait now, itself included."""
    if ask.on_limit == "cancel_running":
        return Leaving("others", "superseded")
    free = places(ask)
    if free is None or waiting <= free:
        return None
    if ask.on_limit != "queue":
        return Leaving("newcomer", ask.on_limit)
    if ask.coalesce == "newest":
        return Leaving("oldest", "coalesced", waiting - free)
    return Leaving("newcomer", "coalesced" if ask.coalesce == "oldest" else "full")
