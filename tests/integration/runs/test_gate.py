"""The one gate: reports doubled, late and stale; faults of the database; a run that cannot go on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.integration.runs.house import PATIENCE, House

from monjolo.domains.runs.advance import Fact
from monjolo.engine import events as facts
from monjolo.kit.errors import Unavailable
from monjolo.kit.time import SECOND
from monjolo_sdk.wire import Heartbeat, LogBatch, LogLine

ONE = "  - {id: a, uses: core/log, with: {message: hi}}"
TWO = ONE + "\n  - {id: b, uses: core/log, with: {message: ho}}"


async def test_a_report_that_comes_twice_counts_once(house: House) -> None:
    await house.publish("f", TWO)
    run = await house.begin("f")
    task = await house.task()
    await house.report(house.finished(task, 1), house.finished(task, 2))
    await house.finish(task, 3)
    rows = await house.rows("SELECT output FROM steps WHERE run_id = ? AND key = 'a'", run.id)
    assert rows == [{"output": "1"}]
    assert (await house.task()).key == "b"
    await house.no_task()


async def test_a_late_report_changes_nothing_that_ended(house: House) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    task = await house.task()
    await house.report(house.started(task))
    await house.cancel(run.id)
    house.move(16)
    assert (await house.ended(run.id))["status"] == "cancelled"
    await house.finish(task, "late")
    assert await house.status_of(run.id, "a") == "cancelled"


@pytest.mark.parametrize("forced", [True, False])
@pytest.mark.parametrize(("delivery", "status"), [("at_least_once", "cancelled"), ("at_most_once", "unknown")])
async def test_an_attempt_that_never_said_it_stopped_ends_with_its_step(
    house: House, forced: bool, delivery: str, status: str
) -> None:
    await house.publish("f", ONE.replace("{id: a,", f"{{id: a, delivery: {delivery},"))
    run = await house.begin("f")
    task = await house.task()
    await house.report(house.started(task), house.claim(task))
    await house.cancel(run.id)
    if forced:
        await house.cancel(run.id, force=True)
    else:
        house.move(16)
    assert (await house.ended(run.id))["status"] in ("cancelled", "failed")
    assert await house.status_of(run.id, "a") == status
    [attempt] = await house.rows("SELECT status, worker, finished_at FROM attempts WHERE run_id = ?", run.id)
    assert (attempt["status"], attempt["worker"], attempt["finished_at"]) == (status, "w1", house.clock.now())
    await house.finish(task, "late")
    assert (await house.rows("SELECT status FROM attempts WHERE run_id = ?", run.id)) == [{"status": status}]


async def test_a_report_with_an_old_token_changes_nothing(house: House) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    old = await house.task()
    await house.report(house.released(old))
    new = await house.task()
    assert (new.token, new.alone) == (2, True)
    await house.finish(old, "old")
    assert await house.status_of(run.id, "a") == "queued"


async def test_reports_are_answered_only_after_the_commit(house: House) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    task = await house.task()
    house.database.fault = Unavailable("full", code="disk_full")
    report = asyncio.create_task(house.broker.report([house.finished(task)]))
    async with asyncio.timeout(PATIENCE):
        while house.database.failed < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not report.done()
    assert await house.status_of(run.id, "a") == "queued"
    house.database.fault = None
    await report
    assert (await house.ended(run.id))["status"] == "succeeded"


async def test_heartbeats_and_logs_outlive_a_full_disk(house: House) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    task = await house.task()
    await house.report(house.started(task))
    house.database.fault = Unavailable("full", code="disk_full")
    held = ((task.run_id, task.key, task.token),)
    for _ in range(20):
        house.move(5)
        await house.broker.heartbeat(Heartbeat("w1", "default", house.clock.now(), 4, held))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await house.repair.judge_leases()
    with pytest.raises(Unavailable):
        await house.broker.logs([_batch(task.run_id, "hello")])
    house.database.fault = None
    await house.broker.logs([_batch(task.run_id, "hello")])
    assert await house.status_of(run.id, "a") == "running"
    await house.finish(task)
    assert (await house.ended(run.id))["status"] == "succeeded"


async def test_a_step_whose_start_waited_for_the_database_is_not_taken_for_lost(house: House) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    task = await house.task()
    started = house.started(task)
    house.move(60)
    await house.report(started)
    await house.repair.judge_leases()
    await house.repair.judge_leases()
    assert await house.status_of(run.id, "a") == "running"


async def test_a_silent_worker_is_believed_for_its_lease_and_then_its_step_is_taken_over(house: House) -> None:
    await house.publish("f", ONE)
    await house.begin("f")
    await house.report(house.started(await house.task()))
    for _ in range(6):
        await house.repair.judge_leases()
        house.move(5)
    await house.no_task()
    house.move(5)
    await house.repair.judge_leases()
    task = await house.task()
    assert (task.attempt, task.token) == (2, 2)


async def test_a_run_that_cannot_be_decided_is_set_aside_and_the_others_finish(house: House) -> None:
    await house.publish("f", TWO)
    runs = await house.runs.accept([await house.wish("f")] * 500)
    poisoned = runs[250]
    (entry,) = (await house.cache.get_many([poisoned.id])).values()
    entry.state.steps["a"] = _Raising()  # type: ignore[assignment]
    house.work()
    for run in runs:
        if run is not poisoned:
            assert (await house.ended(run.id))["status"] == "succeeded"
    assert (await house.run(poisoned.id))["quarantined"]
    assert "set aside" in (await house.why(poisoned.id))["sentence"]


class _Raising:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("a fault of ours")


async def test_a_run_that_cannot_be_written_is_set_aside_and_the_others_finish(house: House) -> None:
    await house.publish("f", TWO)
    runs = await house.runs.accept([await house.wish("f")] * 20)
    tasks = [await house.task() for _ in runs]
    poisoned = runs[7]
    outputs = {task.run_id: {"x": object()} if task.run_id == poisoned.id else {} for task in tasks}
    await house.report(*(house.finished(task, outputs[task.run_id]) for task in tasks))
    house.work()
    for run in runs:
        if run is not poisoned:
            assert (await house.ended(run.id))["status"] == "succeeded"
    assert (await house.run(poisoned.id))["quarantined"]


async def test_a_run_that_cannot_be_read_is_set_aside_and_the_others_finish(house: House) -> None:
    await house.publish("f", TWO)
    runs = await house.runs.accept([await house.wish("f")] * 20)
    poisoned = runs[7]
    house.cache.drop(poisoned.id)
    await house.sqlite.write(lambda c: c.execute("UPDATE runs SET head = '{}' WHERE id = ?", (poisoned.id,)))
    house.work()
    for run in runs:
        if run is not poisoned:
            assert (await house.ended(run.id))["status"] == "succeeded"
    assert (await house.run(poisoned.id))["quarantined"]


async def test_a_run_that_was_set_aside_can_be_ended_by_force_and_gives_back_its_slot(house: House) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 1}")
    first, second = await house.begin("f"), await house.begin("f")
    task = await house.task()
    house.cache.drop(first.id)
    await house.sqlite.write(lambda c: c.execute("UPDATE runs SET head = '{}' WHERE id = ?", (first.id,)))
    await house.finish(task)
    assert (await house.run(first.id))["quarantined"]
    await house.cancel(first.id, force=True)
    assert (await house.ended(first.id))["status"] == "crashed"
    await house.finish(await house.task())
    assert (await house.ended(second.id))["status"] == "succeeded"
    for table in ("tasks", "slots", "timers"):
        assert await house.rows(f"SELECT * FROM {table}") == []


async def test_a_fact_about_a_run_that_is_not_there_is_dropped(house: House) -> None:
    await house.advance.submit([Fact("no-such-run", facts.CancelRequested(house.clock.now(), "x"))])


async def test_a_child_that_cannot_be_read_for_is_tried_again_not_refused(house: House) -> None:
    """A database that is away for a moment is no reason to fail the step that calls a flow."""
    await house.publish("child", ONE)
    await house.publish("f", "  - {id: sub, subflow: {flow: child}}")
    find, tries = house.advance._find_flow, 0

    async def away(workspace: str, slug: str) -> str:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Unavailable("away")
        return await find(workspace, slug)

    house.advance._find_flow = away
    await house.begin("f")
    assert (await house.task()).flow == "child"


async def test_of_a_run_that_lost_the_comparison_no_child_is_made_twice(house: House) -> None:
    await house.publish("child", ONE)
    await house.publish("f", ONE + "\n  - {id: sub, subflow: {flow: child}}")
    run = await house.begin("f")
    task = await house.task()
    await house.sqlite.write(lambda c: c.execute("UPDATE runs SET revision = revision + 1 WHERE id = ?", (run.id,)))
    await house.finish(task)
    assert len(await house.rows("SELECT id FROM runs WHERE parent_run_id = ?", run.id)) == 1
    await house.finish(await house.task())
    assert (await house.ended(run.id))["status"] == "succeeded"
    assert house.dispatcher.outstanding == 0


async def test_dispatched_and_cancelled_in_one_batch_nothing_leaves(house: House) -> None:
    await house.publish("f", TWO)
    run = await house.begin("f")
    task, now = await house.task(), house.clock.now()
    finished = facts.TaskFinished(now, "a", task.token, "succeeded", now, {})
    await house.advance.submit([Fact(run.id, finished), Fact(run.id, facts.CancelRequested(now, "cancelled"))])
    assert (await house.ended(run.id))["status"] == "cancelled"
    await house.no_task()
    assert house.dispatcher.outstanding == 0
    assert await house.rows("SELECT * FROM tasks") == []


async def test_a_timer_set_while_the_next_one_is_looked_for_is_not_missed(house: House) -> None:
    await house.publish("f", "  - {id: nap, sleep: 10s}")
    runs = [await house.begin("f") for _ in range(5)]
    house.clock.at += 11 * SECOND
    house.advance.timer_was_set.set()
    for run in runs:
        assert (await house.ended(run.id))["status"] == "succeeded"
    assert await house.rows("SELECT * FROM timers") == []


def _batch(run_id: str, text: str) -> LogBatch:
    return LogBatch(run_id, "a", 1, 1, 1, (LogLine(1, "info", "stdout", text),))


async def test_a_line_that_is_no_proper_text_is_stored_and_stops_nobody(house: House) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    await house.broker.logs([_batch(run.id, "bad \udcff byte")])
    lines, _ = await house.logs.page(run.id, step=None, attempt=None, after=None, limit=10)
    assert len(lines) == 1
    assert lines[0]["text"].startswith("bad ")
