"""Ticks that made no run are run on demand: once each, with their own instant, however often it is asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from monjolo.domains.triggers.catch_up import Asked
from monjolo.kit.errors import Conflict, InvalidInput
from monjolo.kit.time import MINUTE, to_rfc3339

from .conftest import START

if TYPE_CHECKING:
    from .conftest import Platform

MINUTELY = '  - {id: t, type: schedule, cron: "* * * * *", misfire: %s}'
ALL = ("missed", "coalesced", "skipped")


async def away(platform: Platform, minutes: int, misfire: str = "last", **more: str) -> None:
    """A platform that was away for so long: one tick ran, or none, the others made no run."""
    await platform.publish("a", MINUTELY % misfire, **more)
    platform.clock.at = START + minutes * MINUTE
    await platform.schedule.fire_due(platform.clock.at)


async def ask(platform: Platform, **asked: Any) -> tuple[list[Any], Any]:
    asked = {"limit": 1000, "statuses": ALL, **asked}
    return await platform.catch_up.catch_up(platform.workspace, "a", Asked(**asked), actor="ana")


@pytest.mark.parametrize(("misfire", "first"), [("last", 1), ("skip", 0)])
async def test_what_was_missed_runs_once_with_its_own_instant(platform: Platform, misfire: str, first: int) -> None:
    await away(platform, 10, misfire)
    done, following = await ask(platform)
    assert (len(done), following) == (10 - first, None)
    assert all(each.new and each.tick.reason == "caught_up" and each.tick.late for each in done)
    assert sorted(platform.runs.instants) == [START + n * MINUTE for n in range(1, 11)]
    assert await platform.tick_counts() == {"ran": 10}
    assert await ask(platform) == ([], None)
    assert len(platform.runs.made) == 10
    run = platform.runs.made[-1]
    assert run.new.trigger == {"type": "schedule", "id": "t", "instant": to_rfc3339(platform.runs.instants[-1])}
    assert run.new.actor == "ana"
    [entry] = await platform.rows("SELECT actor, object, detail FROM audit WHERE action = 'ticks.caught_up'")
    assert (entry["actor"], entry["object"]) == ("ana", "flow:a")


async def test_ten_who_ask_at_once_make_each_run_once(platform: Platform) -> None:
    await away(platform, 240)
    answers = await asyncio.gather(*(ask(platform) for _ in range(10)))
    assert len(platform.runs.made) == 240
    assert sorted(platform.runs.instants) == [START + n * MINUTE for n in range(1, 241)]
    assert sum(each.new for done, _ in answers for each in done) == 239
    assert len(await platform.rows("SELECT id FROM runs")) == 240


async def test_a_span_a_status_and_a_number_bound_it_and_it_goes_on_from_there(platform: Platform) -> None:
    await away(platform, 20)
    span = {"low": START + 3 * MINUTE, "high": START + 9 * MINUTE}
    assert await ask(platform, statuses=("missed",)) == ([], None)
    done, following = await ask(platform, **span, limit=4)
    assert [(each.tick.instant - START) // MINUTE for each in done] == [3, 4, 5, 6]
    rest, end = await ask(platform, **span, limit=4, after=following)
    assert [(each.tick.instant - START) // MINUTE for each in rest] == [7, 8]
    assert end is None


async def test_named_ticks_answer_the_same_when_they_are_asked_for_again(platform: Platform) -> None:
    await away(platform, 5)
    named = [("t", START + 2 * MINUTE), ("t", START + MINUTE), ("t", START + 2 * MINUTE)]
    first, _ = await ask(platform, named=named)
    again, _ = await ask(platform, named=named)
    assert [each.new for each in first] == [True, True]
    assert [each.new for each in again] == [False, False]
    assert [each.tick for each in again] == [each.tick for each in first]
    for name, instant, code in (("t", START + 1, "unknown_tick"), ("x", START, "unknown_trigger")):
        with pytest.raises(InvalidInput) as refused:
            await ask(platform, named=[(name, instant)])
        assert refused.value.code == code


async def test_what_the_trigger_declines_stays_without_a_run_and_says_why(platform: Platform) -> None:
    await platform.publish("a", MINUTELY % "skip, inputs: {refuse: true}", "inputs: {type: object}\n")
    platform.clock.at = START + 5 * MINUTE
    await platform.schedule.fire_due(platform.clock.at)
    done, _ = await ask(platform)
    assert [(each.new, each.tick.status, each.tick.reason) for each in done] == [
        (False, "skipped", "invalid_inputs")
    ] * 5
    assert platform.runs.made == []


async def test_a_paused_flow_is_caught_up_after_it_is_resumed(platform: Platform) -> None:
    await away(platform, 5)
    await platform.flows.pause(platform.workspace, "a", None, actor="test")
    with pytest.raises(Conflict) as refused:
        await ask(platform)
    assert refused.value.code == "flow_paused"
    await platform.flows.resume(platform.workspace, "a", actor="test")
    assert len((await ask(platform))[0]) == 4
