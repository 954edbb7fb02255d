"""A step that waits for an event hears of it, whenever it was stored; a loop goes on after a restart."""

from __future__ import annotations

from typing import Any

from tests.integration.runs.conftest import Reopen
from tests.integration.runs.house import House

from monjolo.domains.runs import giving_up, queries
from monjolo.domains.triggers.events import EventService
from monjolo.domains.triggers.listeners import EventListeners
from monjolo.domains.triggers.wishes import Wishes
from monjolo.kit.time import HOUR, SECOND

WAIT = "  - {id: paid, wait_for: {event: order.paid%s}}"
ONE = "  - {id: a, uses: core/log, with: {message: hi}}"


def events_of(house: House) -> EventService:
    service = EventService(house.sqlite, house.runs, Wishes(house.flows, house._variables), house.clock)
    service.told = house.advance.inbox_has_news.set
    return service


async def post(
    house: House, data: dict[str, Any] | None = None, id_: str | None = None, kind: str = "order.paid"
) -> str:
    events = events_of(house)
    event, _ = await events.post(house.workspace, kind, data or {}, id_=id_, actor="test")
    await events.dispatch_events(house.clock.now())
    return event


async def output(house: House, run_id: str, key: str) -> Any:
    return await house.sqlite.read(lambda c: queries.output_of(c, run_id, key))


async def at_rest(house: House) -> None:
    for table in ("event_waits", "inbox", "timers", "tasks"):
        assert await house.rows(f"SELECT * FROM {table}") == []


async def test_a_run_waits_until_the_event_comes_and_has_it_as_output(house: House) -> None:
    await house.publish("f", WAIT % "")
    run = await house.begin("f")
    assert (await house.run(run.id))["status"] == "waiting"
    why = await house.why(run.id)
    assert why["sentence"] == "Step paid waits for an event order.paid."
    assert (why["parts"][0]["code"], why["parts"][0]["event"]) == ("event", "order.paid")
    event = await post(house, {"sum": 3})
    assert (await house.ended(run.id))["status"] == "succeeded"
    told = await output(house, run.id, "paid")
    assert told.pop("at") == "2026-01-01T00:00:00.000000Z"
    assert told == {"id": event, "type": "order.paid", "source": "api:test", "data": {"sum": 3}}
    await at_rest(house)


async def test_each_run_hears_its_own_event_only(house: House) -> None:
    await house.publish("f", WAIT % ', when: "event.order == inputs.n"', "inputs: {type: object, properties: {n: {}}}")
    first, second = await house.begin("f", {"n": 1}), await house.begin("f", {"n": 2})
    await post(house, {})
    await post(house, {"order": 2})
    assert (await house.ended(second.id))["status"] == "succeeded"
    assert (await house.run(first.id))["status"] == "waiting"
    assert "could not tell whether" in (await house.why(first.id))["sentence"]
    await post(house, {"order": 1})
    await house.ended(first.id)


async def test_an_event_from_before_the_wait_is_not_heard(house: House) -> None:
    await house.publish("f", WAIT % "")
    await post(house)
    house.move(1)
    run = await house.begin("f")
    await house.no_task()
    assert (await house.run(run.id))["status"] == "waiting"


async def test_an_event_between_the_end_of_a_step_and_the_stored_wait_is_heard(house: House) -> None:
    """The step before it ended, by its worker's word, before the event came; its report arrives after."""
    await house.publish("f", ONE + "\n" + WAIT % "")
    run = await house.begin("f")
    ended = house.finished(await house.task())
    house.move(1)
    await post(house)
    house.move(1)
    await house.report(ended)
    assert (await house.ended(run.id))["status"] == "succeeded"


async def test_the_same_event_told_twice_is_heard_once(house: House) -> None:
    await house.publish("f", WAIT % "" + "\n" + (WAIT % "").replace("id: paid", "id: again"))
    run = await house.begin("f")
    await post(house, id_="x")
    await house.until("SELECT 1 FROM event_waits WHERE key = 'again'")
    house.move(1)
    await post(house, id_="x")
    await house.no_task()
    assert await house.status_of(run.id, "again") == "waiting"


async def test_the_end_of_another_run_is_an_event(house: House) -> None:
    """Which the gate stores as soon as a version of any flow may wait for it."""
    listeners = EventListeners(house.sqlite)
    await house.publish("other", ONE)
    await listeners.load()
    assert not listeners.wants(house.workspace, "run.succeeded")
    await house.publish("f", "  - {id: w, wait_for: {event: run.succeeded, when: \"event.flow == 'other'\"}}")
    await listeners.load()
    assert listeners.wants(house.workspace, "run.succeeded")
    house.advance._wants_event = listeners.wants
    run, other = await house.begin("f"), await house.begin("other")
    await house.finish(await house.task())
    assert (await house.ended(run.id))["status"] == "succeeded"
    assert (await output(house, run.id, "w"))["data"]["run"] == other.id


async def test_publishing_a_flow_is_an_event(house: House) -> None:
    await house.publish("f", "  - {id: w, wait_for: {event: flow.published}}")
    run = await house.begin("f")
    await house.publish("g", ONE)
    house.advance.inbox_has_news.set()
    await house.ended(run.id)
    assert (await output(house, run.id, "w"))["data"]["flow"] == "g"


async def test_a_timeout_ends_the_wait_and_a_second_attempt_waits_again(house: House) -> None:
    await house.publish("f", "  - {id: paid, wait_for: {event: order.paid, timeout: 1m}, retry: {max_attempts: 2}}")
    run = await house.begin("f")
    assert "until 2026-01-01T00:01:00.000000Z" in (await house.why(run.id))["sentence"]
    house.move(60)
    await house.until("SELECT 1 FROM steps WHERE status = 'retrying'")
    assert await house.rows("SELECT * FROM event_waits") == []
    house.move(1)
    await house.until("SELECT 1 FROM event_waits WHERE token = 2")
    house.move(60)
    assert (await house.ended(run.id))["status"] == "failed"
    assert await house.status_of(run.id, "paid") == "timed_out"
    await at_rest(house)


async def test_a_cancel_ends_the_wait(house: House) -> None:
    await house.publish("f", WAIT % ", timeout: 1h")
    run = await house.begin("f")
    await house.cancel(run.id)
    assert (await house.ended(run.id))["status"] == "cancelled"
    await at_rest(house)
    await post(house)


async def test_a_run_that_is_ended_by_force_because_the_engine_cannot_waits_no_more(house: House) -> None:
    await house.publish("f", WAIT % "")
    run = await house.begin("f")
    await house.sqlite.write(lambda c: giving_up.give_up(c, run.id, house.clock.now()))
    await at_rest(house)


async def test_a_wait_outlives_a_restart(house: House, reopen: Reopen) -> None:
    await house.publish("f", WAIT % "")
    run = await house.begin("f")
    house = await reopen(house)
    await post(house)
    assert (await house.ended(run.id))["status"] == "succeeded"


async def test_an_event_that_was_stored_before_the_process_died_beats_the_timeout_that_passed_meanwhile(
    house: House, reopen: Reopen
) -> None:
    await house.publish("f", WAIT % ", timeout: 10m")
    run = await house.begin("f")
    house.advance.inbox_has_news.set = lambda: None  # type: ignore[method-assign]
    await post(house)
    assert await house.rows("SELECT id FROM inbox") != []
    house.clock.at += HOUR
    house = await reopen(house)
    assert (await house.ended(run.id))["status"] == "succeeded"
    await at_rest(house)


async def test_an_event_looks_at_no_wait_of_another_type(house: House) -> None:
    plan = await house.rows(
        "EXPLAIN QUERY PLAN SELECT run_id, key, token FROM event_waits WHERE workspace_id = 'w' AND type = 't' "
        "ORDER BY run_id, key"
    )
    assert "event_waits_type (workspace_id=? AND type=?)" in plan[0]["detail"]


# --- loops --------------------------------------------------------------------------------------------------

LOOP = """
  - id: poll
    while:
      if: "index == 0 || steps.look.output.state != 'done'"
      max_iterations: 10
      interval: 30s
      steps: [{id: look, uses: core/log}]
"""


async def test_a_loop_goes_on_after_a_restart_in_the_pause_and_in_an_iteration(house: House, reopen: Reopen) -> None:
    await house.publish("f", LOOP)
    run = await house.begin("f")
    await house.finish(await house.task(), {"state": "busy"})
    await house.until("SELECT 1 FROM timers WHERE kind = 'interval'")
    why = await house.why(run.id)
    assert (
        why["sentence"]
        == "Step poll has done 1 of at most 10 iterations; the next begins at 2026-01-01T00:00:30.000000Z."
    )
    house = await reopen(house)
    await house.no_task()
    house.move(30)
    assert (await house.task()).key == "poll[1].look"
    house = await reopen(house)
    task = await house.task()
    assert (task.key, task.token) == ("poll[1].look", 2)
    await house.finish(task, {"state": "done"})
    assert (await house.ended(run.id))["status"] == "succeeded"
    assert await output(house, run.id, "poll") == {"iterations": 2, "last": {"look": {"state": "done"}}}
    await at_rest(house)


async def test_ended_iterations_leave_memory_and_their_rows_can_be_read(house: House) -> None:
    await house.publish("f", LOOP.replace("interval: 30s", ""))
    run = await house.begin("f")
    for number in range(5):
        assert len((await house.cache.get_many([run.id]))[run.id].state.steps) <= 3
        await house.finish(await house.task(), {"state": "busy", "n": number})
    await house.finish(await house.task(), {"state": "done"})
    await house.ended(run.id)
    steps = await house.sqlite.read(lambda c: queries.steps_of(c, run.id, "", 100, "poll"))
    gave = [step["output"] for step in steps if step["key"].endswith(".look")]
    assert [output.get("n") for output in gave] == [0, 1, 2, 3, 4, None]
    assert [step["key"] for step in steps][:4] == ["poll[0]", "poll[0].look", "poll[1]", "poll[1].look"]
    (poll,) = await house.sqlite.read(lambda c: queries.steps_of(c, run.id, "", 100, None))
    assert poll["items"] == {"total": 10, "begun": 6, "live": 0, "failed": 0, "loop": True}


async def test_a_run_read_back_from_its_rows_reads_no_ended_iteration(house: House) -> None:
    await house.publish("f", LOOP.replace("interval: 30s", ""))
    run = await house.begin("f")
    for _ in range(4):
        await house.finish(await house.task(), {"state": "busy"})
    await house.until("SELECT 1 FROM tasks WHERE key = 'poll[4].look'")
    house.cache.drop(run.id)
    entry = (await house.cache.get_many([run.id]))[run.id]
    assert set(entry.state.steps) == {"poll", "poll[4]", "poll[4].look"}
    assert entry.state.item_outputs == {}
    fan = entry.state.steps["poll"].fan
    assert fan is not None
    assert (fan.loop, fan.next, fan.total) == (True, 5, 10)


async def test_a_cancel_between_two_iterations_ends_the_loop(house: House) -> None:
    await house.publish("f", LOOP)
    run = await house.begin("f")
    await house.finish(await house.task(), {"state": "busy"})
    await house.until("SELECT 1 FROM timers WHERE kind = 'interval'")
    await house.cancel(run.id)
    assert (await house.ended(run.id))["status"] == "cancelled"
    await at_rest(house)


async def test_the_waits_of_a_loop_hear_what_was_told_while_the_last_one_was_dealt_with(house: House) -> None:
    await house.publish(
        "f",
        """
  - id: each
    while:
      if: "index < 3"
      steps: [{id: w, wait_for: {event: order.paid}}]
""",
    )
    run = await house.begin("f")
    for number in range(3):
        house.clock.at += SECOND
        await post(house, {"n": number})
        await house.until("SELECT 1 FROM steps WHERE key = ? AND status = 'succeeded'", f"each[{number}].w")
    await house.ended(run.id)
    seen = [(await output(house, run.id, f"each[{n}].w"))["data"]["n"] for n in range(3)]
    assert seen == [0, 1, 2]
    await at_rest(house)
