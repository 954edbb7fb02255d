"""Concurrency of flows and steps: who waits, who is let in, who is refused."""

from __future__ import annotations

import pytest
from tests.conformance.driver import Gives, Run

from monjolo.engine import commands as orders
from monjolo.engine import events as facts
from monjolo.engine.admission import next_holders

FLOW = "concurrency: {limit: 1, on_limit: %s}\nsteps: [{id: a, uses: m/x}]"
STEP = "steps: [{id: a, uses: m/x, concurrency: {limit: 1, on_limit: %s}}, {id: b, uses: m/x}]"


def test_a_run_over_the_limit_waits_for_its_slot_and_gives_it_back_at_its_end() -> None:
    waiting = Run(FLOW % "queue", taken={"flow:f": 1}).until(60)
    assert (waiting.status, waiting.state.head.reason, waiting.starts) == ("queued", "concurrency", [])
    waiting.free("flow:f")
    done = waiting.to_end()
    assert (done.status, done.starts[0].at) == ("succeeded", 60)
    assert [(order.key, order.slot) for order in done.of(orders.ReleaseSlot)] == [("", "flow:f")]
    assert done.state.head.slot is None


@pytest.mark.parametrize(("on_limit", "status"), [("skip", "skipped"), ("fail", "failed")])
def test_a_run_over_the_limit_may_be_skipped_or_fail(on_limit: str, status: str) -> None:
    done = Run(FLOW % on_limit, taken={"flow:f": 1}).to_end()
    assert (done.status, done.state.head.reason, done.starts) == (status, "concurrency_limit", [])


@pytest.mark.parametrize(
    ("on_limit", "step", "run", "after"),
    [("skip", "skipped", "succeeded", ["b"]), ("fail", "failed", "failed", [])],
)
def test_a_step_over_the_limit_may_be_skipped_or_fail(on_limit: str, step: str, run: str, after: list[str]) -> None:
    done = Run(STEP % on_limit, taken={"step:f/a": 1}).to_end()
    assert (done["a"].status, done["a"].reason, done.status) == (step, "concurrency_limit", run)
    assert done.keys_started() == after


def test_a_step_waits_for_its_slot_and_holds_it_through_its_retries() -> None:
    source = "steps: [{id: a, uses: m/x, concurrency: {limit: 1}, retry: {max_attempts: 2, delay: 5s}}]"
    begun = Run(source, plays={"a": [Gives(status="failed"), Gives(1)]}, taken={"step:f/a": 1}).until(10)
    assert (begun["a"].status, begun["a"].reason, begun.status) == ("waiting", "concurrency", "waiting")
    begun.free("step:f/a")
    begun.until(12)
    assert begun["a"].status == "retrying"
    assert begun.of(orders.ReleaseSlot) == []
    assert len(begun.to_end().of(orders.ReleaseSlot)) == 1


def test_the_key_tells_slots_apart() -> None:
    source = """
inputs: {type: object, properties: {repo: {type: string}}}
concurrency: {limit: 2, key: "${{ inputs.repo }}"}
steps: [{id: a, uses: m/x, concurrency: {limit: 1, key: "x-${{ inputs.repo }}"}}]
"""
    done = Run(source, inputs={"repo": "one"}).to_end()
    assert [(order.slot, order.limit) for order in done.of(orders.AcquireSlot)] == [
        ("flow:f:one", 2),
        ("step:f/a:x-one", 1),
    ]


def test_a_slot_granted_to_a_step_that_was_cancelled_meanwhile_starts_nothing() -> None:
    begun = Run(STEP % "queue", taken={"step:f/a": 1}).begin().cancel()
    assert begun.status == "cancelled"
    assert begun.tell(facts.SlotGranted(begun.now, "a")).changes_nothing


def test_slots_are_given_in_order_and_never_beyond_the_limit() -> None:
    assert list(next_holders(3, 1, ["a", "b", "c"])) == ["a", "b"]
    assert list(next_holders(1, 4, ["a"])) == []
