"""Runs for every instant of a span of the past: so many at a time, none twice, through restarts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from monjolo.domains.triggers.backfill import CHUNK, Asked, BackfillService
from monjolo.kit.errors import Conflict, InvalidInput
from monjolo.kit.time import DAY, HOUR, MINUTE, from_rfc3339
from monjolo.storage.pruning import delete_old

from .conftest import START

if TYPE_CHECKING:
    from monjolo.domains.triggers.models import Backfill

    from .conftest import Platform

HOURLY = '  - {id: t, type: schedule, cron: "0 * * * *"%s}'
TAKES = "inputs: {type: object}\n"


async def begin(platform: Platform, **asked: Any) -> Backfill:
    wish = Asked(**{"low": START - DAY, "high": START, **asked})
    return await platform.backfills.start(platform.workspace, "a", wish, actor="ana")


async def end_runs(platform: Platform, status: str = "succeeded", count: int = 1_000) -> None:
    """The oldest of the runs that are live come to their end."""
    await platform.database.write(
        lambda c: c.execute(
            "UPDATE runs SET status = ?, finished_at = 1 WHERE id IN"
            " (SELECT id FROM runs WHERE finished_at IS NULL ORDER BY id LIMIT ?)",
            (status, count),
        )
    )


async def live(platform: Platform) -> int:
    return len(await platform.rows("SELECT id FROM runs WHERE finished_at IS NULL"))


async def to_end(platform: Platform, service: BackfillService | None = None) -> int:
    """Until nothing is open; answers the most runs that were live at once."""
    most = 0
    while await (service or platform.backfills).go_on():
        most = max(most, await live(platform))
        await end_runs(platform)
    return most


async def now(platform: Platform, backfill: Backfill) -> Backfill:
    return await platform.backfills.get(platform.workspace, "a", backfill.id)


def hours(platform: Platform) -> list[int]:
    return [(instant - START) // HOUR for instant in platform.runs.instants]


@pytest.mark.parametrize(("direction", "expected"), [("asc", range(-24, 0)), ("desc", range(-1, -25, -1))])
async def test_each_instant_of_a_span_before_the_flow_was_there_runs_once_in_the_order_asked(
    platform: Platform, direction: str, expected: range
) -> None:
    await platform.publish("a", HOURLY % "")
    backfill = await begin(platform, direction=direction, max_active=5)
    assert await to_end(platform) == 5
    assert hours(platform) == list(expected)
    done = await now(platform, backfill)
    assert (done.state, done.instants, done.started, done.succeeded) == ("done", 24, 24, 24)
    assert await platform.tick_counts() == {"ran": 24}
    run = platform.runs.made[0].new
    assert (run.actor, run.labels, run.trigger["type"]) == ("ana", {"backfill": backfill.id}, "schedule")


async def test_a_dry_run_tells_what_would_be_and_changes_nothing(platform: Platform) -> None:
    await platform.publish("a", HOURLY % "")
    await begin(platform, low=START - 3 * HOUR)
    await to_end(platform)
    before = await platform.rows("SELECT * FROM backfills")
    plan = await platform.backfills.plan(platform.workspace, "a", Asked(START - DAY, START))
    assert (plan.instants, plan.runs, plan.first, plan.last) == (24, 21, START - DAY, START - HOUR)
    assert await platform.rows("SELECT * FROM backfills") == before
    empty = await platform.backfills.plan(platform.workspace, "a", Asked(START - 2, START - 1))
    assert (empty.instants, empty.runs, empty.first, empty.last) == (0, 0, None, None)


@pytest.mark.parametrize(("reprocess", "again"), [("none", []), ("failed", [2, 3]), ("all", [1, 2, 3, 4])])
async def test_reprocess_decides_about_instants_that_had_a_run(
    platform: Platform, reprocess: str, again: list[int]
) -> None:
    await platform.publish("a", HOURLY % "")
    await begin(platform, low=START - 4 * HOUR)
    await platform.backfills.go_on()
    for status in ("succeeded", "failed", "crashed", "cancelled"):
        await end_runs(platform, status, 1)
    await platform.backfills.go_on()
    first = len(platform.runs.made)
    backfill = await begin(platform, low=START - 5 * HOUR, reprocess=reprocess)
    await to_end(platform)
    assert [hour + 5 for hour in hours(platform)[first:]] == [0, *again]
    done = await now(platform, backfill)
    assert (done.state, done.started, done.passed) == ("done", 1 + len(again), 4 - len(again))
    newest = {run.new.trigger["instant"]: run.id for run in platform.runs.made}
    ticks = await platform.rows("SELECT run_id FROM ticks ORDER BY instant")
    assert [tick["run_id"] for tick in ticks] == [newest[name] for name in sorted(newest)]


async def test_an_orchestrator_that_died_anywhere_leaves_no_instant_out_and_makes_none_twice(
    platform: Platform,
) -> None:
    await platform.publish("a", HOURLY % "")
    backfill = await begin(platform, low=START - 10 * DAY, max_active=7)
    for round_ in range(400):
        service = BackfillService(platform.database, platform.runs, platform.flows, platform.wishes, platform.clock)
        dying = asyncio.create_task(service.go_on())
        for _ in range(round_ % 23):
            await asyncio.sleep(0)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        await end_runs(platform, count=3)
        assert await live(platform) <= 7
    await to_end(platform)
    made = await platform.rows("SELECT instant, run_id FROM ticks ORDER BY instant")
    assert [tick["instant"] for tick in made] == [START - (240 - n) * HOUR for n in range(240)]
    assert len(await platform.rows("SELECT id FROM runs")) == 240
    done = await now(platform, backfill)
    assert (done.started, done.succeeded, done.state) == (240, 240, "done")


async def test_two_orchestrators_and_two_backfills_of_one_span_make_each_instant_once(platform: Platform) -> None:
    await platform.publish("a", HOURLY % "")
    for direction in ("asc", "desc"):
        await begin(platform, low=START - 20 * DAY, direction=direction, max_active=40)
    other = BackfillService(platform.database, platform.runs, platform.flows, platform.wishes, platform.clock)
    is_open = True
    while is_open:
        is_open, _ = await asyncio.gather(platform.backfills.go_on(), other.go_on())
        await end_runs(platform)
    assert sorted(set(hours(platform))) == sorted(hours(platform)) == list(range(-480, 0))
    rows = await platform.rows("SELECT started, passed FROM backfills")
    assert sum(row["started"] for row in rows) == 480
    assert all(row["started"] + row["passed"] == 480 for row in rows)


async def test_the_schedule_itself_and_a_backfill_do_not_run_an_instant_twice(platform: Platform) -> None:
    await platform.publish("a", HOURLY % ", misfire: all")
    platform.clock.at = START + 6 * HOUR
    await begin(platform, low=START - HOUR, high=START + 6 * HOUR)
    await platform.backfills.go_on()
    await platform.schedule.fire_due(platform.clock.at)
    await to_end(platform)
    assert sorted(hours(platform)) == list(range(-1, 7))


async def test_a_cancelled_one_starts_no_further_run_and_still_learns_how_its_runs_end(platform: Platform) -> None:
    await platform.publish("a", HOURLY % "")
    backfill = await begin(platform, max_active=5)
    await platform.backfills.go_on()
    ended = await platform.backfills.cancel(platform.workspace, "a", backfill.id, actor="ana")
    assert (ended.state, ended.reason, ended.started) == ("cancelled", "asked", 5)
    await end_runs(platform, "failed")
    await to_end(platform)
    ended = await now(platform, backfill)
    assert (ended.started, ended.failed, len(platform.runs.made)) == (5, 5, 5)
    again = await platform.backfills.cancel(platform.workspace, "a", backfill.id, actor="ana")
    assert again == ended
    actions = await platform.rows("SELECT action FROM audit WHERE action LIKE 'backfill.%' ORDER BY id")
    assert [row["action"] for row in actions] == ["backfill.started", "backfill.cancelled"]


async def test_it_waits_while_the_flow_is_paused_and_ends_when_its_trigger_is_gone(platform: Platform) -> None:
    await platform.publish("a", HOURLY % "")
    backfill = await begin(platform, max_active=5)
    await platform.flows.pause(platform.workspace, "a", None, actor="test")
    assert await platform.backfills.go_on()
    assert platform.runs.made == []
    await platform.flows.resume(platform.workspace, "a", actor="test")
    await platform.backfills.go_on()
    assert len(platform.runs.made) == 5
    await platform.publish("a", "  - {id: other, type: manual}")
    await end_runs(platform)
    await to_end(platform)
    ended = await now(platform, backfill)
    assert (ended.state, ended.reason, ended.started, ended.succeeded) == ("cancelled", "trigger_gone", 5, 5)


async def test_its_instants_stay_those_it_was_asked_for_when_the_flow_changes(platform: Platform) -> None:
    await platform.publish("a", HOURLY % "")
    await begin(platform, max_active=5)
    await platform.backfills.go_on()
    await platform.publish("a", '  - {id: t, type: schedule, cron: "30 * * * *"}')
    await end_runs(platform)
    await to_end(platform)
    assert hours(platform) == list(range(-24, 0))
    assert all(instant % HOUR == 0 for instant in platform.runs.instants)


async def test_what_the_trigger_declines_is_counted_and_its_tick_says_why(platform: Platform) -> None:
    await platform.publish("a", HOURLY % ", inputs: {refuse: true}", TAKES)
    backfill = await begin(platform)
    await to_end(platform)
    done = await now(platform, backfill)
    assert (done.state, done.started, done.declined) == ("done", 0, 24)
    reasons = await platform.rows("SELECT DISTINCT status, reason FROM ticks")
    assert reasons == [{"status": "skipped", "reason": "invalid_inputs"}]


async def test_the_clocks_of_a_zone_change_as_they_do_for_the_schedule(platform: Platform) -> None:
    await platform.publish("a", '  - {id: t, type: schedule, cron: "30 2 * * *", timezone: Europe/Berlin}')
    platform.clock.at = START
    low, high = from_rfc3339("2025-03-29T00:00:00+01:00"), from_rfc3339("2025-04-01T00:00:00+02:00")
    await begin(platform, low=low, high=high)
    await to_end(platform)
    assert [run.new.trigger["instant"][:16] for run in platform.runs.made] == [
        "2025-03-29T01:30", "2025-03-30T01:00", "2025-03-31T00:30",
    ]  # fmt: skip


async def test_intervals_are_counted_from_their_anchor_and_there_are_none_before_it(platform: Platform) -> None:
    await platform.publish("a", '  - {id: t, type: interval, every: 6h, anchor: "2025-12-31T01:00:00Z"}')
    await begin(platform, low=START - 10 * DAY)
    await to_end(platform)
    assert hours(platform) == [-23, -17, -11, -5]


async def test_the_same_key_is_the_same_backfill(platform: Platform) -> None:
    await platform.publish("a", HOURLY % "")
    first = await begin(platform, reprocess="all", idempotency_key="k")
    again = await begin(platform, reprocess="all", idempotency_key="k")
    assert first.id == again.id
    assert len(await platform.rows("SELECT id FROM backfills")) == 1


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"high": START + 1}, "not_past"),
        ({"low": START}, "bad_span"),
        ({}, "which_trigger"),
        ({"trigger": "x"}, "unknown_trigger"),
        ({"trigger": "u", "low": START - 200_001 * MINUTE}, "too_many_instants"),
    ],
)
async def test_what_cannot_be_is_refused_with_what_to_do(platform: Platform, asked: Any, code: str) -> None:
    await platform.publish(
        "a", f"{HOURLY % ''}\n  - {{id: u, type: interval, every: 1m, anchor: '2020-01-01T00:00:00Z'}}"
    )
    with pytest.raises(InvalidInput) as refused:
        await begin(platform, **asked)
    assert refused.value.code == code
    assert await platform.rows("SELECT id FROM backfills") == []


async def test_there_are_only_so_many_at_once(platform: Platform) -> None:
    await platform.publish("a", HOURLY % "")
    for _ in range(20):
        await begin(platform)
    with pytest.raises(Conflict) as refused:
        await begin(platform)
    assert refused.value.code == "too_many_backfills"


async def test_a_hundred_thousand_instants_go_in_small_pieces_and_let_others_get_on(platform: Platform) -> None:
    await platform.publish("a", "  - {id: t, type: interval, every: 1m, anchor: '2020-01-01T00:00:00Z'}")
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    backfill = await begin(platform, low=START - 100_000 * MINUTE, max_active=1_000)
    other.cancel()
    assert backfill.instants == 100_000
    assert turns >= 100_000 // CHUNK
    sizes = []
    write = platform.database.write

    async def measured(work: Any) -> Any:
        begun = await write(work)
        sizes.append(len(begun))
        return begun

    platform.database.write = measured  # type: ignore[method-assign]
    await platform.backfills.go_on()
    assert len(platform.runs.made) == 1_000
    assert max(sizes) == CHUNK


async def test_a_tick_of_long_ago_is_remembered_as_long_as_one_that_was_decided_now(platform: Platform) -> None:
    await platform.publish("a", HOURLY % "")
    await begin(platform, low=START - 400 * DAY, high=START - 399 * DAY)
    await to_end(platform)
    await platform.database.write(lambda c: delete_old(c, "ticks", START - 90 * DAY))
    assert await platform.tick_counts() == {"ran": 24}
    plan = await platform.backfills.plan(platform.workspace, "a", Asked(START - 400 * DAY, START - 399 * DAY))
    assert (plan.instants, plan.runs) == (24, 0)
    for table in ("ticks", "backfills"):
        await platform.database.write(lambda c, t=table: delete_old(c, t, START + DAY))  # type: ignore[misc]
    assert await platform.rows("SELECT instant AS at FROM ticks UNION SELECT low FROM backfills") == []
