"""Live events within one process."""

from __future__ import annotations

import asyncio

from monjolo.bus.memory import LINGERS, MemoryBus, MemorySubscription


async def _heard(subscription: MemorySubscription) -> list[str]:
    subscription.close()
    return [event.kind async for event in subscription]


class MovedTime:
    """Seconds, moved by the test."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_only_what_somebody_listens_to_or_did_a_moment_ago_is_wanted() -> None:
    time = MovedTime()
    bus = MemoryBus(time)
    assert not bus.heard
    subscription = bus.subscribe(["runs"])
    assert bus.wants("runs")
    assert not bus.wants("system")
    subscription.close()
    subscription.close()
    assert bus.wants("runs")
    time.now += LINGERS + 1
    bus.publish("runs", "late", {})
    assert not bus.wants("runs")
    assert not bus.heard


async def test_what_nobody_listened_to_for_a_moment_is_not_missed_by_who_comes_back() -> None:
    bus = MemoryBus()
    leaves = bus.subscribe(["runs"])
    last = bus.number
    leaves.close()
    for kind in ("one", "two"):
        if bus.wants("runs"):
            bus.publish("runs", kind, {})
    assert await _heard(bus.subscribe(["runs"], last)) == ["one", "two"]


async def test_who_comes_back_too_late_is_told_that_something_may_be_missing() -> None:
    time = MovedTime()
    bus = MemoryBus(time)
    leaves = bus.subscribe(["runs"])
    last = bus.number
    leaves.close()
    time.now += LINGERS + 1
    bus.publish("runs", "unheard", {})
    back = bus.subscribe(["runs"], last)
    bus.publish("runs", "new", {})
    assert await _heard(back) == ["lagged", "new"]
    other = bus.subscribe(["system"], last)
    assert await _heard(other) == ["lagged"]


async def test_an_event_that_was_never_made_is_missed_though_no_number_has_moved() -> None:
    time = MovedTime()
    bus = MemoryBus(time)
    leaves = bus.subscribe(["runs"])
    last = bus.number
    leaves.close()
    time.now += LINGERS + 1
    bus.subscribe(["system"])
    assert not bus.wants("runs")
    stranger, back = bus.subscribe(["runs"]), bus.subscribe(["runs"], last)
    assert await _heard(back) == ["lagged"]
    assert await _heard(stranger) == []


async def test_who_missed_more_than_is_remembered_is_told_so() -> None:
    bus = MemoryBus()
    stays = bus.subscribe(["runs"])
    last = bus.number
    for number in range(1_001):
        bus.publish("runs", str(number), {})
    assert (await _heard(bus.subscribe(["runs"], last))) == ["lagged"]
    assert len(await _heard(bus.subscribe(["runs"], last + 1))) == 1_000
    stays.close()


async def test_a_number_of_an_earlier_process_is_not_taken_for_one_of_this() -> None:
    earlier = MemoryBus()
    earlier.subscribe(["runs"])
    earlier.publish("runs", "one", {})
    last = earlier.number
    bus = MemoryBus()
    bus.subscribe(["runs"])
    bus.publish("runs", "two", {})
    assert await _heard(bus.subscribe(["runs"], last)) == ["lagged"]


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
