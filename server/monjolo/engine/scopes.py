"""What follows when a step ends: its followers, its list, its handlers, its container, the run.

A worklist instead of recursion: two thousand steps that are skipped in a row cost no stack.
"""

from __future__ import annotations

from monjolo.engine import cancelling, graph, loops, steps
from monjolo.engine.commands import ClearTimers, ReleaseSlot, StartTimer
from monjolo.engine.draft import Draft
from monjolo.engine.transitions import STEP_FAILED
from monjolo.engine.types import (
    OUTPUTS_KEPT,
    Error,
    FanOut,
    Json,
    Phase,
    Reused,
    RunStatus,
    RunWhen,
    ScopeState,
    StepPlan,
    StepState,
    StepStatus,
)
from monjolo.engine.values import Failure

_FAILED_ITEMS_NAMED = 100
_HANDLER_FOR = {
    "succeeded": Phase.ON_SUCCESS,
    "failed": Phase.ON_FAILURE,
    "crashed": Phase.ON_FAILURE,
    "timed_out": Phase.ON_FAILURE,
    "cancelled": Phase.ON_CANCEL,
}
_STEP_STATUS = {
    "succeeded": StepStatus.SUCCEEDED,
    "failed": StepStatus.FAILED,
    "crashed": StepStatus.CRASHED,
    "timed_out": StepStatus.TIMED_OUT,
    "cancelled": StepStatus.CANCELLED,
}
_RUN_STATUS = {
    "succeeded": RunStatus.SUCCEEDED,
    "failed": RunStatus.FAILED,
    "crashed": RunStatus.CRASHED,
    "timed_out": RunStatus.TIMED_OUT,
    "cancelled": RunStatus.CANCELLED,
}


def begin_run(draft: Draft) -> None:
    scope = ScopeState(open=len(draft.plan.body.steps))
    draft.set_head(draft.head._replace(status=RunStatus.RUNNING, reason=None, scope=scope, started_at=draft.at))
    if draft.plan.timeout is not None:
        draft.order(StartTimer("", "timeout", 0, draft.at + draft.plan.timeout))
    draft.opened.append("")


def settle(draft: Draft) -> None:
    """Works off everything that ended or opened, until nothing follows any more."""
    while draft.ended or draft.opened or draft.returning:
        if draft.returning:
            draft.returning = False
            cancelling.cancel_run(draft, "returned", "returned", False)
        elif draft.ended:
            _follow(draft, draft.ended.popleft())
        else:
            _begin_list(draft, draft.opened.popleft())


# --- lists --------------------------------------------------------------------------------------------------


def _begin_list(draft: Draft, parent: str) -> None:
    fan = draft.step(parent).fan if parent else None
    if fan is not None:
        if fan.loop:
            loops.begin(draft, parent)
        else:
            _start_items(draft, parent)
        return
    scope = draft.scope(parent)
    plan = draft.step_plan(parent) if parent else None
    case = draft.step(parent).case if parent else None
    listed = graph.scope_plan(draft.plan, plan, scope.phase, case)
    if listed is None or not listed.steps:
        _drained(draft, parent)
        return
    for step in listed.steps:
        if not step.needs:
            _consider(draft, graph.child_key(parent, step), step, bad=0, blocked=0)


def _consider(draft: Draft, key: str, plan: StepPlan, *, bad: int, blocked: int) -> None:
    """All needs have ended: run it, or say why not."""
    reused = draft.state.reused.get(key)
    if reused is not None:
        _reuse(draft, key, plan, reused)
        return
    closing = steps.closing_above(draft, key)
    if closing is not None and (plan.run_when is not RunWhen.ALWAYS or closing in ("forced", "returned")):
        steps.end(draft, key, StepStatus.SKIPPED, closing if closing != "forced" else "cancelled")
        return
    match plan.run_when:
        case RunWhen.ALL_SUCCESS if bad or blocked:
            steps.end(draft, key, StepStatus.SKIPPED, "upstream_failed")
            return
        case RunWhen.NONE_FAILED if bad:
            steps.end(draft, key, StepStatus.SKIPPED, "upstream_failed")
            return
        case RunWhen.ONE_FAILED if not bad:
            steps.end(draft, key, StepStatus.SKIPPED, "none_failed")
            return
    if plan.condition is not None:
        wanted = draft.evaluate(plan.condition, key)
        if isinstance(wanted, Failure):
            steps.fail_expression(draft, key, "if", wanted)
            return
        if not isinstance(wanted.value, bool):
            failure = Failure("not_boolean", f"gave {wanted.value!r}, neither true nor false")
            steps.fail_expression(draft, key, "if", failure)
            return
        if not wanted.value:
            steps.end(draft, key, StepStatus.SKIPPED, "condition_false")
            return
    steps.admit(draft, key, plan)


def _reuse(draft: Draft, key: str, plan: StepPlan, reused: Reused) -> None:
    """It ends as it did in the run that is repeated; so does all that it holds, for those who look into it."""
    steps.end(draft, key, reused.status, "reused", output=reused.output, error=reused.error)
    for below in graph.keys_below(plan, key):
        inner = draft.state.reused.get(below)
        if inner is not None:
            ended = StepState(inner.status, "reused", output=inner.output, error=inner.error, finished_at=draft.at)
            draft.put(below, StepState(), ended)


def _follow(draft: Draft, key: str) -> None:
    step = draft.step(key)
    if key.endswith("]"):
        _item_ended(draft, key, step)
        return
    plan, parent = draft.step_plan(key), graph.parent_of(key)
    failed = step.status in STEP_FAILED and not plan.continue_on_error
    blocked = step.status is StepStatus.SKIPPED and step.reason == "upstream_failed"
    for follower in plan.dependents:
        _need_ended(draft, graph.sibling(key, plan.id, follower), failed, blocked)
    scope = draft.scope(parent)
    scope = scope._replace(open=scope.open - 1)
    if failed:
        scope = _with_failure(scope, step)
    draft.set_scope(parent, scope)
    if not scope.open:
        _drained(draft, parent)


def _with_failure(scope: ScopeState, step: StepState) -> ScopeState:
    error = step.error or Error("StepFailed", f"a step ended {step.status}")
    if scope.phase is not Phase.BODY:
        return scope._replace(handler_error=scope.handler_error or error)
    if scope.closing is not None or scope.error is not None:
        return scope
    return scope._replace(error=error, outcome="crashed" if step.status is StepStatus.CRASHED else "failed")


def _need_ended(draft: Draft, key: str, failed: bool, blocked: bool) -> None:
    plan = draft.step_plan(key)
    if len(plan.needs) == 1:
        _consider(draft, key, plan, bad=int(failed), blocked=int(blocked))
        return
    old = draft.get(key)
    join = old or StepState(unmet=len(plan.needs))
    join = join._replace(unmet=join.unmet - 1, bad=join.bad + failed, blocked=join.blocked + blocked)
    draft.put(key, old or StepState(), join)
    if not join.unmet:
        _consider(draft, key, plan, bad=join.bad, blocked=join.blocked)


# --- ends of lists ------------------------------------------------------------------------------------------


def _drained(draft: Draft, parent: str) -> None:
    """Every step of the list has ended: on to the handler its outcome calls for, to `finally`, or out."""
    scope = draft.scope(parent)
    plan = draft.step_plan(parent) if parent else None
    nexts = []
    if scope.closing != "forced" and scope.phase is Phase.BODY:
        nexts = [_HANDLER_FOR[scope.outcome], Phase.FINALLY]
    elif scope.closing != "forced" and scope.phase is not Phase.FINALLY:
        nexts = [Phase.FINALLY]
    for phase in nexts:
        listed = graph.scope_plan(draft.plan, plan, phase, None)
        if listed is not None and listed.steps:
            draft.set_scope(parent, scope._replace(open=len(listed.steps), phase=phase, closing=None))
            draft.opened.append(parent)
            return
    if parent:
        _close_container(draft, parent, scope)
    else:
        _close_run(draft, scope)


def _close_container(draft: Draft, key: str, scope: ScopeState) -> None:
    outcome, error, reason = (
        scope.outcome,
        scope.error,
        None if scope.outcome == "succeeded" else scope.outcome,
    )
    if outcome == "succeeded" and scope.handler_error is not None:
        outcome, error, reason = "failed", scope.handler_error, "handler_failed"
    output = _outputs_of_list(draft, key)
    steps.end(draft, key, _STEP_STATUS[outcome], reason, output=output, error=error)


def _outputs_of_list(draft: Draft, key: str) -> Json:
    plan, case = draft.step_plan(key), draft.step(key).case
    listed = graph.scope_plan(draft.plan, plan, Phase.BODY, case)
    outputs = {step.id: draft.step(graph.child_key(key, step)).output for step in listed.steps} if listed else {}
    return {"case": case, "steps": outputs} if plan.switch is not None else outputs


def _close_run(draft: Draft, scope: ScopeState) -> None:
    status, error = _RUN_STATUS[scope.outcome], scope.error
    reason = draft.head.cancel_reason if status in (RunStatus.CANCELLED, RunStatus.TIMED_OUT) else None
    if status is RunStatus.SUCCEEDED and scope.handler_error is not None:
        status, error, reason = RunStatus.FAILED, scope.handler_error, "handler_failed"
    end_run(draft, status, reason, error)


def end_run(draft: Draft, status: RunStatus, reason: str | None = None, error: Error | None = None) -> None:
    outputs: Json = None
    if status is RunStatus.SUCCEEDED:
        if draft.head.returned is not None:
            outputs = draft.head.returned["outputs"]
        elif draft.plan.outputs is not None:
            value = draft.evaluate(draft.plan.outputs, "")
            if isinstance(value, Failure):
                status, reason = RunStatus.FAILED, "outputs_failed"
                error = Error("ExpressionError", f"outputs: {value.message}")
            else:
                outputs = value.value
    head = draft.head
    if head.slot is not None:
        draft.order(ReleaseSlot("", head.slot))
    if draft.plan.timeout is not None:
        draft.order(ClearTimers(""))
    draft.set_head(
        head._replace(status=status, reason=reason, error=error, outputs=outputs, slot=None, finished_at=draft.at)
    )


# --- items --------------------------------------------------------------------------------------------------


def _start_items(draft: Draft, key: str) -> None:
    plan, step = draft.step_plan(key), draft.step(key)
    fan = step.fan
    assert fan is not None
    assert plan.for_each is not None
    room = 0 if fan.closing else min(plan.for_each.max_parallel - fan.live, fan.total - fan.next)
    if room <= 0:
        if not fan.live and (fan.closing or fan.next == fan.total):
            _end_fan_out(draft, key, plan, fan)
        return
    first = fan.next
    draft.put(key, step, step._replace(fan=fan._replace(next=first + room, live=fan.live + room)))
    for index in range(first, first + room):
        item = graph.item_key(key, index)
        reused = draft.state.reused.get(item)
        if reused is None:
            steps.begin(draft, item)
        else:
            steps.end(draft, item, reused.status, "reused", output=reused.output, error=reused.error)


def _item_ended(draft: Draft, key: str, item: StepState) -> None:
    fan_key, index = graph.parent_of(key), graph.item_index(key)
    plan, step = draft.step_plan(fan_key), draft.step(fan_key)
    fan = step.fan
    assert fan is not None
    if fan.loop:
        loops.iteration_ended(draft, fan_key, key, item)
        return
    assert plan.for_each is not None
    policy = plan.for_each.on_item_error
    fan = fan._replace(live=fan.live - 1)
    if item.status in STEP_FAILED and not fan.closing:
        fan = _with_failed_item(fan, index, item, policy)
    output = item.output if item.status is StepStatus.SUCCEEDED else None
    if policy == "collect":
        error = None if item.error is None else {"type": item.error.type, "message": item.error.message}
        output = {"status": str(item.status), "output": output, "error": error}
    draft.put(fan_key, step, step._replace(fan=fan))
    draft.item_ended(fan_key, index, output)
    draft.forget(key)
    if plan.item is not None:
        for below in graph.keys_below(plan.item, key):
            draft.forget(below)
    _start_items(draft, fan_key)


def _with_failed_item(fan: FanOut, index: int, item: StepState, policy: str) -> FanOut:
    named = fan.failed_items if len(fan.failed_items) >= _FAILED_ITEMS_NAMED else (*fan.failed_items, index)
    fan = fan._replace(failed=fan.failed + 1, failed_items=named)
    if policy != "fail":
        return fan
    cause = item.error or Error("StepFailed", f"it ended {item.status}")
    error = Error(cause.type, f"item {index}: {cause.message}", cause.traceback, cause.step, cause.details)
    return fan._replace(closing="failed", error=error)


def _end_fan_out(draft: Draft, key: str, plan: StepPlan, fan: FanOut) -> None:
    output: Json
    if fan.total > OUTPUTS_KEPT:
        output = {"$items": {"run": draft.state.run_id, "step": key, "count": fan.total}}
    else:
        outputs = draft.item_outputs(key)
        output = [outputs.get(index) for index in range(fan.total)]
    match fan.closing:
        case None:
            steps.end(draft, key, StepStatus.SUCCEEDED, output=output)
        case "failed":
            steps.end(draft, key, StepStatus.FAILED, "item_failed", output=output, error=fan.error)
        case "timed_out":
            steps.end(draft, key, StepStatus.TIMED_OUT, "timeout", output=output, error=fan.error)
        case _:
            steps.end(draft, key, StepStatus.CANCELLED, fan.closing, output=output)
