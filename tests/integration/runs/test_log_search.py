"""A text in the logs of all runs: found wherever it stands within the time, and a search that stops says so."""

from __future__ import annotations

from typing import Any

from tests.integration.runs.house import House

from monjolo.domains.runs import log_search
from monjolo.kit.time import HOUR, SECOND
from monjolo_sdk.wire import LogBatch, LogLine

ONE = "  - {id: a, uses: core/log, with: {message: hi}}"


async def search(house: House, query: str, start: int, end: int, **more: Any) -> dict[str, Any]:
    workspace = (await house.rows("SELECT value FROM meta WHERE key = 'workspace_id'"))[0]["value"]
    values = {"levels": (), "limit": 100, **more}
    return await house.database.read(
        lambda c: log_search.search(c, workspace, query=query, start=start, end=end, **values)
    )


async def say(house: House, run_id: str, *texts: str, level: str = "info", first: int = 1) -> None:
    lines = tuple(LogLine(house.clock.now() + n, level, "stdout", text) for n, text in enumerate(texts))
    await house.logs.store([LogBatch(run_id, "a", 1, 1, first, lines)])


async def test_lines_of_all_runs_are_found_whatever_their_case_the_newest_run_first(house: House) -> None:
    await house.publish("f", ONE)
    start = house.clock.now()
    runs = [await house.begin("f") for _ in range(3)]
    for run in runs:
        await say(house, run.id, "one", "the NEEDLE is here", "two")
    found = await search(house, "needle", start, house.clock.now() + SECOND)
    assert [line["run"] for line in found["items"]] == [run.id for run in reversed(runs)]
    assert found["items"][0]["text"] == "the NEEDLE is here"
    assert found["complete"] is True


async def test_only_lines_of_the_time_and_level_that_were_asked_for_are_found(house: House) -> None:
    await house.publish("f", ONE)
    run = await house.begin("f")
    await say(house, run.id, "needle early")
    house.move(3_600)
    start = house.clock.now()
    await say(house, run.id, "needle late", first=2)
    await say(house, run.id, "needle wrong", level="error", first=3)
    found = await search(house, "needle", start, start + HOUR)
    assert [line["text"] for line in found["items"]] == ["needle late", "needle wrong"]
    worse = await search(house, "needle", start, start + HOUR, levels=("error", "critical"))
    assert [line["text"] for line in worse["items"]] == ["needle wrong"]


async def test_a_search_that_had_to_stop_says_so(house: House) -> None:
    await house.publish("f", ONE)
    start = house.clock.now()
    for _ in range(4):
        await say(house, (await house.begin("f")).id, "needle")
    end = house.clock.now() + SECOND
    assert (await search(house, "needle", start, end, limit=2))["complete"] is False
    assert len((await search(house, "needle", start, end, limit=2))["items"]) == 2
    assert (await search(house, "needle", start, end, limit=4))["complete"] is True
    few = await search(house, "needle", start, end, chunks_read=3)
    assert (len(few["items"]), few["complete"]) == (3, False)
    assert "searched_to" in few


async def test_only_lines_of_the_flow_and_the_step_that_were_asked_for_are_found(house: House) -> None:
    start = house.clock.now()
    for slug in ("f", "other"):
        await house.publish(slug, ONE)
        await say(house, (await house.begin(slug)).id, f"needle of {slug}")
    end = house.clock.now() + SECOND
    found = await search(house, "needle", start, end, flow="f")
    assert [line["text"] for line in found["items"]] == ["needle of f"]
    assert len((await search(house, "needle", start, end, step="a"))["items"]) == 2
    assert (await search(house, "needle", start, end, step="b"))["items"] == []
