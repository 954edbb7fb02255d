"""Due instants become ticks and runs, once each, whatever the clock and however many look (C4, C5, C6)."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from monjolo.domains.triggers import repository
from monjolo.domains.triggers.models import Trigger
from monjolo.kit.errors import InvalidInput
from monjolo.kit.ids import new_id
from monjolo.kit.time import DAY, HOUR, MINUTE, SECOND, from_rfc3339, to_datetime
from monjolo.storage.port import Connection

if TYPE_CHECKING:
    from .conftest import Platform

START = from_rfc3339("2026-01-01T00:00:00Z")
EVERY_MINUTE = '  - {id: minuto, type: schedule, cron: "* * * * *"%s}'
FULL = os.environ.get("MONJOLO_TEST_FULL") == "1"


async def test_a_due_instant_makes_one_run_and_says_when_to_come_again(platform: Platform) -> None:
    await platform.publish("a", EVERY_MINUTE % "")
    assert await platform.schedule.fire_due(START + 1) == START + MINUTE
    assert platform.runs.made == []
    assert await platform.schedule.fire_due(START + MINUTE + 1) == START + 2 * MINUTE
    (run,) = platform.runs.made
    assert run.new.trigger == {"type": "schedule", "id": "minuto", "instant": "2026-01-01T00:01:00.000000Z"}
    (tick,) = await platform.rows("SELECT * FROM ticks")
    assert (tick["instant"], tick["status"], tick["late"], tick["run_id"]) == (START + MINUTE, "ran", 0, run.id)


async def test_looking_again_at_the_same_moment_makes_nothing_more(platform: Platform) -> None:
    await platform.publish("a", EVERY_MINUTE % "")
    for _ in range(5):
        await platform.schedule.fire_due(START + MINUTE + 1)
    assert len(platform.runs.made) == 1


async def test_months_of_a_minutely_schedule_give_exactly_the_ticks_of_the_oracle(platform: Platform) -> None:
    days = 181 if FULL else 2
    await platform.publish("a", EVERY_MINUTE % ", timezone: America/New_York")
    now, end = START, START + days * DAY
    while now < end:
        now += MINUTE
        assert await platform.schedule.fire_due(now + 3_000) == now + MINUTE
    assert platform.runs.instants == [START + n * MINUTE for n in range(1, days * 24 * 60 + 1)]
    assert await platform.tick_counts() == {"ran": days * 24 * 60}


async def test_half_a_year_of_a_daily_schedule_follows_the_clocks_of_its_zone(platform: Platform) -> None:
    await platform.publish("a", '  - {id: noite, type: schedule, cron: "30 2 * * *", timezone: Europe/Berlin}')
    wake: int | None = START
    while wake is not None and wake < START + 181 * DAY:
        wake = await platform.schedule.fire_due(wake)
    zone = ZoneInfo("Europe/Berlin")
    local = [to_datetime(instant).astimezone(zone) for instant in platform.runs.instants]
    assert [moment.date() for moment in local] == sorted({moment.date() for moment in local})
    assert len(local) == 181
    assert {moment.strftime("%H:%M") for moment in local} == {"02:30", "03:00"}
    assert [m.date().isoformat() for m in local if m.hour == 3] == ["2026-03-29"]


@pytest.mark.parametrize(
    ("policy", "runs", "ticks"),
    [
        (", misfire: skip", 0, {"skipped": 360}),
        (", misfire: last", 1, {"coalesced": 359, "ran": 1}),
        ("", 1, {"coalesced": 359, "ran": 1}),
        (", misfire: all", 100, {"missed": 260, "ran": 100}),
        (", misfire: all, misfire_max: 500", 360, {"ran": 360}),
        (", misfire: all, misfire_max: 7", 7, {"missed": 353, "ran": 7}),
    ],
)
async def test_six_hours_away_follow_the_policy_and_every_instant_is_accounted_for(
    platform: Platform, policy: str, runs: int, ticks: dict[str, int]
) -> None:
    await platform.publish("a", EVERY_MINUTE % policy)
    wake = await platform.another_orchestrator(catch_up_per_second=1000).fire_due(START + 6 * HOUR + 5 * SECOND)
    assert len(platform.runs.made) == runs
    assert await platform.tick_counts() == ticks
    assert wake == START + 6 * HOUR + MINUTE
    late = await platform.rows("SELECT late FROM ticks WHERE status <> 'ran'")
    assert all(row["late"] for row in late)


async def test_two_orchestrators_at_once_make_one_run_for_each_instant(platform: Platform) -> None:
    for name in "abcdefgh":
        await platform.publish(name, EVERY_MINUTE % ", misfire: all")
    others = [platform.another_orchestrator() for _ in range(3)]
    now = START
    for _ in range(20):
        now += MINUTE
        await asyncio.gather(*(other.fire_due(now + 1) for other in others))
    assert len(platform.runs.made) == 8 * 20
    rows = await platform.rows("SELECT COUNT(*) AS n, COUNT(DISTINCT run_id) AS r FROM ticks")
    assert rows == [{"n": 160, "r": 160}]
    assert len({run.id for run in platform.runs.made}) == 160


async def test_a_clock_that_jumps_back_fires_no_instant_twice_and_goes_on(platform: Platform) -> None:
    await platform.publish("a", EVERY_MINUTE % "")
    for now in (START + n * MINUTE + 1 for n in [*range(1, 11), *range(3, 15), *range(1, 20)]):
        await platform.schedule.fire_due(now)
    assert platform.runs.instants == [START + n * MINUTE for n in range(1, 20)]


async def test_a_clock_that_stood_years_ahead_leaves_no_trigger_waiting_for_years(platform: Platform) -> None:
    await platform.publish("a", EVERY_MINUTE % "")
    await platform.schedule.fire_due(START + 1000 * DAY)
    made = len(platform.runs.made)
    assert made == 1
    assert await platform.schedule.fire_due(START + DAY + 1) == START + DAY + MINUTE
    await platform.schedule.fire_due(START + DAY + MINUTE)
    assert platform.runs.instants[1:] == [START + DAY + MINUTE]


async def test_after_an_outage_runs_are_released_at_the_configured_pace(platform: Platform) -> None:
    for number in range(30):
        await platform.publish(f"f{number}", EVERY_MINUTE % "")
    service = platform.another_orchestrator(catch_up_per_second=10)
    now = START + HOUR + 30 * SECOND
    counts = []
    for _ in range(3):
        wake = await service.fire_due(now)
        counts.append(len(platform.runs.made))
        assert wake is not None
        now = max(wake, now + SECOND)
    assert counts == [10, 20, 30]
    assert wake == START + HOUR + MINUTE


async def test_what_is_on_time_does_not_wait_behind_what_was_missed(platform: Platform) -> None:
    for number in range(20):
        await platform.publish(f"f{number}", EVERY_MINUTE % "")
    platform.clock.at = START + HOUR
    await platform.publish("fresh", EVERY_MINUTE % "")
    await platform.another_orchestrator(catch_up_per_second=1).fire_due(START + HOUR + MINUTE + 1)
    fresh = await platform.flows.by_slug(platform.workspace, "fresh")
    assert fresh.id in {run.new.flow_id for run in platform.runs.made}


async def test_ten_thousand_triggers_due_in_one_second_all_get_their_tick(platform: Platform) -> None:
    await platform.publish("a", EVERY_MINUTE % "")
    head = await platform.flows.by_slug(platform.workspace, "a")
    (first,) = await platform.triggers.triggers(platform.workspace, "a")

    def work(connection: Connection) -> None:
        for number in range(10_000):
            repository.put(
                connection,
                Trigger(
                    new_id(), platform.workspace, head.id, f"t{number}", "schedule", first.config, True, None, None,
                    START + MINUTE, START + MINUTE, START,
                ),
            )  # fmt: skip
        connection.execute("UPDATE triggers SET name = 'minuto' || name WHERE name <> 'minuto'")

    await platform.database.write(work)
    service = platform.another_orchestrator()
    await service.fire_due(START + 1)
    await service.fire_due(START + MINUTE + 1)
    rows = await platform.rows("SELECT COUNT(*) AS n FROM ticks")
    assert rows == [{"n": 10_001}]


async def test_a_run_that_cannot_be_made_costs_its_own_tick_only(platform: Platform) -> None:
    for name, more in (("a", ""), ("b", ", inputs: {refuse: true}"), ("c", "")):
        await platform.publish(name, EVERY_MINUTE % more, inputs="inputs: {type: object}\n")
    await platform.schedule.fire_due(START + MINUTE)
    assert len(platform.runs.made) == 2
    rows = await platform.rows("SELECT status, reason FROM ticks ORDER BY status")
    assert rows[-1] == {"status": "skipped", "reason": "invalid_inputs"}


async def test_when_and_inputs_see_the_trigger_and_the_flow(platform: Platform) -> None:
    declined = """, when: "trigger.instant.endsWith('00:02:00.000000Z')", inputs: {at: "${{ trigger.instant }}"}"""
    await platform.publish("a", EVERY_MINUTE % declined, inputs="inputs: {type: object}\n")
    for minute in (1, 2, 3):
        await platform.schedule.fire_due(START + minute * MINUTE)
    assert [dict(run.new.inputs) for run in platform.runs.made] == [{"at": "2026-01-01T00:02:00.000000Z"}]
    assert await platform.tick_counts() == {"ran": 1, "skipped": 2}
    assert {r["reason"] for r in await platform.rows("SELECT reason FROM ticks WHERE status = 'skipped'")} == {"when"}


async def test_a_paused_flow_has_no_ticks_and_counts_again_from_its_resumption(platform: Platform) -> None:
    await platform.publish("a", EVERY_MINUTE % ", misfire: all")
    await platform.flows.pause(platform.workspace, "a", "férias", actor="test")
    assert await platform.schedule.fire_due(START + HOUR) is None
    platform.clock.at = START + HOUR + 10 * SECOND
    await platform.flows.resume(platform.workspace, "a", actor="test")
    await platform.schedule.fire_due(START + HOUR + MINUTE)
    assert platform.runs.instants == [START + HOUR + MINUTE]


async def test_publishing_again_and_again_leaves_one_run_for_each_instant(platform: Platform) -> None:
    for version in range(40):
        await platform.publish("a", EVERY_MINUTE % f", inputs: {{n: {version}}}", inputs="inputs: {type: object}\n")
        platform.clock.at += 20 * SECOND
        await platform.another_orchestrator().fire_due(platform.clock.at)
    instants = platform.runs.instants
    assert instants == sorted(set(instants))
    assert len(instants) == 40 * 20 // 60
    assert len(await platform.rows("SELECT id FROM triggers")) == 1


async def test_an_instant_due_at_the_moment_of_publishing_is_not_lost(platform: Platform) -> None:
    await platform.publish("a", EVERY_MINUTE % "")
    platform.clock.at = START + MINUTE + SECOND
    await platform.publish("a", EVERY_MINUTE % ", inputs: {n: 1}", inputs="inputs: {type: object}\n")
    await platform.schedule.fire_due(platform.clock.at)
    assert platform.runs.instants == [START + MINUTE]


async def test_start_at_and_end_at_bound_the_schedule(platform: Platform) -> None:
    bounds = ', start_at: "2026-01-01T01:00:00Z", end_at: "2026-01-01T01:03:00Z"'
    await platform.publish("a", EVERY_MINUTE % bounds)
    wake: int | None = START
    while wake is not None:
        wake = await platform.schedule.fire_due(wake)
    assert platform.runs.instants == [START + HOUR + n * MINUTE for n in range(4)]


async def test_jitter_delays_the_run_and_keeps_the_nominal_instant(platform: Platform) -> None:
    await platform.publish("a", '  - {id: minuto, type: schedule, cron: "*/10 * * * *", jitter: 5m}')
    delays = []
    wake = await platform.schedule.fire_due(START)
    for number in range(1, 30):
        assert wake is not None
        delays.append(wake - (START + number * 10 * MINUTE))
        wake = await platform.schedule.fire_due(wake)
    assert platform.runs.instants == [START + n * 10 * MINUTE for n in range(1, 30)]
    assert all(0 <= delay < 5 * MINUTE for delay in delays)
    assert len(set(delays)) > 20
    assert {r["late"] for r in await platform.rows("SELECT late FROM ticks")} == {0}


async def test_an_interval_ticks_from_its_anchor_through_every_change_of_clocks(platform: Platform) -> None:
    await platform.publish("a", '  - {id: i, type: interval, every: 90m, anchor: "2026-01-01T00:10:00Z"}')
    wake: int | None = START
    while wake is not None and wake < START + 3 * DAY:
        wake = await platform.schedule.fire_due(wake)
    first = START + 10 * MINUTE
    assert platform.runs.instants == [first + n * 90 * MINUTE for n in range(48)]


async def test_an_interval_without_an_anchor_counts_from_its_publication(platform: Platform) -> None:
    platform.clock.at = START + 17 * SECOND
    await platform.publish("a", "  - {id: i, type: interval, every: 1m}")
    assert await platform.schedule.fire_due(START + 18 * SECOND) == START + 77 * SECOND


async def test_a_disabled_trigger_never_fires(platform: Platform) -> None:
    await platform.publish("a", EVERY_MINUTE % ", enabled: false")
    assert await platform.schedule.fire_due(START + HOUR) is None


async def test_the_next_instants_are_those_that_then_fire(platform: Platform) -> None:
    await platform.publish(
        "a", '  - {id: m, type: schedule, cron: "*/7 * * * *"}\n  - {id: i, type: interval, every: 5m}'
    )
    upcoming = await platform.triggers.upcoming(platform.workspace, "a", 8)
    wake: int | None = START
    while wake is not None and len(platform.runs.made) < 8:
        wake = await platform.schedule.fire_due(wake)
    told = sorted((each.instant, each.trigger) for each in upcoming)
    fired = [(i, r.new.trigger["id"]) for i, r in zip(platform.runs.instants, platform.runs.made, strict=True)]
    assert sorted(fired)[:8] == told


async def test_a_schedule_that_cannot_be_is_refused_with_its_place(platform: Platform) -> None:
    with pytest.raises(InvalidInput) as refused:
        await platform.publish("a", '  - {id: m, type: schedule, cron: "0 0 31 2 *"}')
    assert refused.value.errors[0].path == "triggers[0].cron"
    assert await platform.rows("SELECT id FROM triggers") == []
