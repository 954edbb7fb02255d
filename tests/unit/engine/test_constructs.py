"""Each construct of a flow, by example: what runs, in which order, and how it ends."""

from __future__ import annotations

import pytest
from tests.conformance.driver import Gives, Run, bad, run

from monjolo.engine.types import Reused, StepStatus


def test_a_list_of_steps_is_a_sequence() -> None:
    done = run("steps: [{id: a, uses: m/x}, {id: b, uses: m/x}, {id: c, uses: m/x}]", plays={"b": Gives(after=3)})
    assert done.status == "succeeded"
    assert [(start.key, start.at) for start in done.starts] == [("a", 0), ("b", 0), ("c", 3)]


def test_steps_with_empty_needs_start_side_by_side_and_a_join_waits_for_all() -> None:
    source = """
steps:
  - {id: a, uses: m/x, needs: []}
  - {id: b, uses: m/x, needs: []}
  - {id: c, uses: m/x, needs: [a, b]}
"""
    done = run(source, plays={"a": Gives(after=2), "b": Gives(after=5)})
    assert [(start.key, start.at) for start in done.starts] == [("a", 0), ("b", 0), ("c", 5)]


def test_a_false_condition_skips_the_step_and_counts_as_passed() -> None:
    source = """
steps:
  - {id: a, uses: m/x, if: "1 > 2"}
  - {id: b, uses: m/x, with: {seen: "${{ steps.a.output }}", how: "${{ steps.a.status }}"}}
"""
    done = run(source)
    assert done.status == "succeeded"
    assert (done["a"].status, done["a"].reason) == ("skipped", "condition_false")
    assert done.starts[0].inputs == {"seen": None, "how": "skipped"}


def test_a_condition_that_does_not_give_a_boolean_fails_the_step() -> None:
    done = run('steps: [{id: a, uses: m/x}, {id: b, uses: m/x, if: "steps.a.output.n"}]', plays={"a": {"n": 3}})
    assert done.status == "failed"
    assert done["b"].error is not None
    assert done["b"].error.type == "ExpressionError"


@pytest.mark.parametrize(
    ("run_when", "after_success", "after_failure", "after_blocked"),
    [
        ("all_success", True, False, False),
        ("all_done", True, True, True),
        ("one_failed", False, True, False),
        ("none_failed", True, False, True),
        ("always", True, True, True),
    ],
)
def test_run_when_says_how_the_needs_must_have_ended(
    run_when: str, after_success: bool, after_failure: bool, after_blocked: bool
) -> None:
    source = f"""
steps:
  - {{id: first, uses: m/x}}
  - {{id: middle, uses: m/x}}
  - {{id: near, uses: m/x, needs: [first], run_when: {run_when}}}
  - {{id: far, uses: m/x, needs: [middle], run_when: {run_when}}}
"""
    assert ("near" in run(source).keys_started()) is after_success
    failed = run(source, plays={"first": bad()})
    assert ("near" in failed.keys_started()) is after_failure
    assert ("far" in failed.keys_started()) is after_blocked
    assert failed["middle"].reason == "upstream_failed"


def test_a_step_blocked_from_above_blocks_what_stands_below_it() -> None:
    steps = ", ".join(f"{{id: s{n}, uses: m/x}}" for n in range(6))
    done = run(f"steps: [{steps}]", plays={"s1": bad()})
    assert done.status == "failed"
    assert [done[f"s{n}"].reason for n in range(2, 6)] == ["upstream_failed"] * 4


def test_a_switch_runs_the_case_that_fits_and_says_which() -> None:
    source = """
inputs: {type: object, properties: {n: {}}}
steps:
  - id: choose
    switch:
      value: "${{ inputs.n }}"
      cases: {"1": [{id: one, uses: m/x}], "true": [{id: yes, uses: m/x}]}
      default: [{id: other, uses: m/x}]
  - {id: after, uses: m/x, with: {case: "${{ steps.choose.output.case }}"}}
"""
    for value, chosen, case in ((1, "one", "1"), (1.0, "one", "1"), (True, "yes", "true"), ("z", "other", None)):
        done = run(source, inputs={"n": value})
        assert done.keys_started() == [f"choose.{chosen}", "after"]
        assert done.starts[1].inputs == {"case": case}


def test_a_switch_without_a_fitting_case_and_default_succeeds() -> None:
    done = run('steps: [{id: s, switch: {value: "z", cases: {a: [{id: one, uses: m/x}]}}}, {id: b, uses: m/x}]')
    assert done.status == "succeeded"
    assert done["s"].reason == "no_case"
    assert done.keys_started() == ["b"]


def test_a_group_fails_as_one_and_its_handlers_see_the_error() -> None:
    source = """
steps:
  - id: g
    group:
      steps: [{id: a, uses: m/x}, {id: b, uses: m/x}]
      on_success: [{id: fine, uses: m/x}]
      on_failure: [{id: mend, uses: m/x, with: {why: "${{ error.message }}"}}]
      finally: [{id: close, uses: m/x}]
  - {id: after, uses: m/x}
"""
    done = run(source, plays={"a": bad("no luck")})
    assert done.status == "failed"
    assert done.keys_started() == ["g.a", "g.on_failure.mend", "g.finally.close"]
    assert done.starts[1].inputs == {"why": "no luck"}
    assert done["after"].reason == "upstream_failed"
    fine = run(source)
    assert fine.keys_started() == ["g.a", "g.b", "g.on_success.fine", "g.finally.close", "after"]


def test_a_handler_that_fails_fails_a_run_that_had_succeeded() -> None:
    done = run("steps: [{id: a, uses: m/x}]\nfinally: [{id: z, uses: m/x}]", plays={"z": bad("late")})
    assert (done.status, done.state.head.reason) == ("failed", "handler_failed")


def test_continue_on_error_lets_the_run_go_on_and_the_step_stays_failed() -> None:
    done = run("steps: [{id: a, uses: m/x, continue_on_error: true}, {id: b, uses: m/x}]", plays={"a": bad()})
    assert done.status == "succeeded"
    assert done["a"].status == "failed"
    assert done.keys_started() == ["a", "b"]


def test_a_sleep_waits_and_the_run_is_waiting_meanwhile() -> None:
    begun = Run("steps: [{id: nap, sleep: 90s}, {id: b, uses: m/x}]").until(30)
    assert begun.status == "waiting"
    assert begun.to_end().starts[0].at == 90


def test_sleep_until_an_instant_that_has_passed_goes_on_at_once() -> None:
    done = run('steps: [{id: nap, sleep_until: "2001-01-01T00:00:00Z"}, {id: b, uses: m/x}]')
    assert done.starts[0].at == 0


def test_return_ends_the_run_with_success_and_stops_what_runs_beside_it() -> None:
    source = """
steps:
  - {id: long, uses: m/x, needs: []}
  - {id: a, uses: m/x, needs: []}
  - {id: out, needs: [a], return: {outputs: {n: 3}}}
  - {id: never, uses: m/x}
outputs: {n: 99}
"""
    done = run(source, plays={"long": Gives(after=500), "a": Gives(after=2)})
    assert (done.status, done.outputs, done.elapsed) == ("succeeded", {"n": 3}, 2)
    assert done["long"].status == "cancelled"
    assert done["never"].status == "skipped"


def test_fail_fails_with_an_error_of_its_own() -> None:
    source = """
steps: [{id: stop, fail: {message: "${{ 'too ' + 'big' }}", type: TooBig, details: {size: 3}}}]
on_failure: [{id: tell, uses: m/x, with: {t: "${{ error.type }}", m: "${{ error.message }}"}}]
"""
    done = run(source)
    assert done.status == "failed"
    assert done.starts[0].inputs == {"t": "TooBig", "m": "too big"}


def test_outputs_are_evaluated_at_the_end() -> None:
    done = run('steps: [{id: a, uses: m/x}]\noutputs: {n: "${{ steps.a.output.n + 1 }}"}', plays={"a": {"n": 4}})
    assert done.outputs == {"n": 5}


def test_a_run_that_repeats_another_does_not_run_what_succeeded_there() -> None:
    source = 'steps: [{id: a, uses: m/x}, {id: b, uses: m/x, with: {n: "${{ steps.a.output }}"}}]'
    done = run(source, reused={"a": Reused(StepStatus.SUCCEEDED, 41)})
    assert [(start.key, start.inputs) for start in done.starts] == [("b", {"n": 41})]
    assert done["a"].reason == "reused"


def test_a_sub_flow_waits_for_its_run_and_hands_on_its_outputs() -> None:
    source = """
steps:
  - {id: call, subflow: {flow: other, inputs: {n: 1}}}
  - {id: b, uses: m/x, with: {got: "${{ steps.call.output.outputs.n }}"}}
"""
    done = run(source, children={"other": Gives({"n": 9}, after=10)})
    assert done.starts[0].inputs == {"n": 1}
    assert (done.starts[1].at, done.starts[1].inputs) == (10, {"got": 9})


def test_a_sub_flow_that_fails_fails_its_step_unless_told_otherwise() -> None:
    source = "steps: [{id: call, subflow: {flow: other%s}}, {id: b, uses: m/x}]"
    assert run(source % "", children={"other": bad()}).status == "failed"
    kept = run(source % ", propagate_failure: false", children={"other": bad()})
    assert kept.status == "succeeded"
    assert kept["call"].output["status"] == "failed"


def test_a_sub_flow_that_is_not_waited_for_ends_when_it_is_accepted() -> None:
    done = run("steps: [{id: call, subflow: {flow: other, wait: false}}]", children={"other": bad(after=50)})
    assert (done.status, done.elapsed) == ("succeeded", 0)


def test_a_sub_flow_that_passes_its_timeout_is_cancelled_and_timed_out() -> None:
    for rest in ("", ", propagate_failure: false"):
        source = f"steps: [{{id: call, subflow: {{flow: other{rest}}}, timeout: 30s}}]"
        done = run(source, children={"other": Gives(after=500)})
        assert (done["call"].status, done.status, done.elapsed) == ("timed_out", "failed", 30)
