"""Attempts: retries, lost workers, time-outs, permits, redelivery; each by example."""

from __future__ import annotations

import pytest
from tests.conformance.driver import Dies, Gives, Ignored, Run, bad, run

from monjolo.engine import commands as orders
from monjolo.engine import events as facts
from monjolo.engine.retries import delay_before
from monjolo.engine.types import SECOND, Error, RetryPlan

ONE = "steps: [{id: a, uses: m/x%s}]"
ONCE = ONE % ", delivery: at_most_once"


def one(keys: str = "") -> str:
    return ONE % keys


# --- retries ------------------------------------------------------------------------------------------------


def test_a_failed_step_is_not_tried_again_unless_it_says_so() -> None:
    done = run(one(), plays={"a": [bad(), Gives(1)]})
    assert (done.status, len(done.starts)) == ("failed", 1)


@pytest.mark.parametrize(
    ("backoff", "at"),
    [("constant", [0, 2, 4, 6]), ("linear", [0, 2, 6, 12]), ("exponential", [0, 2, 8, 18])],
)
def test_the_pause_between_attempts_grows_by_its_backoff(backoff: str, at: list[int]) -> None:
    keys = f", retry: {{max_attempts: 4, backoff: {backoff}, delay: 2s, factor: 3, max_delay: 10s}}"
    done = run(one(keys), plays={"a": bad()})
    assert [start.at for start in done.starts] == at
    assert [start.attempt for start in done.starts] == [1, 2, 3, 4]


def test_jitter_spreads_a_thousand_retries_and_is_the_same_in_every_replay() -> None:
    plan = RetryPlan(max_attempts=2, backoff="constant", delay=10 * SECOND, jitter=0.5)
    delays = [delay_before(plan, 1, seed, "a", None) for seed in range(1_000)]
    assert delays == [delay_before(plan, 1, seed, "a", None) for seed in range(1_000)]
    assert all(5 * SECOND <= delay <= 15 * SECOND for delay in delays)
    buckets = [sum(1 for delay in delays if delay // SECOND == second) for second in range(16)]
    assert max(buckets) <= 150  # ten seconds wide: a hundred each, if perfectly even


def test_no_attempt_begins_later_than_max_elapsed_after_the_first() -> None:
    keys = ", retry: {max_attempts: 99, backoff: constant, delay: 10s, max_elapsed: 35s}"
    done = run(one(keys), plays={"a": bad()})
    assert [start.at for start in done.starts] == [0, 10, 20, 30]


def test_max_elapsed_counts_from_the_first_attempt_and_not_from_the_wait_for_a_slot() -> None:
    keys = ", concurrency: {limit: 1}, retry: {max_attempts: 2, backoff: constant, delay: 10s, max_elapsed: 15s}"
    waiting = Run(one(keys), plays={"a": [bad(after=2), Gives(1)]}, taken={"step:f/a": 1}).until(60)
    waiting.free("step:f/a")
    done = waiting.to_end()
    assert (done.status, len(done.starts)) == ("succeeded", 2)


def test_retry_if_sees_the_error_and_may_refuse() -> None:
    keys = """, retry: {max_attempts: 5, delay: 1s, if: "error.type != 'Fatal'"}"""
    done = run(one(keys), plays={"a": [bad(), bad(type="Fatal"), Gives(1)]})
    assert (done.status, len(done.starts)) == ("failed", 2)


def test_a_module_may_ask_for_a_longer_pause_and_for_no_retry_at_all() -> None:
    keys = ", retry: {max_attempts: 5, delay: 1s}"
    done = run(one(keys), plays={"a": [bad(retry_after=30 * SECOND), bad(retryable=False)]})
    assert [start.at for start in done.starts] == [0, 30]


def test_a_timed_out_attempt_is_tried_again_and_the_last_one_times_out_the_step() -> None:
    done = run(one(", timeout: 5s, retry: {max_attempts: 2, delay: 1s}"), plays={"a": Gives(after=60)})
    assert [start.at for start in done.starts] == [0, 6]
    assert (done["a"].status, done["a"].reason, done.status) == ("timed_out", "timeout", "failed")


# --- workers that are lost ------------------------------------------------------------------------------------


def test_a_lost_worker_costs_no_attempt_of_the_step() -> None:
    done = run(one(", max_crashes: 2"), plays={"a": [Dies(), Dies(), Gives(1)]})
    assert (done.status, len(done.starts)) == ("succeeded", 3)


def test_a_step_that_kills_its_workers_ends_crashed_after_its_bound() -> None:
    done = run(one(", max_crashes: 2, retry: {max_attempts: 3, delay: 1s}"), plays={"a": Dies()})
    assert (done["a"].status, done.status, len(done.starts)) == ("crashed", "crashed", 3)


def test_a_released_task_is_dispatched_again_alone_under_a_new_token() -> None:
    begun = Run(one(), plays={"a": Ignored()}).begin()
    begun.tell(facts.TaskReleased(begun.now, "a", 1, worker="w"))
    first, second = begun.of(orders.Dispatch)
    assert (first.token, first.alone, first.attempt) == (1, False, 1)
    assert (second.token, second.alone, second.attempt) == (2, True, 1)


def test_a_redelivered_task_is_sent_alone_and_redelivered_again_it_is_a_crashed_attempt() -> None:
    begun = Run(one(", max_crashes: 1"), plays={"a": Ignored()}).begin()
    begun.tell(facts.TaskRedelivered(begun.now, "a", 1))
    assert (begun["a"].token, begun["a"].crashes, begun["a"].attempt) == (2, 0, 1)
    begun.tell(facts.TaskRedelivered(begun.now, "a", 2))
    assert (begun["a"].token, begun["a"].crashes, begun["a"].attempt) == (3, 1, 2)
    begun.tell(facts.TaskRedelivered(begun.now, "a", 3))
    assert begun["a"].status == "crashed"


def test_a_redelivery_of_what_already_runs_under_a_lease_changes_nothing() -> None:
    begun = Run(ONCE, plays={"a": Gives(after=60)}).until(1)
    assert begun["a"].permitted
    assert begun.tell(facts.TaskRedelivered(begun.now, "a", 1)).changes_nothing
    assert begun.to_end().status == "succeeded"


def test_a_lost_dispatch_is_sent_again_and_the_old_token_is_worth_nothing() -> None:
    begun = Run(one(), plays={"a": Ignored()}).begin()
    begun.tell(facts.DispatchLost(begun.now, "a", 1))
    assert begun.tell(facts.TaskFinished(begun.now, "a", 1, "succeeded")).changes_nothing
    assert begun["a"].token == 2


def test_a_task_that_cannot_be_sealed_fails_its_step() -> None:
    begun = Run(one(), plays={"a": Ignored()}).begin()
    begun.tell(facts.TaskRefused(begun.now, "a", 1, Error("NotDispatchable", "no such secret")))
    assert (begun["a"].status, begun["a"].reason, begun.status) == ("failed", "not_dispatchable", "failed")


# --- at most once -----------------------------------------------------------------------------------------------


def test_an_at_most_once_step_asks_for_a_permit_and_travels_alone() -> None:
    done = run(ONCE)
    assert done.of(orders.Dispatch)[0].alone
    assert [(permit.key, permit.token, permit.worker) for permit in done.of(orders.Permit)] == [("a", 1, "w")]


def test_a_second_claim_of_the_same_token_gets_no_permit() -> None:
    begun = Run(ONCE, plays={"a": Ignored()}).begin()
    begun.tell(facts.TaskClaimed(begun.now, "a", 1, "w1"))
    assert begun.tell(facts.TaskClaimed(begun.now, "a", 1, "w2")).changes_nothing


def test_only_the_worker_that_was_permitted_may_give_the_task_back() -> None:
    begun = Run(ONCE, plays={"a": Ignored()}).begin()
    begun.tell(facts.TaskClaimed(begun.now, "a", 1, "w1"))
    assert begun.tell(facts.TaskReleased(begun.now, "a", 1, worker="w2")).changes_nothing
    begun.tell(facts.TaskReleased(begun.now, "a", 1, worker="w1"))
    assert (begun["a"].status, begun["a"].token, begun["a"].permitted) == ("queued", 2, False)


def test_a_result_without_a_permit_does_not_count() -> None:
    begun = Run(ONCE, plays={"a": Ignored()}).begin()
    assert begun.tell(facts.TaskFinished(begun.now, "a", 1, "succeeded")).changes_nothing


def test_an_at_most_once_step_whose_worker_is_lost_ends_unknown() -> None:
    done = run(ONCE, plays={"a": Dies()})
    assert (done["a"].status, done["a"].reason, done.status) == ("unknown", "worker_lost_after_permit", "failed")
    assert len(done.starts) == 1


def test_an_at_most_once_step_that_was_not_permitted_yet_is_sent_again() -> None:
    begun = Run(ONCE, plays={"a": Ignored()}).begin()
    for token in (1, 2, 3):
        begun.tell(facts.TaskRedelivered(begun.now, "a", token))
    assert (begun["a"].status, begun["a"].token, begun["a"].crashes) == ("queued", 4, 0)


def test_the_retry_of_the_defaults_does_not_run_an_at_most_once_step_twice() -> None:
    source = "defaults: {retry: {max_attempts: 5, delay: 1s}}\n" + ONCE
    assert len(run(source, plays={"a": bad()}).starts) == 1


# --- time-outs --------------------------------------------------------------------------------------------------


def test_a_step_that_no_worker_takes_ends_after_its_queue_timeout() -> None:
    done = run(one(", queue_timeout: 30s"), plays={"a": Ignored()})
    assert (done["a"].status, done["a"].reason) == ("timed_out", "queue_timeout")
    assert 30 <= done.elapsed <= 35
    assert done.of(orders.Dispatch)[0].not_after == done.state.created_at + 30 * SECOND


def test_a_task_that_came_too_late_to_its_worker_is_a_queue_timeout() -> None:
    begun = Run(one(", queue_timeout: 30s"), plays={"a": Ignored()}).until(30)
    begun.tell(facts.TaskReleased(begun.now, "a", 1, True, "w"))
    assert begun["a"].reason == "queue_timeout"


def test_a_step_that_was_begun_in_time_is_not_bound_by_its_queue_timeout() -> None:
    done = run(one(", queue_timeout: 30s"), plays={"a": Gives(1, after=100)})
    assert done.status == "succeeded"


def test_the_timeout_of_a_group_stops_what_runs_in_it_and_calls_its_handler() -> None:
    source = """
steps:
  - id: g
    timeout: 20s
    group: {steps: [{id: a, uses: m/x}, {id: b, uses: m/x}], on_failure: [{id: h, uses: m/x}]}
"""
    done = run(source, plays={"a": Gives(after=500)})
    assert (done["g"].status, done["g.a"].status, done["g.b"].status) == ("timed_out", "cancelled", "skipped")
    assert done.keys_started() == ["g.a", "g.on_failure.h"]
    assert (done.status, done.elapsed) == ("failed", 20)


def test_the_timeout_of_a_flow_ends_the_run_and_calls_on_failure_and_finally() -> None:
    source = """
timeout: 1m
steps: [{id: a, uses: m/x}, {id: b, uses: m/x}]
on_failure: [{id: h, uses: m/x}]
finally: [{id: z, uses: m/x}]
"""
    done = run(source, plays={"a": Gives(after=500)})
    assert (done.status, done.elapsed) == ("timed_out", 60)
    assert done.keys_started() == ["a", "on_failure.h", "finally.z"]


# --- late, doubled, wrong ---------------------------------------------------------------------------------------


def test_a_doubled_result_and_a_doubled_beginning_change_nothing() -> None:
    done = run(one())
    assert done.tell(facts.TaskFinished(done.now, "a", 1, "failed")).changes_nothing
    begun = Run(one(), plays={"a": Ignored()}).begin()
    assert begun.tell(facts.RunCreated(begun.now)).changes_nothing


def test_a_fact_about_a_step_that_is_not_there_changes_nothing() -> None:
    begun = Run(one(), plays={"a": Ignored()}).begin()
    event = facts.TaskFinished(begun.now, "b", 1, "succeeded")
    for key in ("b", "a[3]", "a.b", "zz.on_failure.q"):
        assert begun.tell(event._replace(key=key)).changes_nothing
