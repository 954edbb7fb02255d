"""Live events within one process."""

from __future__ import annotations

import asyncio

from monjolo.bus.memory import MemoryBus, MemorySubscription


async def _heard(subscription: MemorySubscription) -> list[str]:
    subscription.close()
    return [event.kind async for event in subscription]


async def test_only_what_somebody_listens_to_is_wanted() -> None:
    bus = MemoryBus()
    assert not bus.wants("runs")
    subscription = bus.subscribe(["runs"])
    assert bus.wants("runs")
    assert not bus.wants("system")
    subscription.close()
    subscription.close()
    assert bus._listeners == {}


async def test_events_come_in_order_to_those_of_their_topic() -> None:
    bus = MemoryBus()
    runs, both = bus.subscribe(["runs"]), bus.subscribe(["runs", "system"])
    bus.publish("runs", "one", {})
    bus.publish("system", "two", {})
    bus.publish("runs", "three", {})
    assert await _heard(runs) == ["one", "three"]
    assert await _heard(both) == ["one", "two", "three"]


async def test_who_comes_back_gets_what_came_meanwhile() -> None:
    bus = MemoryBus()
    stays, leaves = bus.subscribe(["runs"]), bus.subscribe(["runs"])
    bus.publish("runs", "one", {})
    async with asyncio.timeout(5):
        last = (await anext(aiter(leaves))).number
    leaves.close()
    bus.publish("runs", "two", {})
    assert await _heard(bus.subscribe(["runs"], last)) == ["two"]
    assert await _heard(stays) == ["one", "two"]


async def test_a_listener_far_behind_is_told_so_and_holds_little() -> None:
    bus = MemoryBus()
    slow = bus.subscribe(["runs"])
    for number in range(10_005):
        bus.publish("runs", str(number), {})
    heard = await _heard(slow)
    assert heard[0] == "lagged"
    assert len(heard) == 5
