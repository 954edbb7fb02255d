"""Who waits for a place, how many may, and whose turn comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.runs.house import House

from monjolo.engine.admission import queue_at

ONE = "  - {id: a, uses: core/log, with: {message: hi}}"
MINUTE = 60.0


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncIterator[House]:
    house = await House(tmp_path / "monjolo.db", window=2).open()
    await house.start()
    yield house
    await house.kill()


async def _begin(house: House, count: int, *, one_by_one: bool, slug: str = "f") -> list[str]:
    """The runs, in the order in which they were asked for."""
    if one_by_one:
        return [(await house.begin(slug)).id for _ in range(count)]
    return [run.id for run in await house.runs.accept([await house.wish(slug)] * count)]


async def _settled(house: House) -> None:
    await house.until("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM inbox)")
    await house.advance.submit([])


async def _ends(house: House, runs: list[str]) -> list[tuple[str, str | None]]:
    await _settled(house)
    found = [await house.run(run) for run in runs]
    return [(run["status"], run["reason"]) for run in found]


@pytest.mark.parametrize("one_by_one", [True, False])
async def test_above_max_queued_a_run_fails_and_says_why(house: House, one_by_one: bool) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 1, max_queued: 2}")
    runs = await _begin(house, 5, one_by_one=one_by_one)
    waits, full = ("queued", "concurrency"), ("failed", "queue_full")
    assert await _ends(house, runs) == [("running", None), waits, waits, full, full]
    assert "max_queued" in (await house.run(runs[4]))["error"]["message"]
    assert "max_queued" in (await house.why(runs[4]))["sentence"]
    house.work()
    for run in runs[:3]:
        assert (await house.ended(run))["status"] == "succeeded"
    assert await house.rows("SELECT * FROM slots") == []


@pytest.mark.parametrize("one_by_one", [True, False])
async def test_of_the_runs_that_wait_only_the_newest_stays_and_the_others_name_it(
    house: House, one_by_one: bool
) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 1, coalesce: newest}")
    runs = await _begin(house, 5, one_by_one=one_by_one)
    gone = ("skipped", "coalesced")
    assert await _ends(house, runs) == [("running", None), gone, gone, gone, ("queued", "concurrency")]
    named = [(await house.run(run))["error"]["details"]["run"] for run in runs[1:4]]
    assert named == (runs[2:5] if one_by_one else [runs[4]] * 3)
    assert named[2] in (await house.why(runs[3]))["sentence"]
    taken = house.work()
    await house.ended(runs[4])
    assert [task.run_id for task in taken] == [runs[0], runs[4]]


@pytest.mark.parametrize("one_by_one", [True, False])
async def test_or_the_oldest_stays_and_those_that_come_leave(house: House, one_by_one: bool) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 1, coalesce: oldest}")
    runs = await _begin(house, 4, one_by_one=one_by_one)
    gone = ("skipped", "coalesced")
    assert await _ends(house, runs) == [("running", None), ("queued", "concurrency"), gone, gone]
    assert {(await house.run(run))["error"]["details"]["run"] for run in runs[2:]} == {runs[1]}


async def test_with_max_queued_as_many_of_the_newest_stay(house: House) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 1, max_queued: 2, coalesce: newest}")
    runs = await _begin(house, 5, one_by_one=True)
    assert [status for status, _ in await _ends(house, runs)] == ["running", "skipped", "skipped", "queued", "queued"]


async def test_a_queue_that_grew_before_it_was_coalesced_becomes_one_run(house: House) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 1}")
    before = await _begin(house, 30, one_by_one=False)
    await house.publish("f", ONE, "concurrency: {limit: 1, coalesce: newest}")
    [newest] = await _begin(house, 1, one_by_one=True)
    ended = Counter(await _ends(house, [*before, newest]))
    assert ended == {("running", None): 1, ("skipped", "coalesced"): 29, ("queued", "concurrency"): 1}
    assert (await house.run(newest))["status"] == "queued"


async def test_a_step_that_waits_for_its_place_is_coalesced_and_its_run_goes_on(house: House) -> None:
    steps = "  - {id: a, uses: core/log, concurrency: {limit: 1, coalesce: newest}}\n  - {id: b, uses: core/log}"
    await house.publish("f", steps)
    runs = await _begin(house, 3, one_by_one=True)
    await _settled(house)
    assert await house.status_of(runs[1], "a") == "skipped"
    house.work()
    for run in runs:
        assert (await house.ended(run))["status"] == "succeeded"


@pytest.mark.parametrize("one_by_one", [True, False])
async def test_the_newest_supersedes_what_runs_and_what_waits(house: House, one_by_one: bool) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 1, on_limit: cancel_running}")
    runs = await _begin(house, 4, one_by_one=one_by_one)
    await house.until("SELECT 1 FROM runs WHERE status = 'running' AND id = ?", runs[3])
    assert (await _ends(house, runs))[:3] == [("cancelled", "superseded")] * 3
    house.work()
    assert (await house.ended(runs[3]))["status"] == "succeeded"
    assert await house.rows("SELECT * FROM slots") == []


async def test_a_queue_of_ten_thousand_costs_a_grant_no_more_than_a_queue_of_one(house: House) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 1}")
    await _begin(house, 2, one_by_one=True)
    plans = {}
    asked = "workspace_id = 'w' AND slot_key = 's' AND state = 'waiting'"
    for question in (
        f"SELECT run_id, key, slot_limit FROM slots WHERE {asked} ORDER BY queue_at, run_id, key LIMIT 1",
        f"SELECT COUNT(*) FROM (SELECT 1 FROM slots WHERE {asked} LIMIT 3)",
        "SELECT flow_id, priority, queue_at FROM tasks WHERE state = 'ready' AND worker_group = 'g' AND flow_id > 'f' "
        "ORDER BY flow_id, queue_at LIMIT 1",
        "SELECT run_id FROM tasks WHERE state = 'ready' AND worker_group = 'g' AND flow_id = 'f' AND queue_at <= 9 "
        "ORDER BY queue_at LIMIT 9",
    ):
        plans[question] = " ".join(row["detail"] for row in await house.rows(f"EXPLAIN QUERY PLAN {question}"))
    for question, plan in plans.items():
        assert "USING" in plan, question
        assert "INDEX" in plan, question
        assert "TEMP B-TREE" not in plan, question


# --- priority -----------------------------------------------------------------------------------------------


async def _served(house: House, count: int) -> list[str]:
    """The flows of the next tasks, in the order in which they leave; each is done before the next is taken."""
    served: list[str] = []
    while len(served) < count:
        tasks = await house.tasks()
        served += [task.flow for task in tasks]
        await house.report(*(house.finished(task) for task in tasks))
    return served


async def test_of_what_waits_for_a_worker_the_higher_priority_leaves_first(narrow: House) -> None:
    await narrow.publish("low", ONE, "priority: 10")
    await narrow.publish("high", ONE, "priority: 90")
    await _begin(narrow, 20, one_by_one=False, slug="low")
    await _begin(narrow, 10, one_by_one=False, slug="high")
    served = await _served(narrow, 30)
    assert Counter(served[:14])["high"] == 10  # four of the others were at the broker, or on their way to it
    assert set(served[14:]) == {"low"}


async def test_waiting_makes_up_for_priority_so_that_nobody_is_starved(narrow: House) -> None:
    await narrow.publish("low", ONE, "priority: 10")
    await narrow.publish("high", ONE, "priority: 20")
    await _begin(narrow, 10, one_by_one=False, slug="low")
    narrow.move(11 * MINUTE)
    await _begin(narrow, 20, one_by_one=False, slug="high")
    served = await _served(narrow, 16)
    assert Counter(served[4:])["low"] >= 4  # it waited for more than ten minutes: an equal share, no more
    assert Counter(served[4:])["high"] >= 4


async def test_a_flow_with_a_hundred_runs_of_one_priority_does_not_starve_another_one(narrow: House) -> None:
    for slug in ("many", "one"):
        await narrow.publish(slug, ONE, "priority: 70")
    await _begin(narrow, 100, one_by_one=False, slug="many")
    narrow.move(90 * MINUTE)
    await _begin(narrow, 1, one_by_one=True, slug="one")
    assert "one" in await _served(narrow, 8)


async def test_a_run_may_have_a_priority_of_its_own_and_what_it_calls_takes_it_over(house: House) -> None:
    await house.publish("child", ONE)
    await house.publish("proud", ONE, "priority: 5")
    await house.publish("f", "  - {id: c, subflow: {flow: child}}\n  - {id: p, subflow: {flow: proud}}")
    house.work()
    run = await house.begin("f", priority=80)
    await house.ended(run.id)
    found = {row["flow"]: row["priority"] for row in await house.rows("SELECT flow, priority FROM runs")}
    assert found == {"f": 80, "child": 80, "proud": 5}
    assert (await house.run(run.id))["priority"] == 80


async def test_a_slot_goes_to_the_higher_priority_and_in_time_to_the_lower_one(house: House) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 1}")
    first = await house.begin("f")
    low = await house.begin("f", priority=40)
    house.move(5 * MINUTE)
    high = await house.begin("f", priority=44)  # four points are made up for by the five minutes
    higher = await house.begin("f", priority=46)
    order = [task.run_id for task in [await _done(house) for _ in range(4)]]
    assert order == [first.id, higher.id, low.id, high.id]


async def _done(house: House):
    task = await house.task()
    await house.finish(task)
    await house.ended(task.run_id)
    return task


def test_a_minute_weighs_as_much_as_a_point() -> None:
    assert queue_at(51, 120_000_000) == queue_at(50, 60_000_000)
