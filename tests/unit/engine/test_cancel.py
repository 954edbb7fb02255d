"""Cancelling: nothing further begins, what runs is told to stop, handlers clean up, and force ends even those."""

from __future__ import annotations

from tests.conformance.driver import Dies, Gives, Ignored, Run

from monjolo.engine import commands as orders
from monjolo.engine import events as facts

TWO = """
steps: [{id: a, uses: m/x}, {id: b, uses: m/x}]
on_cancel: [{id: undo, uses: m/x}]
finally: [{id: z, uses: m/x}]
"""


def test_cancelling_stops_what_runs_and_runs_the_handlers() -> None:
    done = Run(TWO, plays={"a": Gives(after=100)}).until(5).cancel()
    assert done.status == "cancelling"
    done.to_end()
    assert (done.status, done.state.head.reason) == ("cancelled", "asked")
    assert done.keys_started() == ["a", "on_cancel.undo", "finally.z"]
    assert (done["a"].status, done["a"].reason, done["b"].status) == ("cancelled", "cancelled", "skipped")


def test_a_run_that_has_not_begun_is_cancelled_without_handlers() -> None:
    waiting = Run("concurrency: {limit: 1}\n" + TWO, taken={"flow:f": 1}).begin()
    assert waiting.status == "queued"
    waiting.cancel()
    assert (waiting.status, waiting.starts) == ("cancelled", [])
    assert len(waiting.of(orders.ReleaseSlot)) == 1


def test_a_worker_that_does_not_answer_a_cancel_is_not_waited_for() -> None:
    stubborn = Run(TWO, plays={"a": Dies(after=9_999)}).until(5)
    stubborn._stop = lambda key, token: None  # type: ignore[method-assign]
    done = stubborn.cancel().to_end()
    assert done.status == "cancelled"
    assert done.elapsed < 60


def test_a_forced_cancel_runs_no_handlers() -> None:
    done = Run(TWO, plays={"a": Gives(after=100)}).until(5).cancel(force=True).to_end()
    assert (done.status, done.keys_started()) == ("cancelled", ["a"])


def test_a_forced_cancel_ends_handlers_that_run() -> None:
    begun = Run(TWO, plays={"a": Gives(after=100), "undo": Gives(after=500)}).until(5).cancel().until(10)
    done = begun.cancel(force=True).to_end()
    assert (done.status, done.keys_started()) == ("cancelled", ["a", "on_cancel.undo"])
    assert done.elapsed < 60


def test_a_task_given_back_after_the_cancel_is_not_sent_again() -> None:
    begun = Run("steps: [{id: a, uses: m/x, delivery: at_most_once}]", plays={"a": Ignored()}).begin()
    begun.tell(facts.TaskClaimed(begun.now, "a", 1, "w"))
    begun.cancel()
    begun.tell(facts.TaskReleased(begun.now, "a", 1, worker="w"))
    assert len(begun.of(orders.Dispatch)) == 1
    assert (begun["a"].status, begun.status) == ("cancelled", "cancelled")


def test_an_at_most_once_step_that_never_answers_its_cancel_ends_unknown() -> None:
    begun = Run("steps: [{id: a, uses: m/x, delivery: at_most_once}]", plays={"a": Dies(after=9_999)}).until(1)
    begun._stop = lambda key, token: None  # type: ignore[method-assign]
    done = begun.cancel().to_end()
    assert (done["a"].status, done.status) == ("unknown", "cancelled")


def test_a_step_that_waits_for_its_retry_is_cancelled_at_once() -> None:
    source = "steps: [{id: a, uses: m/x, retry: {max_attempts: 9, delay: 60s}}]"
    done = Run(source, plays={"a": Gives(status="failed")}).until(10).cancel()
    assert (done.status, done["a"].status, done._timers) == ("cancelled", "cancelled", {})


def test_cancelling_tells_the_sub_flow_and_waits_for_it() -> None:
    source = "steps: [{id: call, subflow: {flow: other}}, {id: b, uses: m/x}]"
    done = Run(source, children={"other": Gives(after=500)}).until(5).cancel()
    assert [(order.child, order.reason) for order in done.of(orders.CancelChild)] == [("child-call", "cancelling")]
    done.to_end()
    assert (done.status, done["call"].status) == ("cancelled", "cancelled")


def test_cancelling_stops_a_fan_out_and_begins_no_further_item() -> None:
    source = "steps: [{id: each, for_each: {items: [1, 2, 3, 4, 5, 6], max_parallel: 2}, uses: m/x}]"
    done = Run(source, plays={"each": Gives(after=10)}).until(15).cancel().to_end()
    assert (done.status, done["each"].status) == ("cancelled", "cancelled")
    assert len(done.starts) == 4


def test_cancelling_during_the_handler_of_a_group_lets_the_group_clean_up() -> None:
    source = """
steps:
  - id: g
    group:
      steps: [{id: a, uses: m/x}]
      on_failure: [{id: h1, uses: m/x}, {id: h2, uses: m/x}]
      finally: [{id: z, uses: m/x}]
  - {id: after, uses: m/x, run_when: all_done}
"""
    begun = Run(source, plays={"a": Gives(status="failed"), "h1": Gives(after=30)}).until(5)
    done = begun.cancel().to_end()
    assert done.status == "cancelled"
    assert done.keys_started() == ["g.a", "g.on_failure.h1", "g.on_failure.h2", "g.finally.z"]


def test_a_handler_of_a_cancelled_run_is_retried_like_any_step() -> None:
    source = """
steps:
  - id: g
    group:
      steps: [{id: a, uses: m/x}]
      on_cancel: [{id: undo, uses: m/x, retry: {max_attempts: 3, delay: 1s}}]
"""
    plays = {"a": Gives(after=100), "undo": [Gives(status="failed"), Dies(), Gives(1)]}
    done = Run(source, plays=plays).until(5).cancel().to_end()
    assert done.status == "cancelled"
    assert done["g.on_cancel.undo"].status == "succeeded"


def test_a_step_marked_always_runs_although_the_run_is_cancelled() -> None:
    source = "steps: [{id: a, uses: m/x}, {id: b, uses: m/x, run_when: always}]"
    done = Run(source, plays={"a": Gives(after=100)}).until(5).cancel().to_end()
    assert (done.status, done.keys_started()) == ("cancelled", ["a", "b"])


def test_a_cancel_after_the_end_changes_nothing() -> None:
    done = Run(TWO).to_end()
    assert done.tell(facts.CancelRequested(done.now, "asked", force=True)).changes_nothing
