"""What a run does next: a function of its state and of what happened.

`decide` tells facts apart and changes single steps; `scopes` says what follows when a step has ended.
It never raises for anything a flow, a module or a worker does; an `IllegalTransition` is a fault of ours.
"""

from __future__ import annotations

from typing import assert_never

from monjolo.engine import cancelling, events, loops, scopes, steps, waits
from monjolo.engine.commands import ClearTimers, Permit
from monjolo.engine.draft import Decision, Draft, Evaluate
from monjolo.engine.transitions import RUN_ENDED, STEP_ENDED
from monjolo.engine.types import Error, Phase, RunStatus, State, StepState, StepStatus
from monjolo.engine.values import Failure

_REPORTABLE = frozenset({StepStatus.QUEUED, StepStatus.RUNNING})


def decide(state: State, event: events.Event, evaluate: Evaluate) -> Decision:
    """The decision for one event; `state` is not changed. A fact that comes too late changes nothing."""
    if state.head.status in RUN_ENDED:
        return Decision()
    draft = Draft(state, event.at, evaluate)
    _apply(draft, event)
    scopes.settle(draft)
    draft.settle_run_status()
    return draft.decision()


def _apply(draft: Draft, event: events.Event) -> None:
    match event:
        case events.RunCreated():
            _create(draft)
        case events.SlotGranted(key=key):
            _slot_granted(draft, key)
        case events.SlotRefused(key=key, how=how, by=by):
            _slot_refused(draft, key, how, by)
        case events.CancelRequested(reason=reason, force=force):
            _cancel(draft, "cancelled", reason, force)
        case events.TimerFired():
            _timer_fired(draft, event)
        case events.EventArrived(key=key, token=token):
            waiting = draft.get(key)
            if waiting is not None and waiting.token == token and waiting.reason == "event":
                waits.arrived(draft, key, waiting, event)
        case events.ChildAccepted() | events.ChildRefused() | events.ChildFinished():
            _child_told(draft, event)
        case (
            events.TaskStarted()
            | events.TaskClaimed()
            | events.TaskFinished()
            | events.TaskReleased()
            | events.TaskRedelivered()
            | events.TaskRefused()
            | events.DispatchLost()
            | events.LeaseExpired()
        ):
            _task_told(draft, event)
        case _:
            assert_never(event)


def _create(draft: Draft) -> None:
    concurrency = draft.plan.concurrency
    if draft.head.status is not RunStatus.QUEUED or draft.head.slot:
        return
    if concurrency is None:
        scopes.begin_run(draft)
        return
    slot = steps.slot_key(draft, "", f"flow:{draft.plan.flow}", concurrency)
    if isinstance(slot, Failure):
        error = Error("ExpressionError", f"concurrency.key: {slot.message}")
        scopes.end_run(draft, RunStatus.FAILED, "concurrency_key_failed", error)
        return
    draft.set_head(draft.head._replace(slot=slot, reason="concurrency"))
    draft.order(steps.acquire("", slot, concurrency))


def _slot_granted(draft: Draft, key: str) -> None:
    if not key:
        if draft.head.status is RunStatus.QUEUED:
            scopes.begin_run(draft)
        return
    step = draft.get(key)
    if step is not None and step.status is StepStatus.WAITING and step.reason == "concurrency":
        steps.begin(draft, key)


def _slot_refused(draft: Draft, key: str, how: str, by: str | None) -> None:
    reason, error = _refusal(how, by, key)
    skips = how in ("skip", "coalesced")
    if not key:
        if draft.head.status is RunStatus.QUEUED:
            draft.set_head(draft.head._replace(slot=None))
            scopes.end_run(draft, RunStatus.SKIPPED if skips else RunStatus.FAILED, reason, error)
        return
    step = draft.get(key)
    if step is not None and step.status is StepStatus.WAITING and step.reason == "concurrency":
        draft.put(key, step, step._replace(slot=None))
        steps.end(draft, key, StepStatus.SKIPPED if skips else StepStatus.FAILED, reason, error=error)


def _refusal(how: str, by: str | None, key: str) -> tuple[str, Error | None]:
    """The reason it ends with, and what it says; one that is skipped by `on_limit` has nothing to say."""
    step = key or None
    match how:
        case "skip":
            return "concurrency_limit", None
        case "full":
            return "queue_full", Error("QueueFull", "as many wait for a slot as max_queued allows", step=step)
        case "coalesced":
            message = f"coalesced: the run {by} took its place"
            return "coalesced", Error("Coalesced", message, step=step, details={"run": by})
        case _:
            message = "the concurrency limit was reached, and on_limit says not to wait"
            return "concurrency_limit", Error("ConcurrencyLimit", message, step=step)


def _cancel(draft: Draft, how: str, reason: str, force: bool) -> None:
    if draft.head.status is RunStatus.QUEUED:  # it never began, so it has nothing to clean up after
        scopes.end_run(draft, RunStatus.CANCELLED, reason)
    else:
        cancelling.cancel_run(draft, how, reason, force)


def _task_told(
    draft: Draft,
    event: events.TaskStarted
    | events.TaskClaimed
    | events.TaskFinished
    | events.TaskReleased
    | events.TaskRedelivered
    | events.TaskRefused
    | events.DispatchLost
    | events.LeaseExpired,
) -> None:
    step = draft.get(event.key)
    if step is None or step.token != event.token or step.status not in _REPORTABLE or step.scope or step.fan:
        return
    key, plan = event.key, draft.step_plan(event.key)
    match event:
        case events.TaskStarted():
            if step.status is StepStatus.QUEUED and not plan.at_most_once:
                _started(draft, key, step)
        case events.TaskClaimed(worker=worker):
            if plan.at_most_once and step.status is StepStatus.QUEUED:
                _started(draft, key, step._replace(permitted=True, worker=worker))
                draft.order(Permit(key, step.token, worker))
        case events.TaskFinished():
            steps.finished(draft, key, step, event)
        case events.TaskReleased(too_late=too_late, worker=worker):
            if step.permitted and worker != step.worker:
                return  # the message was doubled: another worker waited in vain for what this one was given
            if step.reason == "cancelling":
                steps.end(draft, key, StepStatus.CANCELLED, "cancelled")
            elif too_late and plan.queue_timeout is not None:
                steps.queue_timed_out(draft, key)
            elif step.status is StepStatus.QUEUED or step.permitted:
                steps.dispatch_again(draft, key, alone=True)
        case events.TaskRedelivered():
            if step.status is not StepStatus.QUEUED:
                return  # it was begun under a lease, and the lease alone says whether its worker lives
            if step.alone and not plan.at_most_once:
                steps.worker_lost(draft, key, step)
            else:
                steps.dispatch_again(draft, key, alone=True)
        case events.TaskRefused(error=error, unknown=unknown):
            status, reason = (StepStatus.UNKNOWN, "restored") if unknown else (StepStatus.FAILED, "not_dispatchable")
            steps.end(draft, key, status, reason, error=error)
        case events.DispatchLost():
            if step.status is StepStatus.QUEUED:
                steps.dispatch_again(draft, key, alone=step.alone)
        case events.LeaseExpired():
            if step.status is StepStatus.RUNNING:
                steps.worker_lost(draft, key, step)
        case _:
            assert_never(event)


def _started(draft: Draft, key: str, step: StepState) -> None:
    new = step._replace(status=StepStatus.RUNNING, reason=None, started_at=step.started_at or draft.at)
    old = draft.step(key)
    draft.put(key, old, new)
    if draft.step_plan(key).queue_timeout is not None:
        draft.order(ClearTimers(key))


def _timer_fired(draft: Draft, event: events.TimerFired) -> None:
    key, kind = event.key, event.kind
    if not key:
        if kind == "timeout":
            _cancel(draft, "timed_out", "timeout", draft.head.scope.phase is not Phase.BODY)
        return
    if kind == "interval":
        loops.interval_over(draft, key, event.token)
        return
    step = draft.get(key)
    if step is None or step.status in STEP_ENDED or step.token != event.token:
        return
    match kind:
        case "retry" if step.status is StepStatus.RETRYING:
            steps.begin(draft, key)
        case "sleep" if step.status is StepStatus.WAITING and step.reason == "sleep":
            steps.end(draft, key, StepStatus.SUCCEEDED)
        case "queue_timeout" if step.status is StepStatus.QUEUED:
            steps.queue_timed_out(draft, key)
        case "timeout" if step.status is not StepStatus.PENDING:
            cancelling.time_out(draft, key)
        case "force_cancel" if step.reason in ("cancelling", "timing_out"):
            cancelling.force(draft, key)


def _child_told(draft: Draft, event: events.ChildAccepted | events.ChildRefused | events.ChildFinished) -> None:
    step = draft.get(event.key)
    subflow = None if step is None else draft.step_plan(event.key).subflow
    if step is None or subflow is None or step.status is not StepStatus.WAITING or step.token != event.token:
        return
    match event:
        case events.ChildAccepted(child=child):
            draft.put(event.key, step, step._replace(child=child))
            if not subflow.wait:
                steps.end(draft, event.key, StepStatus.SUCCEEDED, output={"run": child})
        case events.ChildRefused(error=error):
            steps.end(draft, event.key, StepStatus.FAILED, "subflow_refused", error=error)
        case events.ChildFinished():
            steps.child_finished(draft, event.key, step, subflow, event)
        case _:
            assert_never(event)
