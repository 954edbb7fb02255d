"""A trigger's configuration as instants."""

from __future__ import annotations

from typing import Any

import pytest

from monjolo.domains.triggers.pace import Pace
from monjolo.domains.triggers.timetable import timetable
from monjolo.engine.schedule import Misfire, MisfirePolicy, due
from monjolo.kit.time import DAY, HOUR, MINUTE, SECOND, from_rfc3339

START = from_rfc3339("2026-01-01T00:00:00Z")


def table(since: int = START, **config: Any) -> Any:
    return timetable("trigger", config, since)


def test_half_a_year_of_a_minutely_schedule_gives_exactly_the_oracles_instants() -> None:
    minutely = table(type="schedule", cron="* * * * *", timezone="America/Sao_Paulo")
    now, instant, seen = START, START + MINUTE, []
    while now < START + 181 * DAY:
        now += 7 * MINUTE + 3 * SECOND
        what = due(minutely.following, instant, now, MisfirePolicy(Misfire.ALL))
        seen += [tick.instant for tick in what.ticks if tick.status == "ran"]
        assert what.next_instant is not None
        instant = what.next_instant
    assert seen == [START + n * MINUTE for n in range(1, (now - START) // MINUTE + 1)]


def test_what_is_not_written_has_its_documented_default() -> None:
    plain = table(type="schedule", cron="@daily")
    assert plain.policy == MisfirePolicy(Misfire.LAST, 60 * SECOND, 100)
    assert plain.jitter.fires_at(5) == 5
    assert plain.following(START) == START + DAY


def test_each_key_of_a_schedule_has_its_effect() -> None:
    full = table(
        type="schedule", cron="0 0 * * *", timezone="America/Sao_Paulo", jitter="1h", misfire="all",
        misfire_grace="5s", misfire_max=3, start_at="2026-01-10T00:00:00Z", end_at="2026-01-11T12:00:00Z",
    )  # fmt: skip
    assert full.policy == MisfirePolicy(Misfire.ALL, 5 * SECOND, 3)
    assert full.jitter.most == HOUR
    assert full.upcoming(START, 10) == [
        from_rfc3339("2026-01-10T03:00:00Z"), from_rfc3339("2026-01-11T03:00:00Z"),
    ]  # fmt: skip


def test_an_interval_counts_from_its_anchor_or_from_its_publication() -> None:
    assert table(type="interval", every="7s").upcoming(START, 2) == [START + 7 * SECOND, START + 14 * SECOND]
    anchored = table(type="interval", every="1h", anchor="2030-01-01T00:30:00Z")
    assert anchored.following(START) == from_rfc3339("2030-01-01T00:30:00Z")


@pytest.mark.parametrize(
    "config",
    [
        {"type": "interval", "every": "500ms"},
        {"type": "interval", "every": "sempre"},
        {"type": "schedule", "cron": "nunca"},
        {"type": "schedule", "cron": "@daily", "timezone": "Lua/Base"},
    ],
)
def test_a_configuration_that_cannot_be_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|not a|cron expression|time zone"):
        table(**config)


def test_a_pace_releases_so_many_a_second_and_repays_what_was_overdrawn() -> None:
    pace = Pace(10)
    assert pace.allowed(START) == 10
    pace.spend(40, START)
    assert pace.allowed(START + 3 * SECOND) == 0
    assert pace.ready_at(START + 3 * SECOND) == START + 3 * SECOND + SECOND // 10 + 1
    assert pace.allowed(START + 60 * SECOND) == 10
    assert pace.allowed(START) == 10
