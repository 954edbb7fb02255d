"""Whatever is told, in whatever order, twice, late or never: the engine keeps its word."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conformance.driver import BEGIN, SECOND, active_of, compiled_of

from monjolo.domains.runs.evaluation import Evaluator
from monjolo.engine import commands as orders
from monjolo.engine import events as facts
from monjolo.engine.decide import decide
from monjolo.engine.evolve import evolve
from monjolo.engine.graph import HANDLERS
from monjolo.engine.transitions import RUN_ENDED, STEP_ENDED
from monjolo.engine.types import Error, State

FLOWS = [
    compiled_of(source)
    for source in (
        """
timeout: 10m
steps:
  - {id: a, uses: m/x, needs: [], retry: {max_attempts: 3, delay: 1s}, queue_timeout: 1m}
  - {id: b, uses: m/x, needs: [], delivery: at_most_once, continue_on_error: true}
  - {id: c, uses: m/x, needs: [a, b], run_when: all_done}
  - {id: d, uses: m/x, concurrency: {limit: 1}}
on_failure: [{id: h, uses: m/x}]
finally: [{id: z, uses: m/x}]
""",
        """
concurrency: {limit: 1}
steps:
  - id: each
    for_each: {items: [1, 2, 3], max_parallel: 2, on_item_error: collect}
    steps:
      - {id: x, uses: m/x, max_crashes: 1}
      - id: deep
        for_each: {items: [1, 2]}
        uses: m/x
  - {id: call, subflow: {flow: other}, timeout: 1m}
on_cancel: [{id: undo, uses: m/x}]
""",
        """
steps:
  - id: g
    timeout: 1m
    group:
      steps:
        - {id: s, switch: {value: a, cases: {a: [{id: in_a, uses: m/x}]}}}
        - {id: nap, sleep: 10s, needs: []}
      on_failure: [{id: mend, uses: m/x}]
      on_cancel: [{id: undo, uses: m/x}]
      finally: [{id: close, uses: m/x}]
  - {id: out, return: {outputs: {n: 1}}, if: "steps.in_a.output == 1"}
  - {id: no, fail: no, run_when: all_done}
""",
        """
timeout: 10m
steps:
  - id: l
    timeout: 5m
    while:
      if: "index < 3"
      max_iterations: 2
      interval: 10s
      steps:
        - {id: w, wait_for: {event: e, when: "event.n == 1", timeout: 1m}, retry: {max_attempts: 2, delay: 1s}}
        - {id: x, uses: m/x, run_when: all_done}
    continue_on_error: true
  - {id: k, while: {if: "index < 3"}, uses: m/x}
  - {id: v, wait_for: {event: e}}
on_cancel: [{id: undo, uses: m/x}]
""",
    )
]
NAMES = {
    0: ["a", "b", "c", "d", "on_failure.h", "finally.z"],
    1: ["each", "each[0]", "each[1].x", "each[0].deep[1]", "each[2].deep", "call", "on_cancel.undo"],
    2: ["g", "g.s", "g.s.in_a", "g.nap", "g.on_failure.mend", "g.on_cancel.undo", "g.finally.close", "out", "no"],
    3: ["l", "l[0]", "l[0].w", "l[1].w", "l[0].x", "l[1].x", "k", "k[0]", "k[1]", "v", "on_cancel.undo"],
}
KINDS = ["retry", "interval", "sleep", "timeout", "queue_timeout", "force_cancel"]


@st.composite
def stories(draw: st.DrawFn) -> tuple[int, list[tuple[Any, ...]]]:
    flow = draw(st.integers(0, len(FLOWS) - 1))
    step = st.tuples(
        st.integers(0, 16), st.sampled_from(NAMES[flow]), st.integers(0, 3), st.integers(0, 4), st.booleans()
    )
    return flow, draw(st.lists(step, max_size=60))


def event_of(told: tuple[Any, ...], state: State, at: int) -> facts.Event:
    """Half of what is told is about the step as it stands, the other half is late or wrong."""
    what, key, token, choice, apt = told
    if apt:
        live = [name for name, step in state.steps.items() if step.status not in STEP_ENDED]
        key = live[choice % len(live)] if live else key
        token = state.steps[key].token if key in state.steps else token
    status = ("succeeded", "failed", "timed_out", "cancelled", "crashed")[choice]
    return (
        facts.RunCreated(at),
        facts.SlotGranted(at, key if token else ""),
        facts.SlotRefused(at, key if token else "", ("skip", "fail")[choice % 2]),
        facts.TaskStarted(at, key, token),
        facts.TaskClaimed(at, key, token, "w"),
        facts.TaskFinished(at, key, token, status, at, 1, Error("E", "m")),
        facts.TaskFinished(at, key, token, "succeeded", at, 1),
        facts.TaskReleased(at, key, token, bool(choice % 2), ("w", "v")[choice % 2]),
        facts.TaskRedelivered(at, key, token),
        facts.TaskRefused(at, key, token, Error("E", "m")),
        facts.DispatchLost(at, key, token),
        facts.LeaseExpired(at, key, token),
        facts.TimerFired(at, key if choice else "", KINDS[(token + choice) % len(KINDS)], token),
        facts.ChildAccepted(at, key, token, "child"),
        facts.ChildFinished(at, key, token, status),
        facts.CancelRequested(at, "asked", choice == 0),
        facts.EventArrived(at, key, token, at, {"id": f"e{at}", "data": {"n": choice % 3}}),
    )[what]


@settings(max_examples=400, deadline=None)
@given(stories())
def test_any_order_of_events_keeps_what_the_engine_promises(story: tuple[int, list[tuple[Any, ...]]]) -> None:
    flow, told = story
    compiled = FLOWS[flow]
    evaluate = Evaluator(compiled)
    state = State("r", compiled.plan, 1, BEGIN, {})
    folded = State("r", compiled.plan, 1, BEGIN, {})
    cancelled = False
    for number, one in enumerate([(0, "", 0, 0, False), *told]):
        event = event_of(one, state, BEGIN + number * SECOND)
        before = (state.head, dict(state.steps), dict(state.items), dict(state.item_outputs))
        decision = decide(state, event, evaluate)
        assert (state.head, state.steps, state.items, state.item_outputs) == before
        for key, step in state.steps.items():
            if step.status in STEP_ENDED and key in decision.steps:
                assert decision.steps[key].status is step.status
        if state.head.status in RUN_ENDED:
            assert decision.changes_nothing
        sent = [order for order in decision.commands if isinstance(order, orders.Dispatch)]
        assert len({order.key for order in sent}) == len(sent)
        if cancelled:
            assert all(not HANDLERS.isdisjoint(order.key.replace("[", ".").split(".")) for order in sent)
        evolve(state, decision)
        evolve(folded, decision)
        cancelled = cancelled or state.head.status == "cancelling"
        assert state.head.active == active_of(state)
        assert (folded.head, folded.steps) == (state.head, state.steps)
        if state.head.status in RUN_ENDED:
            assert all(step.status in STEP_ENDED or step.status == "pending" for step in state.steps.values())


@pytest.mark.parametrize("flow", range(len(FLOWS)))
def test_a_run_that_is_let_alone_comes_to_its_end(flow: int) -> None:
    compiled = FLOWS[flow]
    evaluate = Evaluator(compiled)
    state = State("r", compiled.plan, 1, BEGIN, {})
    waiting: list[facts.Event] = [facts.RunCreated(BEGIN)]
    for _ in range(1_000):
        if not waiting:
            break
        decision = decide(state, waiting.pop(0), evaluate)
        evolve(state, decision)
        for order in decision.commands:
            match order:
                case orders.Dispatch(key=key, token=token, at_most_once=True):
                    waiting += [
                        facts.TaskClaimed(BEGIN, key, token, "w"),
                        facts.TaskFinished(BEGIN, key, token, "succeeded"),
                    ]
                case orders.Dispatch(key=key, token=token):
                    waiting.append(facts.TaskFinished(BEGIN, key, token, "succeeded"))
                case orders.AcquireSlot(key=key):
                    waiting.append(facts.SlotGranted(BEGIN, key))
                case orders.StartChild(key=key, token=token):
                    waiting.append(facts.ChildFinished(BEGIN, key, token, "succeeded"))
                case orders.StartTimer(key=key, kind="sleep" | "interval" as kind, token=token):
                    waiting.append(facts.TimerFired(BEGIN, key, kind, token))
                case orders.AwaitEvent(key=key, token=token):
                    waiting.append(facts.EventArrived(BEGIN, key, token, BEGIN, {"id": "e", "data": {"n": 1}}))
                case _:
                    pass
    assert state.head.status in RUN_ENDED
