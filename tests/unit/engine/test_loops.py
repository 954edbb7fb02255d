"""`while`: again and again while its condition holds, one iteration after the other, and never more than it may."""

from __future__ import annotations

import pytest
from tests.conformance.driver import Gives, Run, bad, run

from monjolo.engine import commands as orders
from monjolo.engine import events as facts
from monjolo.engine.loops import AT_ONCE

POLL = """
steps:
  - id: poll
    while:
      if: "index == 0 || steps.look.output.state != 'done'"
      max_iterations: 5
      interval: 30s
      steps: [{id: look, uses: m/x}, {id: note, uses: m/x}]
  - {id: after, uses: m/x, with: {n: "${{ steps.poll.output.iterations }}", last: "${{ steps.poll.output.last }}"}}
"""
BUSY, DONE = {"state": "busy"}, {"state": "done"}


def looks(*states: object) -> object:
    given = iter(states)
    return lambda order: next(given)


def test_the_condition_sees_what_the_last_iteration_gave_and_the_pause_stands_between_two() -> None:
    done = run(POLL, plays={"look": looks(BUSY, BUSY, DONE), "note": 1})
    assert done.status == "succeeded"
    assert [(start.key, start.at) for start in done.starts if start.key.endswith("look")] == [
        ("poll[0].look", 0), ("poll[1].look", 30), ("poll[2].look", 60),
    ]  # fmt: skip
    assert done.starts[-1].inputs == {"n": 3, "last": {"look": DONE, "note": 1}}
    assert done.elapsed == 60


def test_a_condition_that_never_held_does_nothing() -> None:
    done = run("steps: [{id: a, while: {if: false}, uses: m/x}, {id: b, uses: m/x}]")
    assert done.keys_started() == ["b"]
    assert done["a"].output == {"iterations": 0, "last": None}


def test_an_iteration_reads_what_the_one_before_it_gave() -> None:
    source = """
steps:
  - id: page
    while: {if: "index == 0 || steps.page.output.last.next != null"}
    uses: m/x
    with: {cursor: "${{ index == 0 ? 'first' : steps.page.output.last.next }}"}
"""
    done = run(source, plays={"page": looks({"next": "b"}, {"next": "c"}, {"next": None})})
    assert [start.inputs["cursor"] for start in done.starts] == ["first", "b", "c"]
    assert done["page"].output == {"iterations": 3, "last": {"next": None}}


def test_at_the_most_iterations_a_condition_that_still_holds_fails_the_step() -> None:
    done = run(POLL, plays={"look": BUSY})
    assert done.status == "failed"
    assert done.keys_started().count("poll[4].look") == 1
    assert "poll[5].look" not in done.keys_started()
    assert (done["poll"].reason, done["poll"].output["iterations"]) == ("max_iterations", 5)
    assert done.state.head.error is not None
    assert done.state.head.error.type == "MaxIterations"


def test_a_condition_that_is_false_at_the_most_iterations_is_no_failure() -> None:
    done = run(POLL, plays={"look": looks(BUSY, BUSY, BUSY, BUSY, DONE)})
    assert (done.status, done["poll"].output["iterations"]) == ("succeeded", 5)


def test_a_failure_inside_ends_the_loop_and_says_in_which_iteration() -> None:
    done = run(POLL, plays={"look": looks(BUSY, bad("no luck"))})
    assert (str(done["poll"].status), done["poll"].reason) == ("failed", "iteration_failed")
    assert done["poll"].error is not None
    assert done["poll"].error.message == "iteration 1: no luck"
    assert done["after"].reason == "upstream_failed"


def test_an_attempt_inside_is_tried_again_and_a_failure_that_is_let_pass_is_seen_by_the_condition() -> None:
    source = """
steps:
  - id: poll
    while:
      if: "index == 0 || steps.look.status == 'failed'"
      steps: [{id: look, uses: m/x, continue_on_error: true, retry: {max_attempts: 2, delay: 1s}}]
"""
    done = run(source, plays={"look": looks(bad(), bad(), bad(), Gives(1))})
    assert [(start.key, start.attempt) for start in done.starts] == [
        ("poll[0].look", 1), ("poll[0].look", 2), ("poll[1].look", 1), ("poll[1].look", 2),
    ]  # fmt: skip
    assert done.status == "succeeded"


def test_a_condition_that_cannot_be_told_fails_the_step() -> None:
    done = run('steps: [{id: a, while: {if: "steps.a.output.last.n > 1"}, uses: m/x}]')
    assert (done.status, done["a"].reason) == ("failed", "expression_failed")


def test_a_return_inside_ends_the_run() -> None:
    source = """
steps:
  - id: poll
    while:
      if: true
      steps: [{id: look, uses: m/x}, {id: out, if: "index == 2", return: {outputs: {n: "${{ index }}"}}}]
  - {id: after, uses: m/x}
"""
    done = run(source)
    assert (done.status, done.outputs) == ("succeeded", {"n": 2})
    assert done.keys_started() == ["poll[0].look", "poll[1].look", "poll[2].look"]


@pytest.mark.parametrize("seconds", [10, 45])
def test_a_cancel_ends_the_iteration_or_the_pause(seconds: float) -> None:
    cancelled = Run(POLL, plays={"look": lambda order: Gives(BUSY, after=20)}).until(seconds).cancel().to_end()
    assert (cancelled.status, str(cancelled["poll"].status)) == ("cancelled", "cancelled")
    assert len([key for key in cancelled.keys_started() if key.endswith("look")]) == 1
    assert cancelled.elapsed <= seconds + 1


@pytest.mark.parametrize("timeout", ["10s", "45s"])
def test_its_timeout_ends_the_iteration_or_the_pause(timeout: str) -> None:
    source = POLL.replace("    while:", f"    timeout: {timeout}\n    while:")
    done = run(source, plays={"look": lambda order: Gives(BUSY, after=20)})
    assert (str(done["poll"].status), done["poll"].reason) == ("timed_out", "timeout")
    assert done.elapsed == float(timeout[:-1])


def test_loops_stand_in_items_groups_and_loops() -> None:
    source = """
steps:
  - id: each
    for_each: {items: [1, 2], max_parallel: 1}
    steps:
      - id: outer
        while:
          if: "index < 2"
          steps:
            - id: g
              group:
                steps:
                  - id: inner
                    while:
                      if: "index < 2"
                      steps: [{id: x, uses: m/x, with: {i: "${{ index }}", item: "${{ item }}"}}]
"""
    done = run(source)
    assert done.status == "succeeded"
    assert done.keys_started() == [
        f"each[{e}].outer[{o}].g.inner[{i}].x" for e in range(2) for o in range(2) for i in range(2)
    ]
    assert done.starts[-1].inputs == {"i": 1, "item": 2}


def test_an_ended_iteration_leaves_memory() -> None:
    done = Run("steps: [{id: a, while: {if: 'index < 500', steps: [{id: x, uses: m/x}]}}]")
    sizes = []
    done.watch = lambda event, decision: sizes.append((len(done.state.steps), len(decision.steps)))
    done.to_end()
    assert done.status == "succeeded"
    assert max(size for size, _ in sizes) <= 4
    assert max(changed for _, changed in sizes) <= 6


def test_a_loop_with_nothing_to_wait_for_gives_others_their_turn() -> None:
    done = Run("steps: [{id: a, while: {if: 'index < 1000', steps: [{id: x, uses: m/x, if: false}]}}]")
    sizes = []
    done.watch = lambda event, decision: sizes.append(len(decision.steps))
    done.to_end()
    assert (done.status, done["a"].output["iterations"]) == ("succeeded", 1_000)
    assert max(sizes) <= 2 * AT_ONCE + 1


def test_a_timer_of_an_earlier_pause_begins_nothing() -> None:
    polling = Run(POLL, plays={"look": BUSY}).until(40)
    (first, *_) = [order for order in polling.of(orders.StartTimer) if order.kind == "interval"]
    assert polling.tell(facts.TimerFired(polling.now, "poll", "interval", first.token)).changes_nothing
    assert polling.until(200).keys_started().count("poll[2].look") == 1
