"""What stands around a run, why it failed, and its log through a window."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.runs.house import START, House

from monjolo.domains.runs import background, log_windows, queries
from monjolo_sdk.wire import LogBatch, LogLine, TaskError

TWO = """
  - {id: a, uses: core/log, with: {message: "${{ inputs.word }}"}}
  - {id: b, uses: core/log, with: {message: "${{ steps.a.status }}"}}
"""
INPUTS = "inputs: {type: object, properties: {word: {type: string}}}"
TRACE = "Traceback (most recent call last):\n  File \"/tmp/x{n}/script.py\", line 9, in main\nKeyError: 'txid'\n"


async def _good(house: House, output: Any) -> str:
    run = await house.begin("f", {"word": "one"})
    await house.finish(await house.task(), output)
    await house.finish(await house.task(), {})
    return run.id


async def _bad(house: House, output: Any, folder: int, message: str = "KeyError: 'txid' in 7") -> str:
    run = await house.begin("f", {"word": "two"})
    await house.finish(await house.task(), output)
    failure = {"type": "KeyError", "traceback": TRACE.format(n=folder)}
    await house.finish(
        await house.task(), status="failed", error=TaskError("ScriptError", message, "elsewhere", details=failure)
    )
    return run.id


async def _of(house: House, run_id: str) -> dict[str, Any]:
    return dict(await house.sqlite.read(lambda c: background.of(c, house.workspace, run_id)))


async def test_a_failure_names_its_place_and_what_changed_since_the_last_good_run(house: House) -> None:
    await house.publish("f", TWO, INPUTS)
    good = await _good(house, {"id": 1, "same": True})
    first, last = [await _bad(house, {"ref": 1, "same": True}, n, f"KeyError: 'txid' in {n}") for n in (1, 2)]
    found = await _of(house, last)
    cause = found["cause"]
    assert (cause["step"], cause["type"]) == ("b", "KeyError")
    assert cause["place"] == {"file": "script.py", "line": 9, "function": "main"}
    assert cause["same_in_a_row"] == 2  # the folder and the number in the message differ
    assert [(each["what"], each["path"], each["kind"]) for each in cause["changes"]] == [
        ("inputs", "word", "changed"),
        ("outputs", "a.id", "removed"),
        ("outputs", "a.ref", "added"),
    ]
    assert {"flow", "modules"} <= set(cause["unchanged"])
    assert found["last_good"]["id"] == good
    assert found["previous"]["id"] == first
    assert found["next"] is None
    assert (await _of(house, first))["next"]["id"] == last


async def test_a_run_that_went_well_has_no_cause_and_the_first_has_nothing_to_compare_with(house: House) -> None:
    await house.publish("f", TWO, INPUTS)
    bad = await _of(house, await _bad(house, {}, 1))
    assert bad["cause"]["changes"] == []
    assert bad["last_good"] is None
    assert bad["typical_ms"] is None
    good = await _of(house, await _good(house, {"id": 1}))
    assert good["cause"] is None


async def test_another_failure_ends_the_row_of_the_same(house: House) -> None:
    await house.publish("f", TWO, INPUTS)
    await _bad(house, {}, 1)
    other = await _bad(house, {}, 2, "the disk is full")
    assert (await _of(house, other))["cause"]["same_in_a_row"] == 1


async def test_steps_are_listed_with_their_attempts_when_asked(house: House) -> None:
    await house.publish("f", TWO, INPUTS)
    run = await _bad(house, {}, 1)
    found = await house.sqlite.read(lambda c: queries.attempts_between(c, run, "a", "b"))
    assert [(key, len(made)) for key, made in found.items()] == [("a", 1), ("b", 1)]
    assert found["b"][0]["status"] == "failed"


# --- logs ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def logged(house: House) -> str:
    """1,000 lines of step `a` in chunks of ten; each hundredth is an error."""
    await house.publish("f", TWO, INPUTS)
    run = (await house.begin("f", {"word": "one"})).id
    for first in range(1, 1_001, 10):
        lines = tuple(
            LogLine(START + n, "error" if n % 100 == 0 else "info", "stdout", f"line {n}")
            for n in range(first, first + 10)
        )
        await house.logs.store([LogBatch(run, "a", 1, 1, first, lines)])
    return run


async def test_the_index_counts_and_knows_where_the_errors_are(house: House, logged: str) -> None:
    found = await house.sqlite.read(lambda c: log_windows.index(c, logged, "a", 1))
    assert found["lines"] == 1_000
    assert found["levels"] == {"info": 990, "error": 10}
    assert found["errors"] == list(range(100, 1_001, 100))
    nothing = await house.sqlite.read(lambda c: log_windows.index(c, logged, "b", None))
    assert nothing == {"lines": 0, "bytes": 0, "levels": {}, "errors": []}


@pytest.mark.parametrize(("first", "limit"), [(1, 10), (5, 10), (996, 50), (1, 1_000), (333, 1), (2_000, 5)])
async def test_any_stretch_of_lines_is_read_by_number(house: House, logged: str, first: int, limit: int) -> None:
    found = await house.sqlite.read(lambda c: log_windows.window(c, logged, None, None, first, limit))
    expected = [n for n in range(first, first + limit) if n <= 1_000]
    assert [(line["n"], line["text"]) for line in found] == [(n, f"line {n}") for n in expected]


async def test_a_search_finds_every_line_whatever_its_case_and_by_level(house: House, logged: str) -> None:
    def find(query: str, levels: tuple[str, ...] = ()) -> Any:
        return house.sqlite.read(lambda c: log_windows.matches(c, logged, "a", 1, query, levels))

    assert await find("LINE 99") == [99, *range(990, 1_000)]
    assert await find("", ("error", "critical")) == list(range(100, 1_001, 100))
    assert await find("line 1", ("error",)) == [100, 1_000]
    assert await find("nothing of the kind") == []
