"""What is accepted, what is refused, and that a refusal changes nothing."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.runs.house import House

from monjolo.kit.errors import Conflict, InvalidInput, PayloadTooLarge
from monjolo.kit.time import DAY, SECOND

STEP = "  - {id: a, uses: core/log, with: {message: hi}}"
INPUTS = """inputs:
  type: object
  properties:
    repo: {type: string, default: here}
    count: {type: integer, minimum: 1}
  required: [repo]
  additionalProperties: false"""


async def _count(house: House) -> int:
    return (await house.rows("SELECT COUNT(*) AS n FROM runs"))[0]["n"]


async def test_defaults_fill_what_was_not_given(house: House) -> None:
    await house.publish("f", "  - {id: a, uses: core/log, with: {message: '${{ inputs.repo }}'}}", INPUTS)
    await house.begin("f", {"count": 2})
    assert (await house.task()).inputs == {"message": "here"}


async def test_inputs_that_do_not_fit_are_named_by_their_path(house: House) -> None:
    await house.publish("f", STEP, INPUTS)
    with pytest.raises(InvalidInput) as refused:
        await house.begin("f", {"count": 0, "other": 1})
    assert refused.value.code == "invalid_inputs"
    assert "inputs/count" in {problem.path for problem in refused.value.errors}
    assert await _count(house) == 0


async def test_a_flow_without_inputs_takes_none(house: House) -> None:
    await house.publish("f", STEP)
    with pytest.raises(InvalidInput):
        await house.begin("f", {"x": 1})


async def test_inputs_over_the_limit_are_too_large(house: House) -> None:
    await house.publish("f", STEP, "inputs: {type: object}")
    with pytest.raises(PayloadTooLarge):
        await house.begin("f", {"x": "y" * 70_000})
    assert await _count(house) == 0


async def test_a_paused_flow_refuses(house: House) -> None:
    await house.publish("f", STEP)
    await house.flows.pause(house.workspace, "f", "maintenance", actor="test")
    with pytest.raises(Conflict) as refused:
        await house.begin("f")
    assert refused.value.code == "flow_paused"


async def test_the_same_key_gives_the_same_run_and_other_inputs_are_a_mismatch(house: House) -> None:
    await house.publish("f", STEP, "inputs: {type: object}")
    first = await house.begin("f", {"x": 1}, idempotency_key="k")
    again = await house.begin("f", {"x": 1}, idempotency_key="k")
    assert again.effective_id == first.id
    with pytest.raises(InvalidInput) as refused:
        await house.begin("f", {"x": 2}, idempotency_key="k")
    assert refused.value.code == "idempotency_mismatch"
    assert await _count(house) == 1
    assert house.dispatcher.outstanding == 1


async def test_a_key_is_free_again_after_its_day(house: House) -> None:
    await house.publish("f", STEP)
    first = await house.begin("f", idempotency_key="k")
    house.move(DAY / SECOND)
    again = await house.begin("f", idempotency_key="k")
    assert again.duplicate_of is None
    assert again.id != first.id


async def test_copies_of_a_request_at_the_same_time_make_one_run(house: House) -> None:
    await house.publish("f", STEP)
    runs = await asyncio.gather(*(house.begin("f", idempotency_key="k") for _ in range(20)))
    assert len({run.effective_id for run in runs}) == 1
    assert await _count(house) == 1
    assert house.dispatcher.outstanding == 1


async def test_of_many_with_one_that_is_bad_none_is_made(house: House) -> None:
    await house.publish("f", STEP, INPUTS)
    wishes = [await house.wish("f", {"count": number}) for number in (1, 2, 0, 3)]
    with pytest.raises(InvalidInput) as refused:
        await house.runs.accept(wishes)
    assert refused.value.detail.startswith("items[2]")
    assert await _count(house) == 0
    await house.no_task()


async def test_a_mismatch_within_many_makes_none_and_gives_back_the_window(house: House) -> None:
    await house.publish("f", STEP, "inputs: {type: object}")
    await house.begin("f", {"x": 1}, idempotency_key="k")
    wishes = [await house.wish("f", {"x": 5}), await house.wish("f", {"x": 2}, idempotency_key="k")]
    with pytest.raises(InvalidInput):
        await house.runs.accept(wishes)
    assert await _count(house) == 1
    assert house.dispatcher.outstanding == 1


async def test_more_than_a_thousand_at_once_are_refused(house: House) -> None:
    await house.publish("f", STEP)
    with pytest.raises(InvalidInput) as refused:
        await house.runs.accept([await house.wish("f")] * 1_001)
    assert refused.value.code == "too_many_items"


async def test_numbers_grow_within_a_flow_and_go_on_after_a_restart(house: House, reopen) -> None:
    await house.publish("f", STEP)
    runs = await asyncio.gather(*(house.begin("f") for _ in range(30)))
    assert sorted(run.number for run in runs) == list(range(1, 31))
    house = await reopen(house)
    assert (await house.begin("f")).number == 31


async def test_a_run_that_ends_as_it_begins_tells_its_event(house: House) -> None:
    house.events = {"run.succeeded"}
    await house.publish("f", "  - {id: a, if: 'false', uses: core/log, with: {message: hi}}")
    run = await house.begin("f")
    assert (await house.run(run.id))["status"] == "succeeded"
    assert await house.rows("SELECT type FROM events WHERE type LIKE 'run%'") == [{"type": "run.succeeded"}]


async def test_events_that_nobody_waits_for_are_not_written(house: House) -> None:
    house.events = {"run.failed"}
    await house.publish("f", STEP)
    house.work()
    run = await house.begin("f")
    await house.ended(run.id)
    assert await house.rows("SELECT type FROM events WHERE type LIKE 'run%'") == []


async def test_a_run_made_in_anothers_transaction_leaves_and_keeps_its_time(house: House) -> None:
    """As schedules and webhooks make them: the first step sleeps, and must wake."""
    await house.publish("f", "  - {id: a, sleep: 10s}\n  - {id: b, uses: core/log, with: {message: hi}}")
    prepared = await house.runs.prepare(house.workspace, [await house.wish("f")])
    await house.database.write(lambda c: house.runs.insert(c, prepared))
    house.runs.committed(prepared)
    await house.no_task()
    house.clock.at += 11 * SECOND  # nobody says so: the waiting itself must have been told of the timer
    house.advance.timer_was_set.set()
    task = await house.task()
    assert task.key == "b"


async def test_whoever_looks_on_sees_a_run_made_in_anothers_transaction(house: House) -> None:
    await house.publish("f", STEP)
    subscription = house.bus.subscribe(["runs"])
    prepared = await house.runs.prepare(house.workspace, [await house.wish("f")])
    await house.database.write(lambda c: house.runs.insert(c, prepared))
    house.runs.committed(prepared)
    async with asyncio.timeout(5):
        event = await anext(aiter(subscription))
    assert event.kind == "run.created"
