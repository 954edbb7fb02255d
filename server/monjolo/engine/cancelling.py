"""How what runs is brought to an end before its time: by a cancel, a time-out, or a `return`."""

from __future__ import annotations

from monjolo.engine import graph, steps, waits
from monjolo.engine.commands import CancelChild, CancelTask, StartTimer
from monjolo.engine.draft import Draft
from monjolo.engine.transitions import STEP_ENDED
from monjolo.engine.types import SECOND, Error, FanOut, Phase, RunStatus, ScopeState, StepKind, StepState, StepStatus

FORCE_AFTER = 15 * SECOND  # the worker's own grace and kill come first; then the step ends without its report
_OUTCOMES = {"cancelled": "cancelled", "timed_out": "timed_out", "returned": "succeeded"}


def cancel_run(draft: Draft, how: str, reason: str, force: bool) -> None:
    """Lets nothing further begin and ends what runs; handlers still run, unless forced."""
    scope = draft.head.scope
    if not force and (scope.closing is not None or scope.phase is not Phase.BODY):
        return
    draft.head = draft.head._replace(scope=_closed(scope, how, force), cancel_reason=draft.head.cancel_reason or reason)
    if how != "returned" and draft.head.status is not RunStatus.CANCELLING:
        draft.set_head(draft.head._replace(status=RunStatus.CANCELLING, reason=reason))
    _sweep(draft, "", how, force)


def time_out(draft: Draft, key: str) -> None:
    """The timeout of a container, a sub-flow or a wait for an event passed."""
    step = draft.step(key)
    if step.scope is not None:
        force = step.scope.phase is not Phase.BODY
        draft.put(key, step, step._replace(scope=_closed(step.scope, "timed_out", force)))
        _sweep(draft, key, "timed_out", force)
    elif step.fan is not None:
        error = Error("Timeout", "the step's timeout passed", step=key)
        draft.put(key, step, step._replace(fan=step.fan._replace(closing="timed_out", error=error)))
        _sweep(draft, key, "timed_out", False)
        _close_loop(draft, key, step.fan)
    elif draft.step_plan(key).wait is not None:
        if step.status is StepStatus.WAITING:
            waits.timed_out(draft, key, step)
    elif step.reason == "subflow":
        _cancel_child(draft, key, step, "timing_out")
    else:
        error = Error("Timeout", "the step's timeout passed", step=key)
        steps.end(draft, key, StepStatus.TIMED_OUT, "timeout", error=error)


def force(draft: Draft, key: str) -> None:
    """A step that was told to stop and has not said so: its late word will not count."""
    step = draft.step(key)
    if step.reason == "timing_out":
        error = Error("Timeout", "the step's timeout passed", step=key)
        steps.end(draft, key, StepStatus.TIMED_OUT, "timeout", error=error)
    elif step.permitted:
        error = Error("Cancelled", "cancelled, and whether it took effect cannot be known", step=key)
        steps.end(draft, key, StepStatus.UNKNOWN, "cancelled_after_permit", error=error)
    else:
        steps.end(draft, key, StepStatus.CANCELLED, "cancelled")


def _closed(scope: ScopeState, how: str, force: bool) -> ScopeState:
    if scope.phase is not Phase.BODY:  # the body's outcome stands; only its handlers are cut short
        return scope._replace(closing="forced")
    error = Error("Timeout", "the timeout passed") if how == "timed_out" else None
    outcome = scope.outcome if scope.closing else _OUTCOMES[how]
    return scope._replace(closing="forced" if force else how, outcome=outcome, error=scope.error or error)


def _sweep(draft: Draft, top: str, how: str, forced: bool) -> None:
    for key in draft.live_keys():
        if key == top or not _is_below(key, top) or (not forced and _in_handler(key, top)):
            continue
        step = draft.step(key)
        if step.status not in STEP_ENDED and step.status is not StepStatus.PENDING:
            _close_step(draft, key, step, how, forced)


def _is_below(key: str, top: str) -> bool:
    return not top or (key.startswith(top) and key[len(top)] in ".[")


def _in_handler(key: str, top: str) -> bool:
    return not graph.HANDLERS.isdisjoint(key[len(top) :].split("."))


def _close_step(draft: Draft, key: str, step: StepState, how: str, forced: bool) -> None:
    if step.scope is not None:
        below = "cancelled" if how == "timed_out" else how
        if forced or (step.scope.closing is None and step.scope.phase is Phase.BODY):
            draft.put(key, step, step._replace(scope=_closed(step.scope, below, forced)))
    elif step.fan is not None:
        draft.put(key, step, step._replace(fan=step.fan._replace(closing=step.fan.closing or how)))
        _close_loop(draft, key, step.fan)
    elif step.reason in ("cancelling", "timing_out"):
        if forced:
            force(draft, key)
    elif step.status is StepStatus.RUNNING:
        draft.put(key, step, step._replace(reason="cancelling"))
        draft.order(CancelTask(key, step.token))
        draft.order(StartTimer(key, "force_cancel", step.token, draft.at + FORCE_AFTER))
    elif draft.step_plan(key).kind is StepKind.SUBFLOW and step.reason == "subflow":
        _cancel_child(draft, key, step, "cancelling")
    else:
        if step.status is StepStatus.QUEUED:
            draft.order(CancelTask(key, step.token))
        steps.end(draft, key, StepStatus.CANCELLED, how)


def _close_loop(draft: Draft, key: str, fan: FanOut) -> None:
    """Between two iterations nothing is at work whose end would end the loop."""
    if fan.loop and not fan.live:
        draft.opened.append(key)


def _cancel_child(draft: Draft, key: str, step: StepState, reason: str) -> None:
    draft.put(key, step, step._replace(reason=reason))
    draft.order(CancelChild(key, step.child, step.token, reason))
    draft.order(StartTimer(key, "force_cancel", step.token, draft.at + 2 * FORCE_AFTER))
