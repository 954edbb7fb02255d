"""A run repeated from any of its steps, and many at once: what is done again, what is taken over, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.runs.house import House

from monjolo.domains.runs import queries
from monjolo.domains.runs.bulk import BulkRuns
from monjolo.domains.runs.models import RepeatWish
from monjolo.kit.errors import InvalidInput, MonjoloError

FLOW = """
  - {id: a, uses: core/log, with: {n: a}}
  - id: block
    group:
      steps:
        - {id: b, uses: core/log, with: {n: "${{ steps.a.output.n }}b"}}
        - {id: c, uses: core/log, with: {n: "${{ steps.b.output.n }}c"}}
      on_failure: [{id: mend, uses: core/log}]
  - id: way
    switch:
      value: "${{ steps.c.output.n }}"
      cases:
        abc: [{id: d, uses: core/log, with: {n: d}}, {id: e, uses: core/log, with: {n: "${{ steps.d.output.n }}e"}}]
        other: [{id: f, uses: core/log}]
  - id: each
    for_each: {items: [1, 2, 3], as: item}
    steps:
      - {id: g, uses: core/log, with: {n: "${{ item }}"}}
      - {id: h, uses: core/log, with: {n: "${{ steps.g.output.n }}"}}
  - {id: turns, while: {if: "steps.turns.output.iterations < 2", steps: [{id: w, uses: core/log}]}}
  - {id: call, subflow: {flow: child}}
  - {id: z, uses: core/log, with: {n: "${{ steps.b.output.n }}${{ steps.e.output.n }}"}}
"""
MORE = 'inputs: {type: object, properties: {x: {type: string, default: ""}}}\noutputs: {z: "${{ steps.z.output.n }}"}'


@pytest.fixture
async def first(house: House) -> str:
    await house.publish("child", "  - {id: inner, uses: core/log}")
    await house.publish("f", FLOW, MORE)
    run = await house.begin("f")
    house.taken = house.work()  # type: ignore[attr-defined]
    ended = await house.ended(run.id)
    assert ended["outputs"] == {"z": "abde"}
    return run.id


async def _repeat(house: House, run_id: str, step: str | None, **more: Any) -> tuple[dict[str, Any], list[str]]:
    """How it ended, and which steps were done again."""
    taken = house.taken  # type: ignore[attr-defined]
    taken.clear()
    again = await house.runs.repeat(house.workspace, run_id, RepeatWish(step, **more), actor=None, key=None)
    ended = await house.ended(again.id)
    return ended, sorted(task.key for task in taken if task.run_id == again.id)


AFTER_EACH = ["turns[0].w", "turns[1].w", "z"]
EACH = [f"each[{n}].{step}" for n in range(3) for step in "gh"]


@pytest.mark.parametrize(
    ("step", "done_again"),
    [
        ("z", ["z"]),
        ("call", ["z"]),
        ("turns", AFTER_EACH),
        ("each", [*EACH, *AFTER_EACH]),
        ("each[1]", ["each[1].g", "each[1].h", *AFTER_EACH]),
        ("each[1].h", ["each[1].h", *AFTER_EACH]),
        ("e", [*EACH, *AFTER_EACH, "way.e"]),
        ("way.d", [*EACH, *AFTER_EACH, "way.d", "way.e"]),
        ("c", ["block.c", *EACH, *AFTER_EACH, "way.d", "way.e"]),
        ("a", ["a", "block.b", "block.c", *EACH, *AFTER_EACH, "way.d", "way.e"]),
    ],
)
async def test_from_any_step_only_what_follows_is_done_again(
    house: House, first: str, step: str, done_again: list[str]
) -> None:
    ended, keys = await _repeat(house, first, step)
    assert keys == sorted(done_again)
    assert (ended["status"], ended["outputs"], ended["repeat_of"]) == ("succeeded", {"z": "abde"}, first)


async def test_what_was_taken_over_is_marked_and_a_repeat_can_be_repeated(house: House, first: str) -> None:
    second, _ = await _repeat(house, first, "each[1].h")
    listed = await house.sqlite.read(lambda c: queries.steps_of(c, second["id"], "", 50, None))
    steps = {step["key"]: step for step in listed}
    assert {key for key, step in steps.items() if step["reused"]} == {
        "a", "block", "block.b", "block.c", "way", "way.d", "way.e"
    }  # fmt: skip
    assert steps["block.b"]["reused_from"] == first
    assert (steps["block.b"]["output"], steps["each"]["reused_from"]) == ({"n": "ab"}, None)
    items = await house.sqlite.read(lambda c: queries.steps_of(c, second["id"], "", 50, "each"))
    assert [step["key"] for step in items if step["reused"]] == ["each[0]", "each[1].g", "each[2]"]
    third, keys = await _repeat(house, second["id"], "z")
    assert (third["outputs"], keys) == ({"z": "abde"}, ["z"])
    _, keys = await _repeat(house, third["id"], "each[1].h")
    assert keys == ["each[1].h", *AFTER_EACH]
    _, keys = await _repeat(house, third["id"], "way.e")
    assert keys == sorted([*EACH, *AFTER_EACH, "way.e"])


@pytest.mark.parametrize(
    ("step", "code", "told"),
    [
        ("nowhere", "unknown_step", "there are: a, b"),
        ("each[", "unknown_step", "there are"),
        ("h", "item_not_named", "each[0].h"),
        ("each[7].h", "step_not_reached", "3 items"),
        ("f", "step_not_reached", "repeat from way"),
        ("mend", "step_in_handler", "handler"),
        ("turns[0].w", "step_in_loop", "repeat from turns"),
        ("call.inner", "step_of_other_run", "child_run"),
    ],
)
async def test_from_where_it_means_nothing_it_is_refused(
    house: House, first: str, step: str, code: str, told: str
) -> None:
    with pytest.raises(MonjoloError) as refused:
        await _repeat(house, first, step)
    assert (refused.value.code, refused.value.status // 100) == (code, 4)
    assert told in refused.value.detail


async def test_other_inputs_are_for_steps_that_are_no_items(house: House, first: str) -> None:
    ended, _ = await _repeat(house, first, "z", inputs={"x": "new"})
    assert ended["inputs"] == {"x": "new"}
    with pytest.raises(InvalidInput, match="repeat from each"):
        await _repeat(house, first, "each[1].h", inputs={"x": "new"})


async def test_what_failed_before_it_is_named_and_what_may_fail_is_taken_over(house: House) -> None:
    await house.publish("f", "  - {id: a, uses: core/log, continue_on_error: true}\n"
                             "  - {id: b, uses: core/log, with: {said: '${{ steps.a.error.message }}'}}\n"
                             "  - {id: c, uses: core/log}\n  - {id: d, uses: core/log}")  # fmt: skip
    house.taken = house.work(lambda t: house.failed(t) if t.key in "ac" else house.finished(t, t.inputs))  # type: ignore[attr-defined]
    run = await house.begin("f")
    await house.ended(run.id)
    with pytest.raises(MonjoloError) as refused:
        await _repeat(house, run.id, "d")
    assert (refused.value.code, "repeat from c" in refused.value.detail) == ("step_not_reusable", True)
    _, keys = await _repeat(house, run.id, "b")
    assert keys == ["b", "c"]
    assert house.taken[0].inputs == {"said": "no"}  # type: ignore[attr-defined]


async def test_a_repeat_goes_on_after_a_restart(house: House, reopen: Any) -> None:
    await house.publish("f", FLOW.replace("- {id: call, subflow: {flow: child}}", ""), MORE)
    taken = house.work()
    run = await house.begin("f")
    await house.ended(run.id)
    taken.clear()
    await house.kill()
    again = await House(house.path, house.clock).open()
    made = await again.runs.repeat(again.workspace, run.id, RepeatWish("each[1].g"), actor=None, key=None)
    after = await reopen(again)
    taken = after.work()
    assert (await after.ended(made.id))["outputs"] == {"z": "abde"}
    assert sorted({task.key for task in taken}) == ["each[1].g", "each[1].h", *AFTER_EACH]


# --- many at once -------------------------------------------------------------------------------------------


async def _fail_some(house: House, count: int) -> tuple[BulkRuns, dict[str, Any]]:
    await house.publish("f", "  - {id: a, uses: core/log}\n  - {id: b, uses: core/log}")
    house.taken = house.work(lambda t: house.failed(t) if t.key == "b" else house.finished(t))  # type: ignore[attr-defined]
    for run in await house.runs.accept([await house.wish("f")] * count):
        await house.ended(run.id)
    filters = {"flow_id": await house.flows.id_of(house.workspace, "f"), "status": ["failed"]}
    return BulkRuns(house.database, house.runs, house.clock), filters


async def _all_pages(house: House, bulk: BulkRuns, filters: dict[str, Any], key: str | None, limit: int) -> list[Any]:
    before = await bulk.bound(house.workspace, {"filter": filters}, key)
    done: list[Any] = []
    following: str | None = before
    while following is not None:
        page, following = await bulk.repeat(
            house.workspace, filters, following, limit, RepeatWish("b"), actor=None, key=key
        )
        assert len(page["items"]) <= limit
        done += page["items"]
    return done


async def test_all_that_a_filter_finds_are_repeated_once_however_often_it_is_said(house: House) -> None:
    bulk, filters = await _fail_some(house, 250)
    shown = await bulk.preview(house.workspace, filters)
    assert (shown["total"], len(shown["sample"]), await house.rows("SELECT 1 FROM runs WHERE repeat_of <> ''")) == (
        250, 10, []
    )  # fmt: skip
    done = await _all_pages(house, bulk, filters, "k", 120)
    for each in done:
        await house.ended(each["repeat"]["id"])  # they fail too, and so fit the filter
    assert len({each["id"] for each in done}) == 250
    again = await _all_pages(house, bulk, filters, "k", 1_000)
    assert [each["repeat"]["id"] for each in again] == [each["repeat"]["id"] for each in done]
    assert {each["repeat"].get("duplicate") for each in again} == {True}
    assert len(await house.rows("SELECT 1 FROM runs")) == 500
    with pytest.raises(InvalidInput, match="another wish"):
        await bulk.bound(house.workspace, {"filter": {}}, "k")


async def test_one_that_cannot_be_repeated_keeps_no_other_back(house: House) -> None:
    bulk, filters = await _fail_some(house, 3)
    await house.rows("SELECT 1")
    victim = (await house.rows("SELECT id FROM runs ORDER BY id"))[1]["id"]
    await house.database.write(
        lambda c: c.execute("UPDATE steps SET status = 'failed' WHERE run_id = ? AND key = 'a'", (victim,))
    )
    before = await bulk.bound(house.workspace, {}, None)
    page, following = await bulk.repeat(house.workspace, filters, before, 10, RepeatWish("b"), actor=None, key=None)
    assert (len(page["items"]), following) == (2, None)
    assert [(each["id"], each["code"]) for each in page["refused"]] == [(victim, "step_not_reusable")]


async def test_all_that_a_filter_finds_are_cancelled_and_nothing_else(house: House) -> None:
    await house.publish("f", "  - {id: a, uses: core/log}")
    await house.publish("g", "  - {id: a, uses: core/log}")
    runs = await house.runs.accept([await house.wish("f")] * 230)
    other = await house.begin("g")
    bulk = BulkRuns(house.database, house.runs, house.clock)
    filters = {"flow_id": await house.flows.id_of(house.workspace, "f"), "status": ["queued", "running"]}
    before = await bulk.bound(house.workspace, {}, None)
    page, following = await bulk.cancel(house.workspace, filters, before, 150, reason="enough", force=False)
    assert (len(page["items"]), following is None) == (150, False)
    page, following = await bulk.cancel(house.workspace, filters, following, 150, reason="enough", force=False)
    assert (len(page["items"]), following) == (80, None)
    ended = [await house.ended(run.id) for run in runs]
    assert {(run["status"], run["reason"]) for run in ended} == {("cancelled", "enough")}
    assert (await house.run(other.id))["status"] == "running"
