"""Runs that depend on one another: sub-flows, slots, cancels that reach everything below."""

from __future__ import annotations

import pytest
from tests.integration.runs.house import House

from monjolo.domains.runs.models import RepeatWish

ONE = "  - {id: a, uses: core/log, with: {message: hi}}"
SUB = "  - {id: sub, subflow: {flow: child}}"


async def _chain(house: House) -> None:
    await house.publish("leaf", ONE)
    await house.publish("middle", "  - {id: sub, subflow: {flow: leaf}}")
    await house.publish("top", "  - {id: sub, subflow: {flow: middle}}")


async def test_a_cancel_reaches_three_levels_down(house: House) -> None:
    await _chain(house)
    run = await house.begin("top")
    task = await house.task()
    await house.report(house.started(task))
    await house.cancel(run.id)
    await house.until("SELECT 1 FROM steps WHERE key = 'a' AND reason = 'cancelling'")
    await house.report(house.finished(task, status="cancelled"))
    assert (await house.ended(run.id))["status"] == "cancelled"
    assert {row["status"] for row in await house.rows("SELECT status FROM runs")} == {"cancelled"}
    for table in ("tasks", "timers", "slots", "inbox"):
        assert await house.rows(f"SELECT * FROM {table}") == []


async def test_a_sub_flow_takes_inputs_and_gives_outputs(house: House) -> None:
    await house.publish(
        "child", "  - {id: a, uses: core/log, with: {m: '${{ inputs.x }}'}}",
        "inputs: {type: object, properties: {x: {type: string}}}\noutputs: {said: '${{ steps.a.output.m }}'}",
    )  # fmt: skip
    await house.publish(
        "f",
        "  - {id: sub, subflow: {flow: child, inputs: {x: hello}}}",
        "outputs: {o: '${{ steps.sub.output.outputs }}'}",
    )
    house.work()
    run = await house.begin("f")
    assert (await house.ended(run.id))["outputs"] == {"o": {"said": "hello"}}


async def test_a_sub_flow_that_is_not_there_or_does_not_fit_fails_the_step(house: House) -> None:
    await house.publish("child", ONE, "inputs: {type: object, properties: {x: {type: string}}, required: [x]}")
    await house.publish("f", "  - {id: sub, subflow: {flow: child, inputs: {x: '${{ 1 }}'}}}")
    run = await house.begin("f")
    ended = await house.ended(run.id)
    assert (ended["status"], ended["error"]["type"]) == ("failed", "SubflowRefused")
    assert "inputs/x" in ended["error"]["message"]


async def test_flows_that_call_themselves_end_at_the_greatest_depth(house: House) -> None:
    await house.publish("child", ONE)
    await house.publish("child", "  - {id: sub, subflow: {flow: child}}")
    run = await house.begin("child")
    ended = await house.ended(run.id)
    assert ended["status"] == "failed"
    assert len(await house.rows("SELECT id FROM runs")) == 33


async def test_the_failure_of_a_sub_flow_is_the_steps_unless_told_otherwise(house: House) -> None:
    await house.publish("child", ONE)
    await house.publish("strict", SUB)
    await house.publish("mild", "  - {id: sub, subflow: {flow: child, propagate_failure: false}}")
    house.work(house.failed)
    assert (await house.ended((await house.begin("strict")).id))["status"] == "failed"
    assert (await house.ended((await house.begin("mild")).id))["status"] == "succeeded"


async def test_a_sub_flow_that_is_not_waited_for_goes_on_alone(house: House) -> None:
    await house.publish("child", ONE)
    await house.publish("f", "  - {id: sub, subflow: {flow: child, wait: false}}")
    run = await house.begin("f")
    assert (await house.ended(run.id))["status"] == "succeeded"
    await house.finish(await house.task())
    child = await house.rows("SELECT id FROM runs WHERE parent_run_id IS NOT NULL")
    assert (await house.ended(child[0]["id"]))["status"] == "succeeded"


async def test_a_place_is_handed_on_in_the_order_it_was_asked_for(house: House) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 2}")
    runs = []
    for _ in range(6):
        runs.append(await house.begin("f"))
        house.move(1)
    order = []
    for _ in runs:
        task = await house.task()
        order.append(task.run_id)
        held = await house.rows("SELECT COUNT(*) AS n FROM slots WHERE state = 'held'")
        assert held[0]["n"] <= 2
        await house.finish(task)
    assert order == [run.id for run in runs]
    assert await house.rows("SELECT * FROM slots") == []


@pytest.mark.parametrize(("how", "status"), [("skip", "skipped"), ("fail", "failed")])
async def test_beyond_the_limit_a_run_is_refused_as_told(house: House, how: str, status: str) -> None:
    await house.publish("f", ONE, f"concurrency: {{limit: 1, on_limit: {how}}}")
    first, second = await house.begin("f"), await house.begin("f")
    assert (await house.ended(second.id))["status"] == status
    await house.finish(await house.task())
    assert (await house.ended(first.id))["status"] == "succeeded"
    assert await house.rows("SELECT * FROM slots") == []


async def test_the_newer_run_takes_the_place_of_the_running_one(house: House) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 1, on_limit: cancel_running}")
    first = await house.begin("f")
    await house.task()
    second = await house.begin("f")
    assert (await house.ended(first.id))["status"] == "cancelled"
    task = await house.task()
    assert task.run_id == second.id
    await house.finish(task)
    assert (await house.ended(second.id))["status"] == "succeeded"


async def test_steps_share_places_across_runs_and_a_cancelled_waiter_leaves_the_queue(house: House) -> None:
    await house.publish("f", "  - {id: a, uses: core/log, with: {m: 1}, concurrency: {limit: 1}}")
    first, second, third = [await house.begin("f") for _ in range(3)]
    task = await house.task()
    assert (await house.why(second.id))["parts"][0]["code"] == "concurrency"
    await house.cancel(second.id)
    assert (await house.ended(second.id))["status"] == "cancelled"
    await house.finish(task)
    assert (await house.task()).run_id == third.id
    assert (await house.ended(first.id))["status"] == "succeeded"


async def test_a_cancel_of_a_run_that_waits_for_its_place_leaves_none_behind(house: House) -> None:
    await house.publish("f", ONE, "concurrency: {limit: 1}")
    first, second = await house.begin("f"), await house.begin("f")
    assert "held by f #1" in (await house.why(second.id))["sentence"]
    await house.cancel(second.id)
    await house.cancel(first.id)
    for run in (first, second):
        assert (await house.ended(run.id))["status"] == "cancelled"
    assert await house.rows("SELECT * FROM slots") == []


async def test_a_cancel_lets_its_handler_run_and_force_does_not_wait(house: House) -> None:
    handler = "on_cancel:\n  - {id: tidy, uses: core/log, with: {m: 1}}"
    await house.publish("f", ONE, handler)
    run = await house.begin("f")
    await house.task()
    await house.cancel(run.id)
    tidy = await house.task()
    assert tidy.key == "on_cancel.tidy"
    await house.finish(tidy)
    assert (await house.ended(run.id))["status"] == "cancelled"
    forced = await house.begin("f")
    await house.report(house.started(await house.task()))
    await house.cancel(forced.id)
    await house.cancel(forced.id, force=True)
    assert (await house.ended(forced.id))["status"] == "cancelled"
    await house.no_task()


async def test_a_run_that_takes_too_long_is_timed_out(house: House) -> None:
    await house.publish("f", ONE, "timeout: 30s")
    run = await house.begin("f")
    await house.task()
    house.move(31)
    assert (await house.ended(run.id))["status"] == "timed_out"
    assert await house.rows("SELECT * FROM timers") == []


async def test_what_waits_says_why(house: House) -> None:
    await house.publish("nap", "  - {id: a, sleep: 1h}")
    await house.publish("tired", "  - {id: a, uses: core/log, with: {m: 1}, retry: {max_attempts: 2, delay: 1h}}")
    await house.publish("child", ONE)
    await house.publish("calls", SUB)
    nap, tired, calls = await house.begin("nap"), await house.begin("tired"), None
    await house.report(house.failed(await house.task(), "the line was busy"))
    calls = await house.begin("calls")
    task = await house.task()
    assert "sleeps until 2026-01-01T01:00" in (await house.why(nap.id))["sentence"]
    assert "the line was busy" in (await house.why(tired.id))["sentence"]
    assert "waits for the run" in (await house.why(calls.id))["sentence"]
    assert "on its way" in (await house.why(task.run_id))["sentence"]
    await house.report(house.started(task))
    assert "is running on w1" in (await house.why(task.run_id))["sentence"]


async def test_a_repeat_from_a_step_takes_over_what_came_before(house: House) -> None:
    steps = ONE + "\n  - {id: b, uses: core/log, with: {m: '${{ steps.a.output.x }}'}}"
    await house.publish("f", steps, "inputs: {type: object}")
    run = await house.begin("f")
    await house.finish(await house.task(), {"x": 5})
    await house.report(house.failed(await house.task()))
    await house.ended(run.id)
    wish = RepeatWish("b", {"y": 1}, newest=True)
    again = await house.runs.repeat(house.workspace, run.id, wish, actor=None, key=None)
    house.cache.drop(again.id)
    task = await house.task()
    assert (task.key, task.inputs) == ("b", {"m": 5})
    await house.finish(task)
    assert (await house.ended(again.id))["inputs"] == {"y": 1}
    rows = await house.rows("SELECT reason, reused_from FROM steps WHERE run_id = ? AND key = 'a'", again.id)
    assert rows == [{"reason": "reused", "reused_from": run.id}]


async def test_waiting_for_a_run_ends_with_it_or_with_patience(house: House) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    assert not await house.runs.wait(run.id, 0.01)
    await house.finish(await house.task())
    assert await house.runs.wait(run.id, 1)
    assert house.runs._awaited == {}
