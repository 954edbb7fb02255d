"""What is out at the broker, what waits in the database, and that neither drifts nor starves anybody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.integration.runs.house import PATIENCE, House

from monjolo.kit.errors import NotFound, Unavailable

ONE = "  - {id: a, uses: core/log, with: {message: hi}}"
RETRIED = "  - {id: a, uses: core/log, with: {message: hi}, retry: {max_attempts: 3, delay: 1h}}"


@pytest.fixture
async def narrow(tmp_path: Path):
    house = await House(tmp_path / "monjolo.db", window=4).open()
    await house.start()
    yield house
    await house.kill()


async def test_beyond_the_window_tasks_wait_in_the_database_and_all_are_done(narrow: House) -> None:
    await narrow.publish("f", ONE)
    runs = await narrow.runs.accept([await narrow.wish("f")] * 50)
    assert narrow.dispatcher.outstanding == 4
    taken = narrow.work()
    for run in runs:
        await narrow.ended(run.id)
    assert len(taken) == 50
    assert narrow.dispatcher.outstanding == 0
    assert await narrow.rows("SELECT * FROM tasks") == []


async def test_runs_for_which_memory_has_no_room_are_read_again_and_those_at_work_are_not(tmp_path: Path) -> None:
    house = House(tmp_path / "monjolo.db", window=4, kept_runs=8)
    await (await house.open()).start()
    try:
        await house.publish("f", ONE)
        runs = await house.runs.accept([await house.wish("f")] * 30)
        kept = await house.cache.get_many([run.id for run in runs[:8]])
        assert [kept[run.id] is run.entry for run in runs[:8]] == [True] * 8
        assert (await house.cache.get_many([runs[20].id]))[runs[20].id] is not runs[20].entry
        house.work()
        for run in runs:
            assert (await house.ended(run.id))["status"] == "succeeded"
    finally:
        await house.kill()


async def test_one_run_is_not_starved_by_a_thousand_of_another_flow(narrow: House) -> None:
    await narrow.publish("many", ONE)
    await narrow.publish("one", ONE)
    for _ in range(5):
        await narrow.runs.accept([await narrow.wish("many")] * 1_000)
    await narrow.begin("one")
    served = []
    for _ in range(12):
        tasks = await narrow.tasks()
        served += [task.flow for task in tasks]
        await narrow.report(*(narrow.finished(task) for task in tasks))
    assert "one" in served[:24]


async def test_tasks_of_an_action_that_is_short_travel_together_and_of_a_long_one_alone(house: House) -> None:
    await house.publish("f", ONE)
    await house.runs.accept([await house.wish("f")] * 40)
    first = [await house.task() for _ in range(40)]
    await house.report(*(house.finished(task) for task in first))
    await house.runs.accept([await house.wish("f")] * 40)
    together = [*await house.tasks(), *await house.tasks()]
    assert [task.short for task in together] == [True] * 40
    long_ago = house.clock.now() - 1_000_000
    await house.report(*(house.finished(task, started_at=long_ago) for task in together))
    await house.runs.accept([await house.wish("f")] * 3)
    messages = [await house.tasks() for _ in range(3)]
    assert [[one.short for one in tasks] for tasks in messages] == [[False], [False], [False]]


async def test_steps_that_wait_for_a_retry_take_no_place_in_the_window(narrow: House) -> None:
    await narrow.publish("tired", RETRIED)
    await narrow.publish("f", ONE)
    await narrow.runs.accept([await narrow.wish("tired")] * 4)
    for _ in range(4):
        await narrow.report(narrow.failed(await narrow.task()))
    assert narrow.dispatcher.outstanding == 0
    await narrow.begin("f")
    assert (await narrow.task()).flow == "f"


async def test_a_step_that_waits_for_a_retry_has_no_lease(house: House) -> None:
    await house.publish("tired", RETRIED)
    await house.begin("tired")
    task = await house.task()
    await house.report(house.started(task))
    assert len(house.leases) == 1
    await house.report(house.failed(task))
    assert len(house.leases) == 0


async def test_a_cancelled_step_that_still_waits_at_the_broker_is_not_handed_out(house: House) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    await house.cancel(run.id)
    assert (await house.ended(run.id))["status"] == "cancelled"
    await house.no_task()
    assert house.dispatcher.outstanding == 0


async def test_a_step_cancelled_between_its_commit_and_its_leaving_does_not_leave(house: House) -> None:
    await house.publish("f", ONE)
    publish = house.advance.publish
    runs: list[str] = []

    async def slow(stored):  # the gate is faster than the request that made the run
        if stored and stored[0].row is not None and not runs:
            runs.append(stored[0].run_id)
            await house.cancel(stored[0].run_id)
        await publish(stored)

    house.advance.publish = slow  # type: ignore[method-assign]
    run = await house.begin("f")
    assert (await house.run(run.id))["status"] == "cancelled"
    await house.no_task()
    assert house.dispatcher.outstanding == 0


async def test_what_happens_to_a_run_before_its_request_is_answered_is_not_forgotten(house: House) -> None:
    """The run moves on while the request that made it has not come back: its newest state must count."""
    await house.publish("child", ONE)
    await house.publish("f", "  - {id: sub, subflow: {flow: child}}")
    publish, held = house.advance.publish, asyncio.Event()

    async def slow(stored):
        if stored and stored[0].row is not None and stored[0].entry.flow.slug == "f":
            await held.wait()
        await publish(stored)

    house.advance.publish = slow  # type: ignore[method-assign]
    begun = asyncio.create_task(house.begin("f"))
    await house.until("SELECT id FROM runs WHERE flow = 'f'")
    house.advance.inbox_has_news.set()  # as another run's news would
    task = await house.task()
    held.set()
    run = await begun
    await house.finish(task)
    assert (await house.ended(run.id))["status"] == "succeeded"


@pytest.mark.parametrize("fault", [NotFound("gone"), KeyError("bug")])
async def test_a_task_that_cannot_be_made_ready_ends_its_step_and_nobody_elses(house: House, fault: Exception) -> None:
    await house.publish("f", ONE)
    house.sealer.fault = fault
    run = await house.begin("f")
    ended = await house.ended(run.id)
    assert (ended["status"], ended["error"]["type"]) == ("failed", "NotDispatchable")
    house.sealer.fault = None
    await house.begin("f")
    await house.task()


async def test_a_task_that_cannot_leave_is_sent_again_by_the_sweep(house: House) -> None:
    await house.publish("f", ONE)
    house.sealer.fault = Unavailable("not now")
    await house.begin("f")
    house.sealer.fault = None
    await house.repair.sweep()
    await house.no_task()  # it left a moment ago: it may only be slow
    house.move(31)
    await house.repair.sweep()
    await house.repair.sweep()
    assert (await house.task()).token == 2


async def test_a_broker_that_takes_nothing_delays_a_task_and_stops_nobody(house: House) -> None:
    await house.publish("f", ONE)
    publish = house.broker.publish

    async def refuse(messages) -> None:
        raise ConnectionError("away")

    house.broker.publish = refuse  # type: ignore[method-assign]
    run = await house.begin("f")
    house.broker.publish = publish  # type: ignore[method-assign]
    house.move(31)
    await house.repair.sweep()
    await house.repair.sweep()
    await house.finish(await house.task())
    assert (await house.ended(run.id))["status"] == "succeeded"


async def test_the_sweep_leaves_alone_what_is_merely_slow(house: House) -> None:
    await house.publish("f", ONE)
    await house.begin("f")
    house.move(3_600)
    await house.repair.sweep()
    await house.repair.sweep()
    assert (await house.task()).token == 1


async def test_what_is_ready_without_anybody_having_been_told_is_found(house: House) -> None:
    """As when the one who made the run went away between its commit and saying so."""
    await house.publish("f", ONE)
    prepared = await house.runs.prepare(house.workspace, [await house.wish("f")])
    await house.database.write(lambda c: house.runs.insert(c, prepared))
    await house.no_task()
    await house.repair.sweep()
    assert (await house.task()).run_id == prepared[0].id


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_request_whose_caller_goes_away_still_makes_its_run_leave(house: House, key: str | None) -> None:
    await house.publish("f", ONE)
    request = asyncio.create_task(house.begin("f", idempotency_key=key))
    while not await house.rows("SELECT id FROM runs"):
        await asyncio.sleep(0)
        request.cancel()
        if request.done():
            break
    await asyncio.gather(request, return_exceptions=True)
    await nothing_reserved(house)  # what it had begun to write goes on without it
    stored = await house.rows("SELECT id FROM runs")
    if stored:
        await house.task()
    assert house.dispatcher.outstanding == len(stored)


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_request_whose_caller_goes_away_and_that_cannot_be_written_keeps_no_place(
    house: House, key: str | None
) -> None:
    await house.publish("f", ONE)
    house.database.fault = Unavailable("full", code="disk_full")
    request = asyncio.create_task(house.begin("f", idempotency_key=key))
    while not house.dispatcher._reserved:  # noqa: ASYNC110
        await asyncio.sleep(0)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    await nothing_reserved(house)
    house.database.fault = None
    await house.begin("f", idempotency_key=key)
    await house.finish(await house.task())
    assert house.dispatcher.outstanding == 0


async def nothing_reserved(house: House) -> None:
    async with asyncio.timeout(PATIENCE):
        while house.dispatcher._reserved:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_an_unwritable_database_delays_the_backlog_only(narrow: House) -> None:
    await narrow.publish("f", ONE)
    runs = await narrow.runs.accept([await narrow.wish("f")] * 20)
    taken = narrow.work()
    narrow.database.fault = Unavailable("full", code="disk_full")
    async with asyncio.timeout(PATIENCE):
        while narrow.database.failed < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    narrow.database.fault = None
    for run in runs:
        assert (await narrow.ended(run.id))["status"] == "succeeded"
    assert len(taken) == 20
