"""Fan-out: items in numbers, side by side, in batches, nested; and what it costs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.conformance.driver import Dies, Gives, Ignored, Run, bad, compiled_of, run

from monjolo.engine import events as facts
from monjolo.engine.draft import Draft

EACH = """
steps:
  - id: each
    for_each: {items: [10, 20, 30, 40], as: n, max_parallel: 2%s}
    uses: m/x
    with: {n: "${{ n }}", i: "${{ index }}"}
  - {id: after, uses: m/x, with: {got: "${{ steps.each.output }}"}}
"""


def test_items_run_side_by_side_up_to_max_parallel_and_outputs_keep_their_order() -> None:
    done = run(EACH % "", plays={"each[0]": Gives("slow", after=9)})
    assert done.starts[0].inputs == {"n": 10, "i": 0}
    assert done.peak == 2
    assert [start.key for start in done.starts[:2]] == ["each[0]", "each[1]"]
    assert done.starts[-1].inputs["got"][0] == "slow"
    assert done.starts[-1].inputs["got"][3] == {"n": 40, "i": 3}


def test_a_failed_item_fails_the_step_and_no_further_item_begins() -> None:
    done = run(EACH % "", plays={"each[1]": bad("no"), "each[0]": Gives(1, after=5)})
    assert (done["each"].status, done["each"].reason, done.status) == ("failed", "item_failed", "failed")
    assert done.keys_started() == ["each[0]", "each[1]"]
    assert done["each"].error is not None
    assert done["each"].error.message == "item 1: no"


def test_skip_leaves_null_for_a_failed_item() -> None:
    done = run(EACH % ", on_item_error: skip", plays={"each[1]": bad(), "each": 1})
    assert done.starts[-1].inputs == {"got": [1, None, 1, 1]}
    assert done.state.steps["each"].fan is not None
    assert (done["each"].fan.failed, done["each"].fan.failed_items) == (1, (1,))  # type: ignore[union-attr]


def test_collect_tells_of_each_item_how_it_ended() -> None:
    done = run(EACH % ", on_item_error: collect", plays={"each[1]": bad("no"), "each": 1})
    got = done.starts[-1].inputs["got"]
    assert got[0] == {"status": "succeeded", "output": 1, "error": None}
    assert got[1]["status"] == "failed"
    assert got[1]["error"] == {"type": "Broken", "message": "no"}


def test_batches_hand_over_lists() -> None:
    done = run(EACH.replace("[10, 20, 30, 40]", "[1, 2, 3, 4, 5]") % ", batch_size: 2")
    assert [start.inputs["n"] for start in done.starts[:3]] == [[1, 2], [3, 4], [5]]


def test_an_empty_list_succeeds_with_an_empty_list() -> None:
    done = run(EACH.replace("[10, 20, 30, 40]", "[]") % "")
    assert done.keys_started() == ["after"]
    assert done.starts[0].inputs == {"got": []}


def test_what_is_not_a_list_fails_the_step() -> None:
    source = (
        'inputs: {type: object, properties: {l: {}}}\nsteps: [{id: e, for_each: {items: "${{ inputs.l }}"}, uses: m/x}]'
    )
    assert run(source, inputs={"l": 3})["e"].status == "failed"


def test_items_are_retried_and_survive_their_workers_one_by_one() -> None:
    source = "steps: [{id: e, for_each: {items: [1, 2]}, uses: m/x, retry: {max_attempts: 2, delay: 1s}}]"
    done = run(source, plays={"e[0]": [bad(), Gives(1)], "e[1]": [Dies(), Gives(2)]})
    assert done.status == "succeeded"
    assert done["e"].output == [1, 2]


def test_nested_steps_see_their_own_item_and_each_other() -> None:
    source = """
steps:
  - id: outer
    for_each: {items: [[1, 2], [3]], as: row}
    steps:
      - {id: first, uses: m/x, with: {row: "${{ row }}"}}
      - id: inner
        for_each: {items: "${{ row }}", as: cell}
        steps:
          - id: deep
            uses: m/x
            with: {cell: "${{ cell }}", above: "${{ steps.first.output.row }}", i: "${{ index }}"}
"""
    done = run(source)
    assert done.status == "succeeded"
    found = {start.key: start.inputs for start in done.starts if "deep" in start.key}
    assert found == {
        "outer[0].inner[0].deep": {"cell": 1, "above": [1, 2], "i": 0},
        "outer[0].inner[1].deep": {"cell": 2, "above": [1, 2], "i": 1},
        "outer[1].inner[0].deep": {"cell": 3, "above": [3], "i": 0},
    }
    assert list(done.state.steps) == ["outer"], "what has ended inside a fan-out leaves the state"


def test_the_output_of_a_large_fan_out_is_a_reference() -> None:
    source = (
        'inputs: {type: object, properties: {l: {}}}\nsteps: [{id: e, for_each: {items: "${{ inputs.l }}"}, uses: m/x}]'
    )
    done = run(source, inputs={"l": list(range(1_001))})
    assert done["e"].output == {"$items": {"run": "run", "step": "e", "count": 1_001}}
    assert done.state.item_outputs == {}


# --- cost ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nested", [False, True])
def test_one_item_of_ten_thousand_costs_the_operations_of_one_of_a_hundred(
    nested: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "steps: [{id: s, uses: m/x}]" if nested else "uses: m/x"
    compiled = compiled_of(
        "inputs: {type: object, properties: {l: {}}}\n"
        f'steps: [{{id: e, for_each: {{items: "${{{{ inputs.l }}}}", max_parallel: 8}}, {body}}}]'
    )
    counted: Counter[str] = Counter()
    for name in ("put", "step", "get", "order", "forget"):
        monkeypatch.setattr(Draft, name, _counting(counted, name, getattr(Draft, name)))
    costs = [_cost_of_an_item(compiled, counted, size) for size in (100, 10_000)]
    assert costs[0] == costs[1]


def _counting(counted: Counter[str], name: str, function: Any) -> Any:
    def called(*given: Any, **more: Any) -> Any:
        counted[name] += 1
        return function(*given, **more)

    return called


def _cost_of_an_item(compiled: Any, counted: Counter[str], size: int) -> Any:
    begun = Run("", compiled=compiled, inputs={"l": list(range(size))}, plays={"e": Ignored(), "s": Ignored()}).begin()
    key = "e[0].s" if "e[].s" in compiled.plan.steps else "e[0]"
    counted.clear()
    decision = begun.tell(facts.TaskFinished(begun.now, key, 1, "succeeded"))
    return dict(counted), len(decision.steps), len(decision.commands), len(begun.state.steps)


def test_two_thousand_skipped_steps_in_a_row_cost_no_stack() -> None:
    steps = ", ".join(f"{{id: s{n}, uses: m/x}}" for n in range(2_000))
    done = Run("", compiled=compiled_of(f"steps: [{steps}]"), plays={"s0": bad()}).to_end()
    assert done.status == "failed"
    assert done["s1999"].reason == "upstream_failed"
