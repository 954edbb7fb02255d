"""Events start the flows that wait for them, once each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from monjolo.domains.runs.writing import SOURCE
from monjolo.domains.triggers import repository
from monjolo.domains.triggers.models import InternalEvent
from monjolo.kit.ids import new_id
from monjolo.kit.time import DAY

from .conftest import START

if TYPE_CHECKING:
    from .conftest import Platform

WAITS = "  - {id: ao, type: event, event: pedido.novo%s}"


async def drain(platform: Platform) -> None:
    while await platform.events.dispatch_events(platform.clock.now()):
        pass


async def post(platform: Platform, data: dict[str, object], id_: str | None = None) -> tuple[str, bool]:
    return await platform.events.post(platform.workspace, "pedido.novo", data, id_=id_, actor="test")


async def test_an_event_starts_each_flow_that_waits_for_its_type(platform: Platform) -> None:
    for slug in "ab":
        await platform.publish(slug, WAITS % "")
    await platform.publish("c", "  - {id: ao, type: event, event: outro}")
    await drain(platform)
    id_, _ = await post(platform, {"valor": 3})
    await drain(platform)
    assert len(platform.runs.made) == 2
    event = platform.runs.made[0].new.event
    assert event is not None
    assert (event["valor"], event["type"], event["id"]) == (3, "pedido.novo", id_)


async def test_an_event_is_dealt_with_once_however_many_look(platform: Platform) -> None:
    await platform.publish("a", WAITS % "")
    for n in range(50):
        await post(platform, {"n": n})
    await asyncio.gather(*(drain(platform) for _ in range(3)))
    assert len(platform.runs.made) == 50


async def test_the_same_id_is_the_same_event_for_a_day(platform: Platform) -> None:
    first, known = await post(platform, {}, "x")
    assert not known
    assert await post(platform, {}, "x") == (first, True)
    platform.clock.at += DAY + 1
    assert (await post(platform, {}, "x"))[1] is False


async def test_when_reads_the_events_own_fields(platform: Platform) -> None:
    await platform.publish("a", WAITS % ', when: "event.valor > 10"')
    for value in (5, 20):
        await post(platform, {"valor": value})
    await post(platform, {})
    await drain(platform)
    assert [run.new.event["valor"] for run in platform.runs.made if run.new.event] == [20]


async def test_one_flow_that_cannot_start_does_not_stop_the_others(platform: Platform) -> None:
    await platform.publish("a", WAITS % ", inputs: {refuse: true}", inputs="inputs: {type: object}\n")
    await platform.publish("b", WAITS % "")
    await post(platform, {})
    await drain(platform)
    assert len(platform.runs.made) == 1
    assert await platform.rows("SELECT id FROM events WHERE done_at IS NULL") == []


async def test_a_chain_of_events_ends(platform: Platform) -> None:
    await platform.publish("a", WAITS % "")
    for depth in (15, 16):
        event = InternalEvent(new_id(), platform.workspace, "pedido.novo", {"depth": depth}, SOURCE, START)
        await platform.database.write(lambda c, e=event: repository.insert_event(c, e))
    await drain(platform)
    assert len(platform.runs.made) == 1


async def test_data_that_somebody_sends_with_the_name_depth_is_data(platform: Platform) -> None:
    await platform.publish("a", WAITS % "")
    await post(platform, {"depth": 40})
    await drain(platform)
    assert len(platform.runs.made) == 1


async def test_a_paused_flow_lets_events_pass(platform: Platform) -> None:
    await platform.publish("a", WAITS % "")
    await platform.flows.pause(platform.workspace, "a", None, actor="test")
    await post(platform, {})
    await drain(platform)
    assert platform.runs.made == []


async def test_pausing_a_flow_is_an_event_for_others(platform: Platform) -> None:
    await platform.publish("a", "  - {id: m, type: manual}")
    await platform.publish("b", """  - {id: e, type: event, event: flow.paused, when: "event.flow == 'a'"}""")
    await platform.flows.pause(platform.workspace, "a", "cheio", actor="ana")
    await drain(platform)
    (run,) = platform.runs.made
    assert run.new.event is not None
    assert run.new.event["reason"] == "cheio"
