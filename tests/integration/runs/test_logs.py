"""Lines are kept in order, per attempt, once; whoever follows misses none."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.integration.runs.house import START, House

from monjolo.domains.runs.live import run_events
from monjolo_sdk.wire import LogBatch, LogLine

ONE = "  - {id: a, uses: core/log, with: {message: hi}}"


def batch(run_id: str, first: int, count: int, *, attempt: int = 1, token: int = 1, size: int = 0) -> LogBatch:
    lines = tuple(
        LogLine(START + token * 1_000_000 + number, "error" if number % 10 == 0 else "info", "stdout",
                f"line {number} " + "x" * size)
        for number in range(first, first + count)
    )  # fmt: skip
    return LogBatch(run_id, "a", attempt, token, first, lines)


async def _run(house: House) -> str:
    await house.publish("f", ONE)
    return (await house.begin("f")).id


async def _all(house: House, run_id: str, limit: int, **filters: Any) -> list[dict[str, Any]]:
    values: dict[str, Any] = {"step": None, "attempt": None, **filters}
    found, place = [], None
    while True:
        lines, place = await house.logs.page(run_id, after=place, limit=limit, **values)
        found += lines
        if place is None:
            return found


async def test_pages_join_without_a_gap_across_chunks(house: House) -> None:
    run_id = await _run(house)
    for first in range(1, 1_001, 10):
        await house.logs.store([batch(run_id, first, 10, size=200)])
    for limit in (1, 7, 10, 333, 1_000, 5_000):
        lines = await _all(house, run_id, limit)
        assert [line["line"] for line in lines] == list(range(1, 1_001))


async def test_a_batch_that_comes_twice_is_stored_once(house: House) -> None:
    run_id = await _run(house)
    await house.logs.store([batch(run_id, 1, 5)])
    await house.logs.store([batch(run_id, 1, 5), batch(run_id, 6, 5)])
    assert len(await _all(house, run_id, 100)) == 10


async def test_attempts_are_kept_apart_and_can_be_asked_for(house: House) -> None:
    run_id = await _run(house)
    await house.logs.store([batch(run_id, 1, 3), batch(run_id, 1, 4, attempt=2, token=2)])
    assert [line["attempt"] for line in await _all(house, run_id, 100)] == [1] * 3 + [2] * 4
    assert len(await _all(house, run_id, 100, attempt=2)) == 4


async def test_lines_are_found_by_text_and_level(house: House) -> None:
    run_id = await _run(house)
    await house.logs.store([batch(run_id, first, 100) for first in range(1, 1_000, 100)])
    found = await _all(house, run_id, 3, query="LINE 99")
    assert [line["line"] for line in found] == [99, *range(990, 1_000)]
    assert len(await _all(house, run_id, 30, levels=("error", "critical"))) == 100
    whole = [line["line"] async for line in house.logs.whole(run_id, step="a", attempt=None)]
    assert whole == list(range(1, 1_001))


async def test_whoever_follows_gets_every_line_once_and_then_the_end(house: House) -> None:
    run_id = await _run(house)
    await house.logs.store([batch(run_id, first, 100) for first in range(1, 1_200, 100)])
    heard: list[int] = []

    async def follow() -> None:
        async for event in run_events(run_id, None, house.logs, house.bus, house.sqlite, house.workspace):
            if event.event == "log":
                heard.extend(line["line"] for line in event.data["lines"])

    following = asyncio.create_task(follow())
    for first in range(1_201, 2_000, 10):
        await house.logs.store([batch(run_id, first, 10)])
    await house.finish(await house.task())
    async with asyncio.timeout(10):
        await following
    assert sorted(heard) == list(range(1, 2_001))


async def test_lines_stored_just_before_the_end_are_not_lost_to_who_comes_then(house: House) -> None:
    """The run ends between the reading of its lines and the reading of its state."""
    run_id = await _run(house)
    task, read_on, ended = await house.task(), house.logs.read_on, False

    async def slow(*given: Any) -> Any:
        nonlocal ended
        answer = await read_on(*given)
        if not ended:
            ended = True
            await house.logs.store([batch(run_id, 1, 5)])
            await house.finish(task)
        return answer

    house.logs.read_on = slow  # type: ignore[method-assign]
    heard: list[int] = []
    async with asyncio.timeout(10):
        async for event in run_events(run_id, None, house.logs, house.bus, house.sqlite, house.workspace):
            if event.event == "log":
                heard.extend(line["line"] for line in event.data["lines"])
    assert heard == [1, 2, 3, 4, 5]


async def test_who_reads_on_does_not_miss_lines_that_were_stored_late(house: House) -> None:
    """Two steps side by side: the one whose lines are older may be the one that is stored last."""
    run_id = await _run(house)
    await house.logs.store([batch(run_id, 1, 3, token=2)._replace(key="b")])
    seen, place, _ = await house.logs.read_on(run_id, None, 100)
    await house.logs.store([batch(run_id, 1, 3, token=1)])
    late, _, _ = await house.logs.read_on(run_id, place, 100)
    assert [line["step"] for line in seen] == ["b"] * 3
    assert [line["step"] for line in late] == ["a"] * 3
    page, _ = await house.logs.page(run_id, step=None, attempt=None, after=None, limit=100)
    assert page == seen + late
