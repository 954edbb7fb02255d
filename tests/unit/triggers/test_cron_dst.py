"""Cron where the clocks change, against an oracle that looks at every minute (contract C5).

CI looks at the odd zones and a slice of the others; `MONJOLO_TEST_FULL=1` at all of them.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monjolo.domains.triggers import cron
from monjolo.kit.time import from_datetime, to_datetime

FULL = os.environ.get("MONJOLO_TEST_FULL") == "1"
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ODD = (
    "Africa/Cairo", "Africa/Casablanca", "America/Asuncion", "America/Havana", "America/New_York", "America/Nuuk",
    "America/Santiago", "America/Scoresbysund", "Antarctica/Troll", "Asia/Almaty", "Asia/Beirut", "Asia/Gaza",
    "Atlantic/Azores", "Australia/Lord_Howe", "Europe/Berlin",
)  # fmt: skip
EXPRESSIONS = (
    "* * * * *", "*/5 * * * *", "*/30 * * * *", "0 * * * *", "0 */2 * * *", "7 */3 * * *", "*/20 2 * * *",
    "30 2 * * *", "30 1 * * *", "0 0 * * *", "15,45 0-3 * * *", "30 23 * * *", "0 3 * * 1-5", "0 0 1 * *",
    "0 2 13 * 5",
)  # fmt: skip


def distinct_zones() -> list[str]:
    """Zones whose clocks change at different moments from all others before them."""
    names = sorted(available_timezones())
    chosen = [*ODD, *(names if FULL else names[::40])]
    seen: dict[tuple[tuple[datetime, timedelta | None], ...], str] = {}
    for name in chosen:
        zone = ZoneInfo(name)
        changes = changes_of(zone)
        if changes:
            seen.setdefault(tuple((c, c.astimezone(zone).utcoffset()) for c in changes), name)
    return list(seen.values())


def changes_of(zone: ZoneInfo) -> list[datetime]:
    found, moment = [], FIRST
    while (change := cron.next_change(zone, moment, LAST)) is not None:
        found.append(change)
        moment = change
    return found


class Oracle:
    """Five fields read in the plainest way; which minutes of a window they mean, one by one."""

    def __init__(self, expression: str) -> None:
        self.fields = expression.split()
        self.minutes, self.hours, self.days, self.months, self.weekdays = (
            _values(field, low, high)
            for field, (low, high) in zip(self.fields, ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6)), strict=True)
        )
        self.by_the_wall = self.fields[0].startswith("*") or self.fields[1].startswith("*")

    def has(self, local: datetime) -> bool:
        return local.minute in self.minutes and local.hour in self.hours and self._has_day(local.date())

    def _has_day(self, day: date) -> bool:
        of_month, of_week = day.day in self.days, (day.weekday() + 1) % 7 in self.weekdays
        either = not (self.fields[2].startswith("*") or self.fields[4].startswith("*"))
        return day.month in self.months and ((of_month or of_week) if either else (of_month and of_week))

    def instants(self, window: Window) -> list[int]:
        if self.by_the_wall:
            found = {utc for utc, local in window.passing if self.has(local)}
        else:
            found = {window.first_moment(local) for local in window.wall if self.has(local)}
        return sorted(from_datetime(utc) for utc in found if window.start <= utc < window.end)


def _values(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


class Window:
    """A day before and after a change of clocks: the minutes that pass, and all that a wall clock could show."""

    def __init__(self, zone: ZoneInfo, change: datetime) -> None:
        self.zone = zone
        self.start, self.end = change - timedelta(hours=26), change + timedelta(hours=26)
        self.passing = [(utc, utc.astimezone(zone).replace(tzinfo=None)) for utc in _minutes(self.start, self.end)]
        low, high = (side.astimezone(zone).replace(tzinfo=None) for side in (self.start, self.end))
        self.wall = _minutes(low - timedelta(hours=4), high + timedelta(hours=4))

    def first_moment(self, local: datetime) -> datetime:
        """When the wall first shows this; when it never does, the first moment after the gap."""
        while True:
            utc = local.replace(tzinfo=self.zone).astimezone(UTC)
            if utc.astimezone(self.zone).replace(tzinfo=None) == local:
                return utc
            local += MINUTE


def _minutes(start: datetime, end: datetime) -> list[datetime]:
    return [start + n * MINUTE for n in range((end - start) // MINUTE)]


def ours(expression: str, zone: ZoneInfo, window: Window) -> list[int]:
    found, end = [], from_datetime(window.end)
    instant = cron.next_instant(expression, zone, from_datetime(window.start) - 1)
    while instant is not None and instant < end:
        found.append(instant)
        instant = cron.next_instant(expression, zone, instant)
    return found


@pytest.mark.parametrize("name", distinct_zones())
def test_every_change_of_the_clocks_gives_what_the_oracle_gives(name: str) -> None:
    zone = ZoneInfo(name)
    oracles = {expression: Oracle(expression) for expression in EXPRESSIONS}
    changes = changes_of(zone)
    for change in changes if FULL else changes[:2]:
        window = Window(zone, change)
        for expression, oracle in oracles.items():
            given_, wanted = ours(expression, zone, window), oracle.instants(window)
            assert given_ == wanted, (
                expression, str(change),
                [str(to_datetime(i)) for i in sorted(set(wanted) ^ set(given_))][:6],
            )  # fmt: skip


@settings(max_examples=200 if not FULL else 20_000, deadline=None)
@given(
    st.sampled_from(EXPRESSIONS), st.sampled_from(ODD),
    st.integers(from_datetime(FIRST), from_datetime(LAST) - 1),
)  # fmt: skip
def test_instants_strictly_increase_from_wherever_one_begins(expression: str, name: str, after: int) -> None:
    zone = ZoneInfo(name)
    found = [after]
    for _ in range(5):
        instant = cron.next_instant(expression, zone, found[-1])
        assert instant is not None
        found.append(instant)
    assert all(a < b for a, b in pairwise(found))
    between = (found[1] + after) // 2  # beginning anywhere in between gives the same next instant
    assert cron.next_instant(expression, zone, max(after, between)) == found[1]


def test_a_time_that_does_not_exist_fires_at_the_first_moment_after_the_gap() -> None:
    zone = ZoneInfo("America/New_York")
    before = from_datetime(datetime(2026, 3, 8, 5, tzinfo=UTC))
    assert cron.next_instant("30 2 * * *", zone, before) == from_datetime(datetime(2026, 3, 8, 7, tzinfo=UTC))


def test_a_time_that_comes_twice_fires_once_also_for_who_asks_between_the_two() -> None:
    zone = ZoneInfo("America/New_York")
    first = from_datetime(datetime(2026, 11, 1, 5, 30, tzinfo=UTC))
    tomorrow = from_datetime(datetime(2026, 11, 2, 6, 30, tzinfo=UTC))
    assert cron.next_instant("30 1 * * *", zone, first - 1) == first
    for minutes in (0, 20, 40, 59, 75):
        assert cron.next_instant("30 1 * * *", zone, first + minutes * 60_000_000) == tomorrow


def test_seconds_tick_through_a_repeated_hour() -> None:
    zone = ZoneInfo("Europe/Berlin")
    instant = from_datetime(datetime(2026, 10, 24, 23, tzinfo=UTC))
    end = instant + 4 * 3_600_000_000
    count = 0
    while (following := cron.next_instant("*/15 * * * * *", zone, instant)) is not None and following <= end:
        assert following - instant == 15_000_000
        instant, count = following, count + 1
    assert count == 4 * 240


@pytest.mark.parametrize(
    ("text", "fields"), [("@daily", "0 0 * * *"), (" 0  3 * * * ", "0 3 * * *"), ("@hourly", "0 * * * *")]
)
def test_aliases_and_spaces_are_written_out(text: str, fields: str) -> None:
    assert cron.parse(text) == fields


@pytest.mark.parametrize("text", ["", "* * * *", "61 * * * *", "0 0 31 2 *", "@reboot", "a b c d e", "0 0 30 2 *"])
def test_an_expression_that_cannot_be_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="cron"):
        cron.parse(text)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        cron.zone("America/Sao_Paolo")
