"""`wait_for`: a step waits for an event, and the first one that fits ends the wait."""

from __future__ import annotations

from tests.conformance.driver import Run, bad

from monjolo.engine import commands as orders
from monjolo.engine import events as facts

WAIT = """
inputs: {type: object, properties: {order: {type: integer}}}
steps:
  - {id: pay, uses: m/x}
  - {id: paid, wait_for: {event: order.paid, when: "event.order == inputs.order && steps.pay.output == 1"%s}%s}
  - {id: ship, uses: m/x, with: {data: "${{ steps.paid.output.data }}"}}
"""


def waiting(timeout: str = "", more: str = "", **given: object) -> Run:
    return Run(WAIT % (timeout, more), inputs={"order": 7}, plays={"pay": 1}, **given).until(1)  # type: ignore[arg-type]


def test_the_first_event_that_fits_ends_the_wait_and_is_the_steps_output() -> None:
    run = waiting()
    assert (run.status, str(run["paid"].status), run["paid"].reason) == ("waiting", "waiting", "event")
    run.happen("order.lost", {"order": 7}).happen("order.paid", {"order": 6})
    assert run.status == "waiting"
    run.happen("order.paid", {"order": 7, "sum": 3}).to_end()
    assert run.status == "succeeded"
    assert run["paid"].output["type"] == "order.paid"
    assert run.starts[-1].inputs == {"data": {"order": 7, "sum": 3}}


def test_an_event_that_when_cannot_judge_is_noted_and_the_step_waits_on() -> None:
    run = waiting().happen("order.paid", {})
    assert str(run["paid"].status) == "waiting"
    assert run["paid"].error is not None
    assert run["paid"].error.message.startswith("when: ")
    run.happen("order.paid", {"order": 7}).to_end()
    assert (run.status, run["paid"].error) == ("succeeded", None)


def test_of_two_events_that_fit_one_counts() -> None:
    run = waiting()
    (wait,) = run.of(orders.AwaitEvent)
    run.happen("order.paid", {"order": 7})
    again = facts.EventArrived(run.now, "paid", wait.token, run.now, {"id": "z", "data": {"order": 7}})
    assert run.tell(again).changes_nothing


def test_without_an_event_the_wait_ends_timed_out() -> None:
    run = waiting(", timeout: 9s").to_end()
    assert (run.status, run.elapsed) == ("failed", 9)
    assert (str(run["paid"].status), run["paid"].reason) == ("timed_out", "timeout")
    assert [order.key for order in run.of(orders.StopWaiting)] == ["paid"]


def test_a_wait_that_timed_out_is_tried_again_and_only_its_newest_attempt_hears() -> None:
    run = waiting(", timeout: 9s", ", retry: {max_attempts: 2, delay: 5s, if: \"error.type == 'Timeout'\"}").until(10)
    assert str(run["paid"].status) == "retrying"
    run.happen("order.paid", {"order": 7})
    run.until(15)
    first, second = run.of(orders.AwaitEvent)
    assert (str(run["paid"].status), run["paid"].attempt) == ("waiting", 2)
    late = facts.EventArrived(run.now, "paid", first.token, run.now, {"id": "z", "data": {"order": 7}})
    assert run.tell(late).changes_nothing
    assert run.happen("order.paid", {"order": 7}).to_end().status == "succeeded"
    assert second.since > first.since


def test_after_its_last_attempt_it_ends_and_the_run_may_go_on() -> None:
    run = waiting(", timeout: 9s", ", continue_on_error: true, retry: {max_attempts: 2, delay: 5s}").to_end()
    assert run.elapsed == 9 + 5 + 9
    assert (run.status, str(run["paid"].status)) == ("failed", "timed_out")
    assert run["ship"].error is not None  # there was no data: the output of what timed out is null


def test_a_cancel_and_the_runs_timeout_end_the_wait() -> None:
    for cut in (waiting().cancel().to_end(), Run("timeout: 5s\n" + WAIT % ("", ""), plays={"pay": 1}).to_end()):
        assert cut.status in ("cancelled", "timed_out")
        assert str(cut["paid"].status) == "cancelled"
        assert [order.key for order in cut.of(orders.StopWaiting)] == ["paid"]


def test_a_wait_behind_a_failure_is_not_begun_and_one_for_a_failure_is() -> None:
    source = "steps: [{id: a, uses: m/x}, {id: w, wait_for: {event: e}, run_when: one_failed}]"
    assert Run(source).to_end()["w"].reason == "none_failed"
    assert str(Run(source, plays={"a": bad()}).to_end()["w"].status) == "waiting"


def test_the_waits_of_a_loop_hear_each_event_once() -> None:
    run = Run("steps: [{id: l, while: {if: 'index < 3', steps: [{id: w, wait_for: {event: e}}]}}]").until(1)
    seen = []
    for number in range(3):
        run.happen("e", {"n": number})
        seen.append(run["l"].output["iterations"])
    assert (run.status, seen) == ("succeeded", [1, 2, 3])
    assert run["l"].output["last"]["w"]["data"] == {"n": 2}


def test_a_wait_that_begins_after_another_one_ended_looks_back_no_further_than_its_event() -> None:
    run = Run("steps: [{id: a, wait_for: {event: e}}, {id: b, wait_for: {event: e}}]").until(1)
    (wait,) = run.of(orders.AwaitEvent)
    told = run.now + 20_000_000  # the clock was set back since
    run.tell(facts.EventArrived(run.now, "a", wait.token, told, {"id": "e1", "data": {}}))
    assert [order.since for order in run.of(orders.AwaitEvent)][1] == told
