"""Cron expressions in a time zone, with Debian's meaning where the clocks change.

A schedule at fixed times (`30 2 * * *`) fires at the first moment after a gap that swallowed its time, and once
where its time comes twice. A schedule whose minute or hour begins with `*`, or that has seconds, ticks by the
clock on the wall as it passes: through the repeated hour too.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim

from monjolo.flow_document.rules import cron_expression, cron_problem
from monjolo.kit.time import from_datetime, to_datetime

_NO_TWO_CHANGES = timedelta(hours=24)
_LAST_YEAR = 9_000  # far from where datetime ends


def zone(name: str) -> ZoneInfo:
    """Raises ValueError for a name that IANA's list has not."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone; write it like America/Sao_Paulo or UTC") from error


def parse(expression: str) -> str:
    """The expression's fields, an alias written out. Raises ValueError with what is wrong."""
    problem = cron_problem(expression)
    if problem is not None:
        raise ValueError(problem)
    return " ".join(cron_expression(expression).split())


def following(expression: str, timezone: str) -> Callable[[int], int | None]:
    """The function from an instant to the first one after it. Raises ValueError."""
    text, place = parse(expression), zone(timezone)
    return lambda after: next_instant(text, place, after)


@lru_cache(maxsize=20_000)  # thousands of triggers say "every hour" and ask for the same instant
def next_instant(expression: str, place: ZoneInfo, after: int) -> int | None:
    """The first instant of a parsed expression strictly after `after`; None when there is no more."""
    moment = to_datetime(after)
    if moment.year > _LAST_YEAR:
        return None
    found = _at_fixed_times if _has_fixed_times(expression) else _by_the_wall
    following_moment = found(expression, place, moment)
    return None if following_moment is None else from_datetime(following_moment)


def _has_fixed_times(expression: str) -> bool:
    fields = expression.split()
    return len(fields) == 5 and not fields[0].startswith("*") and not fields[1].startswith("*")


def _at_fixed_times(expression: str, place: ZoneInfo, after: datetime) -> datetime | None:
    for candidate in _from(expression, after.astimezone(place).replace(tzinfo=None), place):
        moment = candidate.astimezone(UTC)
        if moment > after:  # inside a repeated hour the first of two equal times lies behind us
            return moment
    return None


@lru_cache(maxsize=5_000)
def _parsed(expression: str) -> CronSim:
    return CronSim(expression, datetime(2000, 1, 1))


def _from(expression: str, local: datetime, place: ZoneInfo | None = None) -> CronSim:
    """The times after `local`. Reading the fields again would cost as much as the search itself."""
    simulator = copy(_parsed(expression))
    simulator.dt, simulator.fixup_tz = local.replace(microsecond=0), place
    return simulator


def _by_the_wall(expression: str, place: ZoneInfo, after: datetime) -> datetime | None:
    """Walks stretches of one UTC offset: cronsim alone loses ticks where clocks change by half an hour."""
    start, before = after, after
    while True:
        offset = _offset(place, start)
        local = next(_from(expression, (before + offset).replace(tzinfo=None)), None)
        if local is None:
            return None
        candidate = local.replace(tzinfo=UTC) - offset
        change = next_change(place, start, candidate)
        if change is None:
            return candidate
        start, before = change, change - timedelta(seconds=1)  # the change itself may be a tick


def _offset(place: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(place).utcoffset() or timedelta()


def next_change(place: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """The first moment in (after, until] at which the clocks of a zone change; both are UTC."""
    low = after
    while low < until:
        high = min(low + _NO_TWO_CHANGES, until)
        if _offset(place, low) != _offset(place, high):
            return _change_between(place, low, high)
        low = high
    return None


def _change_between(place: ZoneInfo, low: datetime, high: datetime) -> datetime:
    before = _offset(place, low)
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle <= low:
            break
        low, high = (middle, high) if _offset(place, middle) == before else (low, middle)
    return high.replace(microsecond=0)
