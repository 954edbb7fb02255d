"""Killed at any moment and opened again on the same file: nothing is lost, nothing is begun twice without need."""

from __future__ import annotations

import asyncio

from tests.integration.runs.conftest import Reopen
from tests.integration.runs.house import House

ONE = "  - {id: a, uses: core/log, with: {message: hi}}"
TWO = ONE + "\n  - {id: b, uses: core/log, with: {message: ho}}"
ONCE = "  - {id: a, uses: core/log, with: {message: hi}, delivery: at_most_once}"


async def test_what_was_on_its_way_is_sent_again_alone_under_a_new_token(house: House, reopen: Reopen) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    old = await house.task()
    house = await reopen(house)
    new = await house.task()
    assert (new.token, new.alone, new.attempt) == (2, True, 1)
    await house.finish(old, "late")
    assert await house.status_of(run.id, "a") == "queued"
    await house.finish(new)
    assert (await house.ended(run.id))["status"] == "succeeded"


async def test_what_was_running_is_a_lost_attempt_and_tried_again(house: House, reopen: Reopen) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    await house.report(house.started(await house.task()))
    house = await reopen(house)
    task = await house.task()
    assert (task.token, task.attempt) == (2, 2)
    attempts = await house.rows("SELECT status, worker FROM attempts WHERE run_id = ? AND token = 1", run.id)
    assert attempts == [{"status": "crashed", "worker": "w1"}]


async def test_a_permitted_task_that_may_happen_once_ends_unknown(house: House, reopen: Reopen) -> None:
    await house.publish("f", ONCE)
    run = await house.begin("f")
    await house.report(house.claim(await house.task()))
    house = await reopen(house)
    await house.ended(run.id)
    assert await house.status_of(run.id, "a") == "unknown"
    await house.no_task()


async def test_one_that_was_not_permitted_yet_is_sent_again(house: House, reopen: Reopen) -> None:
    await house.publish("f", ONCE)
    run = await house.begin("f")
    await house.task()
    house = await reopen(house)
    task = await house.task()
    await house.report(house.claim(task))
    await house.finish(task)
    assert (await house.ended(run.id))["status"] == "succeeded"


async def test_timers_fire_after_a_restart(house: House, reopen: Reopen) -> None:
    await house.publish("f", "  - {id: a, sleep: 1h}\n" + ONE.replace("id: a", "id: b"))
    await house.begin("f")
    house = await reopen(house)
    await house.no_task()
    house.move(3_601)
    assert (await house.task()).key == "b"


async def test_what_one_run_told_another_is_heard_after_a_restart(house: House, reopen: Reopen) -> None:
    """The child ends and the process dies before its parent has heard."""
    await house.publish("child", ONE)
    await house.publish("f", "  - {id: sub, subflow: {flow: child}}")
    run = await house.begin("f")
    task = await house.task()
    house.advance.inbox_has_news.set = lambda: None  # type: ignore[method-assign]
    await house.finish(task)
    assert await house.rows("SELECT id FROM inbox") != []
    house = await reopen(house)
    assert (await house.ended(run.id))["status"] == "succeeded"
    assert await house.rows("SELECT id FROM inbox") == []


async def test_slots_are_kept_and_handed_on(house: House, reopen: Reopen) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 1}")
    first, second = await house.begin("f"), await house.begin("f")
    await house.task()
    house = await reopen(house)
    task = await house.task()
    assert task.run_id == first.id
    await house.no_task()
    await house.finish(task)
    await house.finish(await house.task())
    assert (await house.ended(second.id))["status"] == "succeeded"
    assert await house.rows("SELECT * FROM slots") == []


async def test_a_run_that_could_not_begin_before_the_restart_begins_after_it(house: House, reopen: Reopen) -> None:
    await house.publish("child", ONE)
    await house.publish("f", "  - {id: sub, subflow: {flow: child}}")
    house.advance.inbox_has_news.set = lambda: None  # type: ignore[method-assign]
    await house.begin("f")
    house = await reopen(house)
    assert (await house.task()).flow == "child"


async def test_an_orderly_stop_costs_no_attempt_of_what_never_began(house: House, reopen: Reopen) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    for _ in range(6):  # more often than crashes are forgiven
        await house.repair.put_back()
        assert (await house.rows("SELECT state FROM tasks")) == [{"state": "ready"}]
        house = await reopen(house)
        await house.until("SELECT 1 FROM tasks WHERE state = 'dispatched'")
        while not house.dispatcher.outstanding:  # noqa: ASYNC110
            await asyncio.sleep(0)
    await house.finish(await house.task())
    assert (await house.ended(run.id))["status"] == "succeeded"


async def test_killed_between_any_two_reports_every_run_ends(house: House, reopen: Reopen) -> None:
    await house.publish("f", TWO)
    runs = await house.runs.accept([await house.wish("f")] * 20)
    for _ in range(8):
        for _ in range(5):
            await house.finish(await house.task())
        house = await reopen(house)
    house.work()
    for run in runs:
        await house.ended(run.id)
    for table in ("tasks", "timers", "slots", "inbox"):
        assert await house.rows(f"SELECT * FROM {table}") == []


async def test_a_sub_flow_goes_on_where_it_was(house: House, reopen: Reopen) -> None:
    await house.publish("leaf", TWO)
    await house.publish("middle", "  - {id: sub, subflow: {flow: leaf}}")
    await house.publish("top", "  - {id: sub, subflow: {flow: middle}}")
    run = await house.begin("top")
    await house.finish(await house.task())
    house = await reopen(house)
    task = await house.task()
    assert (task.flow, task.key) == ("leaf", "b")
    await house.finish(task)
    assert (await house.ended(run.id))["status"] == "succeeded"


async def test_a_task_that_waited_in_the_queue_of_many_dead_processes_is_not_to_blame(
    house: House, reopen: Reopen
) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    for _ in range(7):
        house = await reopen(house)
        await house.until("SELECT 1 FROM tasks WHERE state = 'dispatched'")
    task = await house.task()
    assert task.attempt == 1
    await house.finish(task)
    assert (await house.ended(run.id))["status"] == "succeeded"


async def test_a_task_that_kills_the_process_is_started_a_bounded_number_of_times(house: House, reopen: Reopen) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    starts = 0
    for _ in range(20):
        if (await house.run(run.id))["status"] == "crashed":
            break
        task = await house.task()
        if task.alone:  # a lone task says that it begins before it does
            await house.report(house.started(task))
        starts += 1
        house = await reopen(house)
        await house.advance.submit([])
        house.move(31)
    assert (await house.ended(run.id))["status"] == "crashed"
    assert starts == 1 + 1 + 3, "max_attempts, one in a shared message, max_crashes"
