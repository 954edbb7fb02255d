"""A `while`: one iteration after the other, for as long as its condition holds. What an ended one held is forgotten."""

from __future__ import annotations

from monjolo.engine import graph, steps
from monjolo.engine.commands import StartTimer
from monjolo.engine.draft import Draft
from monjolo.engine.transitions import STEP_ENDED, STEP_FAILED
from monjolo.engine.types import Error, FanOut, StepState, StepStatus
from monjolo.engine.values import Failure

AT_ONCE = 100  # iterations that may begin in one decision; the next goes on by a timer, so that others have their turn


def begin(draft: Draft, key: str) -> None:
    """It has begun, or it was closed while no iteration was at work."""
    step = draft.step(key)
    fan = _fan(step)
    if step.status in STEP_ENDED or fan.live:
        return
    if fan.closing is not None:
        _end_closed(draft, key, step, fan)
    elif _wanted(draft, key, step, graph.item_key(key, 0)):
        _begin_iteration(draft, key)


def iteration_ended(draft: Draft, key: str, item_key: str, item: StepState) -> None:
    plan, step = draft.step_plan(key), draft.step(key)
    fan = _fan(step)._replace(live=0)
    if item.status in STEP_FAILED and fan.closing is None:
        cause = item.error or Error("StepFailed", f"it ended {item.status}")
        error = cause._replace(message=f"iteration {fan.next - 1}: {cause.message}")
        fan = fan._replace(closing="failed", failed=1, error=error)
    output = {"iterations": fan.next, "last": item.output}
    step = draft.put(key, step, step._replace(fan=fan, output=output))
    if fan.closing is not None:
        _end_closed(draft, key, step, fan)
    elif _wanted(draft, key, step, item_key):
        _pause(draft, key, step)
    draft.forget(item_key)
    assert plan.item is not None
    for below in graph.keys_below(plan.item, item_key):
        draft.forget(below)


def interval_over(draft: Draft, key: str, number: int) -> None:
    step = draft.get(key)
    if step is None or step.status in STEP_ENDED or step.fan is None or step.wake_at is None:
        return
    if step.fan.next == number:
        _begin_iteration(draft, key)


def _fan(step: StepState) -> FanOut:
    assert step.fan is not None
    return step.fan


def _wanted(draft: Draft, key: str, step: StepState, near: str) -> bool:
    """Whether there is another iteration; the loop is ended when there is none.

    `near` is the iteration whose steps the condition sees: the one that has just ended.
    """
    plan, fan = draft.step_plan(key), _fan(step)
    assert plan.loop is not None
    wanted = draft.evaluate(plan.loop.condition, near, given={"index": fan.next})
    if isinstance(wanted, Failure):
        steps.fail_expression(draft, key, "while.if", wanted)
    elif wanted.value is not True:
        steps.end(draft, key, StepStatus.SUCCEEDED, output=step.output)
    elif _is_full(fan):
        error = Error("MaxIterations", f"its condition still holds after {fan.total} iterations", step=key)
        steps.end(draft, key, StepStatus.FAILED, "max_iterations", output=step.output, error=error)
    else:
        return True
    return False


def _is_full(fan: FanOut) -> bool:
    return fan.next >= fan.total


def _pause(draft: Draft, key: str, step: StepState) -> None:
    plan = draft.step_plan(key)
    assert plan.loop is not None
    interval = plan.loop.interval or 0
    if not interval and draft.turns < AT_ONCE:
        _begin_iteration(draft, key)
        return
    wake_at = draft.at + interval
    draft.put(key, step, step._replace(reason="interval", wake_at=wake_at))
    draft.order(StartTimer(key, "interval", _fan(step).next, wake_at))


def _begin_iteration(draft: Draft, key: str) -> None:
    step = draft.step(key)
    fan = _fan(step)
    draft.turns += 1
    begun = fan._replace(next=fan.next + 1, live=1)
    draft.put(key, step, step._replace(reason=None, wake_at=None, fan=begun))
    steps.begin(draft, graph.item_key(key, fan.next))


def _end_closed(draft: Draft, key: str, step: StepState, fan: FanOut) -> None:
    match fan.closing:
        case "failed":
            steps.end(draft, key, StepStatus.FAILED, "iteration_failed", output=step.output, error=fan.error)
        case "timed_out":
            steps.end(draft, key, StepStatus.TIMED_OUT, "timeout", output=step.output, error=fan.error)
        case _:
            steps.end(draft, key, StepStatus.CANCELLED, fan.closing, output=step.output)
