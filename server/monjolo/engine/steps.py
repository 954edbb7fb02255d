"""What happens to a single step: it begins, is dispatched, is tried again, ends."""

from __future__ import annotations

from monjolo.engine import events, graph
from monjolo.engine.commands import (
    AcquireSlot,
    AwaitEvent,
    CancelTask,
    ClearTimers,
    Dispatch,
    ReleaseSlot,
    StartChild,
    StartTimer,
    StopWaiting,
)
from monjolo.engine.draft import Draft
from monjolo.engine.retries import delay_before, may_retry
from monjolo.engine.types import (
    OUTPUTS_KEPT,
    SECOND,
    ConcurrencyPlan,
    Duration,
    Error,
    FanOut,
    Json,
    Phase,
    ScopeState,
    StepKind,
    StepPlan,
    StepState,
    StepStatus,
    SubflowPlan,
)
from monjolo.engine.values import Failure

_GRACE_FOR_REPORTS = 2 * SECOND  # a task may have begun just before its queue_timeout, its report still on the way


def slot_key(draft: Draft, key: str, prefix: str, concurrency: ConcurrencyPlan) -> str | Failure:
    if concurrency.key is None:
        return prefix
    value = draft.evaluate(concurrency.key, key)
    if isinstance(value, Failure):
        return value
    return f"{prefix}:{value.value}"


def acquire(key: str, slot: str, plan: ConcurrencyPlan) -> AcquireSlot:
    return AcquireSlot(key, slot, plan.limit, plan.on_limit, plan.max_queued, plan.coalesce)


def admit(draft: Draft, key: str, plan: StepPlan) -> None:
    """A step whose needs are met: take its slot first, when it asks for one."""
    concurrency = plan.concurrency
    step = draft.step(key)
    if concurrency is None:
        begin(draft, key)
        return
    slot = slot_key(draft, key, f"step:{draft.plan.flow}/{plan.path}", concurrency)
    if isinstance(slot, Failure):
        fail_expression(draft, key, "concurrency.key", slot)
        return
    draft.put(
        key,
        step,
        step._replace(status=StepStatus.WAITING, reason="concurrency", slot=slot, ready_at=draft.at),
    )
    draft.order(acquire(key, slot, concurrency))


def begin(draft: Draft, key: str) -> None:
    plan = draft.step_plan(key)
    match plan.kind:
        case StepKind.ACTION:
            dispatch(draft, key)
        case StepKind.GROUP:
            _open(draft, key, plan, None)
        case StepKind.SWITCH:
            _switch(draft, key, plan)
        case StepKind.FOR_EACH:
            _begin_fan_out(draft, key, plan)
        case StepKind.SUBFLOW:
            _begin_subflow(draft, key, plan)
        case StepKind.WHILE:
            _begin_loop(draft, key, plan)
        case StepKind.SLEEP | StepKind.SLEEP_UNTIL:
            _sleep(draft, key, plan)
        case StepKind.WAIT_FOR:
            _await_event(draft, key, plan)
        case StepKind.RETURN:
            _return(draft, key, plan)
        case StepKind.FAIL:
            _fail(draft, key, plan)


# --- actions ------------------------------------------------------------------------------------------------


def dispatch(draft: Draft, key: str) -> None:
    """The step's next attempt."""
    plan, step = draft.step_plan(key), draft.step(key)
    assert plan.action is not None
    inputs = draft.evaluate(plan.action.inputs, key)
    if isinstance(inputs, Failure):
        fail_expression(draft, key, "with", inputs)
        return
    _send(draft, key, plan, step._replace(attempt=step.attempt + 1, error=None), inputs.value)


def dispatch_again(draft: Draft, key: str, *, alone: bool) -> None:
    """The same attempt under a new token: the old message is worth nothing from now on."""
    plan, step = draft.step_plan(key), draft.step(key)
    assert plan.action is not None
    inputs = draft.evaluate(plan.action.inputs, key)
    if isinstance(inputs, Failure):
        fail_expression(draft, key, "with", inputs)
        return
    _send(draft, key, plan, step._replace(alone=alone, permitted=False), inputs.value)


def _send(draft: Draft, key: str, plan: StepPlan, step: StepState, inputs: Json) -> None:
    alone = step.alone or plan.at_most_once
    queue_timeout = plan.queue_timeout
    ready_at = step.ready_at or draft.at
    new = step._replace(
        status=StepStatus.QUEUED,
        reason=None,
        token=step.token + 1,
        alone=alone,
        permitted=False,
        wake_at=None,
        ready_at=ready_at,
    )
    draft.put(key, draft.step(key), new)
    not_after = None if queue_timeout is None else draft.at + queue_timeout
    draft.order(Dispatch(key, new.token, new.attempt, inputs, alone, plan.at_most_once, plan.timeout, not_after))
    if not_after is not None:
        draft.order(StartTimer(key, "queue_timeout", new.token, not_after + _GRACE_FOR_REPORTS))


def finished(draft: Draft, key: str, step: StepState, event: events.TaskFinished) -> None:
    if draft.step_plan(key).at_most_once and not step.permitted:
        return  # it was never allowed to start, so it cannot have an outcome
    if step.started_at is None and event.started_at is not None:
        step = draft.put(key, step, step._replace(started_at=event.started_at))
    match event.status:
        case "succeeded":
            end(draft, key, StepStatus.SUCCEEDED, output=event.output)
        case "cancelled":
            end(draft, key, StepStatus.CANCELLED, "cancelled", error=event.error)
        case "crashed":
            worker_lost(draft, key, step, event.error)
        case _:
            _failed(draft, key, step, event)


def _failed(draft: Draft, key: str, step: StepState, event: events.TaskFinished) -> None:
    plan, retry = draft.step_plan(key), draft.step_plan(key).retry
    error = event.error or Error("Error", "the step failed and gave no reason")
    error = error._replace(step=key)
    tries = step.attempt - step.crashes
    delay = delay_before(retry, tries, draft.state.seed, key, event.retry_after)
    first = step.started_at or step.ready_at or draft.at
    open_ = not plan.at_most_once and closing_above(draft, key) is None
    again = open_ and may_retry(retry, tries, event.retryable, first, draft.at, delay)
    if again and retry.condition is not None:
        wanted = draft.evaluate(retry.condition, key, error)
        if isinstance(wanted, Failure):
            fail_expression(draft, key, "retry.if", wanted)
            return
        again = wanted.value is True
    if again:
        _wait_for_retry(draft, key, step._replace(error=error), delay, "retry")
        return
    status = StepStatus.TIMED_OUT if event.status == "timed_out" else StepStatus.FAILED
    end(
        draft,
        key,
        status,
        "timeout" if plan.timeout and status is StepStatus.TIMED_OUT else "failed",
        error=error,
    )


def _wait_for_retry(draft: Draft, key: str, step: StepState, delay: Duration, reason: str) -> None:
    wake_at, old = draft.at + delay, draft.step(key)
    draft.put(key, old, step._replace(status=StepStatus.RETRYING, reason=reason, wake_at=wake_at))
    if old.status is StepStatus.WAITING:
        draft.order(StopWaiting(key))
    draft.order(StartTimer(key, "retry", step.token, wake_at))


def worker_lost(draft: Draft, key: str, step: StepState, error: Error | None = None) -> None:
    """The attempt went down with its worker: not the step's fault, but not for ever."""
    plan = draft.step_plan(key)
    error = (error or Error("WorkerLost", "the worker that ran the step is gone"))._replace(step=key)
    if plan.at_most_once and step.permitted:
        end(draft, key, StepStatus.UNKNOWN, "worker_lost_after_permit", error=error)
    elif step.reason == "cancelling" or closing_above(draft, key) is not None:
        end(draft, key, StepStatus.CANCELLED, "cancelled")
    elif step.crashes >= plan.max_crashes:
        end(draft, key, StepStatus.CRASHED, "max_crashes", error=error)
    else:
        crashes = step.crashes + 1
        lost = step._replace(crashes=crashes, alone=True, error=error, permitted=False)
        delay = 0 if crashes == 1 else min(30 * SECOND, SECOND << (crashes - 2))
        if delay:
            _wait_for_retry(draft, key, lost, delay, "worker_lost")
        else:
            draft.put(key, draft.step(key), lost._replace(status=StepStatus.RETRYING))
            dispatch(draft, key)


def queue_timed_out(draft: Draft, key: str) -> None:
    step = draft.step(key)
    draft.order(CancelTask(key, step.token))
    error = Error("QueueTimeout", "no worker took the step within its queue_timeout", step=key)
    end(draft, key, StepStatus.TIMED_OUT, "queue_timeout", error=error)


def closing_above(draft: Draft, key: str) -> str | None:
    """Why a step may not begin any more. Inside a handler only force counts."""
    found: str | None = None
    in_handler = False
    while key:
        key = graph.parent_of(key)
        step = draft.step(key) if key else None
        scope = draft.head.scope if step is None else step.scope
        if scope is not None:
            if scope.closing == "forced":
                return "forced"
            in_handler = in_handler or scope.phase is not Phase.BODY
            if not in_handler and found is None:
                found = scope.closing
        elif step is not None and step.fan is not None and not in_handler and step.fan.closing != "failed":
            found = found or step.fan.closing
    return found


# --- constructs ---------------------------------------------------------------------------------------------


def _open(draft: Draft, key: str, plan: StepPlan, case: str | None) -> None:
    """Opens a container: its list of steps begins."""
    step = draft.step(key)
    scope = graph.scope_plan(draft.plan, plan, Phase.BODY, case)
    count = len(scope.steps) if scope else 0
    new = step._replace(
        status=StepStatus.RUNNING,
        reason=None,
        case=case,
        scope=ScopeState(open=count),
        started_at=draft.at,
        ready_at=step.ready_at or draft.at,
    )
    draft.put(key, step, new)
    _start_timeout(draft, key, plan, new.token)
    draft.opened.append(key)


def _start_timeout(draft: Draft, key: str, plan: StepPlan, token: int) -> None:
    if plan.timeout is not None:
        draft.order(StartTimer(key, "timeout", token, draft.at + plan.timeout))


def _switch(draft: Draft, key: str, plan: StepPlan) -> None:
    assert plan.switch is not None
    value = draft.evaluate(plan.switch, key)
    if isinstance(value, Failure):
        fail_expression(draft, key, "switch.value", value)
        return
    name = value.value if isinstance(value.value, str) else _as_case(value.value)
    case = name if name in dict(plan.cases) else None
    if case is None and plan.default is None:
        step = draft.step(key)
        draft.put(key, step, step._replace(status=StepStatus.RUNNING, started_at=draft.at))
        end(draft, key, StepStatus.SUCCEEDED, "no_case", output={"case": None, "steps": {}})
        return
    _open(draft, key, plan, case)


def _as_case(value: Json) -> str:
    """A case is written as text: true, 3, null, as JSON writes them; 3.0 is 3."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _begin_fan_out(draft: Draft, key: str, plan: StepPlan) -> None:
    assert plan.for_each is not None
    value = draft.evaluate(plan.for_each.items, key)
    if isinstance(value, Failure):
        fail_expression(draft, key, "for_each.items", value)
        return
    items = value.value
    if not isinstance(items, list):
        many = isinstance(items, dict) and "$items" in items
        kind = f"more than {OUTPUTS_KEPT:,} items of another step" if many else type(items).__name__
        message = f"for_each.items gave {kind}, not a list"
        end(draft, key, StepStatus.FAILED, "failed", error=Error("ExpressionError", message, step=key))
        return
    size = plan.for_each.batch_size
    if size > 1:
        items = [items[start : start + size] for start in range(0, len(items), size)]
    step = draft.step(key)
    draft.store_items(key, items)
    new = step._replace(
        status=StepStatus.RUNNING,
        reason=None,
        fan=FanOut(total=len(items)),
        started_at=draft.at,
        ready_at=step.ready_at or draft.at,
    )
    draft.put(key, step, new)
    _start_timeout(draft, key, plan, new.token)
    draft.opened.append(key)


def _begin_loop(draft: Draft, key: str, plan: StepPlan) -> None:
    assert plan.loop is not None
    step = draft.step(key)
    new = step._replace(
        status=StepStatus.RUNNING,
        reason=None,
        fan=FanOut(total=plan.loop.max_iterations, loop=True),
        output={"iterations": 0, "last": None},
        started_at=draft.at,
        ready_at=step.ready_at or draft.at,
    )
    draft.put(key, step, new)
    _start_timeout(draft, key, plan, new.token)
    draft.opened.append(key)


def _begin_subflow(draft: Draft, key: str, plan: StepPlan) -> None:
    assert plan.subflow is not None
    inputs = draft.evaluate(plan.subflow.inputs, key)
    if isinstance(inputs, Failure):
        fail_expression(draft, key, "subflow.inputs", inputs)
        return
    step = draft.step(key)
    new = step._replace(
        status=StepStatus.WAITING,
        reason="subflow",
        token=step.token + 1,
        attempt=step.attempt + 1,
        started_at=draft.at,
        ready_at=step.ready_at or draft.at,
    )
    draft.put(key, step, new)
    draft.order(StartChild(key, new.token, plan.subflow.flow, plan.subflow.version, inputs.value))
    _start_timeout(draft, key, plan, new.token)


def child_finished(draft: Draft, key: str, step: StepState, subflow: SubflowPlan, event: events.ChildFinished) -> None:
    output = {"run": step.child, "status": event.status, "outputs": event.outputs}
    if event.status in ("succeeded", "skipped"):
        end(draft, key, StepStatus.SUCCEEDED, output=output)
    elif step.reason == "timing_out":
        error = Error("Timeout", "the step's timeout passed", step=key)
        end(draft, key, StepStatus.TIMED_OUT, "timeout", output=output, error=error)
    elif event.status == "cancelled" and step.reason == "cancelling":
        end(draft, key, StepStatus.CANCELLED, "cancelled", output=output)
    elif not subflow.propagate_failure:
        end(draft, key, StepStatus.SUCCEEDED, output=output)
    else:
        cause = event.error.message if event.error else event.status
        error = Error("SubflowFailed", f"{subflow.flow} ended {event.status}: {cause}", step=key)
        end(draft, key, StepStatus.FAILED, f"subflow_{event.status}", output=output, error=error)


def _sleep(draft: Draft, key: str, plan: StepPlan) -> None:
    assert plan.value is not None
    value = draft.evaluate(plan.value, key)
    if isinstance(value, Failure):
        fail_expression(draft, key, plan.kind, value)
        return
    if not isinstance(value.value, int) or isinstance(value.value, bool):
        error = Error("ExpressionError", f"{plan.kind} needs a time, not {value.value!r}", step=key)
        end(draft, key, StepStatus.FAILED, "failed", error=error)
        return
    wake_at = draft.at + value.value if plan.kind is StepKind.SLEEP else value.value
    step = draft.step(key)
    draft.put(
        key,
        step,
        step._replace(
            status=StepStatus.WAITING,
            reason="sleep",
            token=step.token + 1,
            wake_at=wake_at,
            started_at=draft.at,
            ready_at=step.ready_at or draft.at,
        ),
    )
    draft.order(StartTimer(key, "sleep", step.token + 1, max(wake_at, draft.at)))


def _await_event(draft: Draft, key: str, plan: StepPlan) -> None:
    assert plan.wait is not None
    step = draft.step(key)
    new = step._replace(
        status=StepStatus.WAITING,
        reason="event",
        token=step.token + 1,
        attempt=step.attempt + 1,
        error=None,
        wake_at=None if plan.timeout is None else draft.at + plan.timeout,
        started_at=step.started_at or draft.at,
        ready_at=step.ready_at or draft.at,
    )
    draft.put(key, step, new)
    draft.order(AwaitEvent(key, new.token, plan.wait.event, max(draft.at, draft.head.heard)))
    _start_timeout(draft, key, plan, new.token)


def _return(draft: Draft, key: str, plan: StepPlan) -> None:
    assert plan.value is not None
    value = draft.evaluate(plan.value, key)
    if isinstance(value, Failure):
        fail_expression(draft, key, "return", value)
        return
    draft.head = draft.head._replace(returned={"outputs": value.value})
    end(draft, key, StepStatus.SUCCEEDED, output=value.value)
    draft.returning = True


def _fail(draft: Draft, key: str, plan: StepPlan) -> None:
    assert plan.value is not None
    value = draft.evaluate(plan.value, key)
    if isinstance(value, Failure):
        fail_expression(draft, key, "fail", value)
        return
    given = value.value if isinstance(value.value, dict) else {"message": value.value}
    error = Error(str(given.get("type") or "Failed"), str(given.get("message")), step=key, details=given.get("details"))
    end(draft, key, StepStatus.FAILED, "failed", error=error)


# --- ends ---------------------------------------------------------------------------------------------------


def fail_expression(draft: Draft, key: str, where: str, failure: Failure) -> None:
    error = Error("ExpressionError", f"{where}: {failure.message}", step=key, details={"code": failure.code})
    end(draft, key, StepStatus.FAILED, "expression_failed", error=error)


def end(
    draft: Draft,
    key: str,
    status: StepStatus,
    reason: str | None = None,
    *,
    output: Json = None,
    error: Error | None = None,
) -> None:
    """The step's last change; what follows from it is settled before the decision is done."""
    old = draft.step(key)
    new = old._replace(
        status=status,
        reason=reason,
        output=output,
        error=error,
        finished_at=draft.at,
        wake_at=None,
        slot=None,
    )
    draft.put(key, old, new)
    plan = draft.step_plan(key)
    if (
        plan.timeout is not None
        or plan.queue_timeout is not None
        or old.wake_at is not None
        or old.reason == "cancelling"
    ):
        draft.order(ClearTimers(key))
    if old.slot is not None:
        draft.order(ReleaseSlot(key, old.slot))
    if plan.wait is not None and old.status is StepStatus.WAITING:
        draft.order(StopWaiting(key))
    draft.ended.append(key)
