"""What becomes of the instants of a schedule once the clock has passed them. Pure; time is an argument.

An instant that was reached at most `grace` late simply runs. When the oldest one due is later than that, the
platform was away, and the policy decides about all that are due: `all` runs the newest `maximum` of them,
`last` runs the newest, `skip` runs none. Each instant is accounted for by one tick.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from monjolo.engine.types import SECOND, Duration, Instant

LATE: Duration = 1 * SECOND
LISTED = 10_000  # instants of one decision that get a tick each; a clock that leapt years must not list them all

Next = Callable[[Instant], Instant | None]
"""The first instant strictly after the given one; None when there is no more."""


class Misfire(StrEnum):
    ALL = "all"
    LAST = "last"
    SKIP = "skip"


class TickStatus(StrEnum):
    RAN = "ran"
    MISSED = "missed"  # beyond what `all` may catch up
    COALESCED = "coalesced"  # into the newer one that `last` ran
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class MisfirePolicy:
    misfire: Misfire = Misfire.LAST
    grace: Duration = 60 * SECOND
    maximum: int = 100


@dataclass(frozen=True, slots=True)
class Tick:
    instant: Instant
    status: TickStatus
    late: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Jitter:
    """A delay of [0, `most`) for each instant, always the same for the same seed and instant."""

    most: Duration
    seed: str

    def fires_at(self, instant: Instant) -> Instant:
        if self.most <= 0:
            return instant
        digest = hashlib.blake2b(f"{self.seed}:{instant}".encode(), digest_size=8).digest()
        return instant + int.from_bytes(digest, "big") % self.most


NO_JITTER = Jitter(0, "")


@dataclass(frozen=True, slots=True)
class Due:
    """What became of the instants up to now, oldest first, and the instant to wait for."""

    ticks: tuple[Tick, ...]
    next_instant: Instant | None


def due(following: Next, instant: Instant, now: Instant, policy: MisfirePolicy, jitter: Jitter = NO_JITTER) -> Due:
    """Decide about `instant` and all after it that have come by `now`."""
    instants, unlisted, upcoming = _passed(following, instant, now, jitter)
    if not instants:
        return Due((), instant)
    if now - jitter.fires_at(instants[0]) <= policy.grace or policy.misfire is Misfire.ALL:
        ticks = _run_newest(instants, now, policy.maximum, jitter, TickStatus.MISSED, "misfire_max")
    elif policy.misfire is Misfire.LAST:
        ticks = _run_newest(instants, now, 1, jitter, TickStatus.COALESCED, "misfire_last")
    else:
        ticks = [Tick(i, TickStatus.SKIPPED, late=True, reason="misfire_skip") for i in instants]
    if unlisted is not None:
        ticks.insert(0, Tick(unlisted, TickStatus.MISSED, late=True, reason="and_all_until_the_next_tick"))
    return Due(tuple(ticks), upcoming)


def _run_newest(
    instants: list[Instant], now: Instant, count: int, jitter: Jitter, others: TickStatus, reason: str
) -> list[Tick]:
    left = max(0, len(instants) - count)
    return [Tick(i, others, late=True, reason=reason) for i in instants[:left]] + [
        Tick(i, TickStatus.RAN, late=now - jitter.fires_at(i) > LATE) for i in instants[left:]
    ]


def _passed(
    following: Next, instant: Instant, now: Instant, jitter: Jitter
) -> tuple[list[Instant], Instant | None, Instant | None]:
    """The newest instants that have come by `now`, the first of older ones that stay unlisted, and the next."""
    found, upcoming = _walk(following, instant, now, jitter)
    if upcoming is None or jitter.fires_at(upcoming) > now:
        return found, None, upcoming
    reach = min(now - found[-1], (found[-1] - found[0]) * 9 // 10)
    while reach > SECOND:  # more than are listed: look at the newest only, in a window that holds fewer
        start = following(now - reach)
        if start is None or jitter.fires_at(start) > now:
            break
        newest, upcoming = _walk(following, start, now, jitter)
        if upcoming is None or jitter.fires_at(upcoming) > now:
            return newest, instant, upcoming
        reach //= 2
    return found, instant, upcoming


def _walk(following: Next, instant: Instant, now: Instant, jitter: Jitter) -> tuple[list[Instant], Instant | None]:
    found: list[Instant] = []
    upcoming: Instant | None = instant
    while upcoming is not None and jitter.fires_at(upcoming) <= now and len(found) < LISTED:
        found.append(upcoming)
        upcoming = following(upcoming)
    return found, upcoming


# --- the instants of a span ---------------------------------------------------------------------------------


def ascending(following: Next, low: Instant, high: Instant, most: int) -> list[Instant]:
    """The oldest instants in [low, high), at most `most` of them, the oldest first."""
    found: list[Instant] = []
    instant = following(low - 1)
    while instant is not None and instant < high and len(found) < most:
        found.append(instant)
        instant = following(instant)
    return found


def descending(following: Next, low: Instant, high: Instant, most: int) -> list[Instant]:
    """The newest instants in [low, high), at most `most` of them, the newest first; none when there is none.

    Instants are only found forwards: so the window before `high` is widened until it holds some, and narrowed
    when it holds too many.
    """
    newest: list[Instant] = []
    few, many, reach = 0, 0, 60 * SECOND
    while True:
        start = max(low, high - reach)
        found = ascending(following, start, high, most + 1)
        if len(found) > most:
            many = reach
        else:
            newest, few = found, reach
            if start == low:
                break
        if len(newest) * 2 >= most or (many and newest):
            break
        reach = (few + many) // 2 if many else reach * 2
    return newest[::-1]
