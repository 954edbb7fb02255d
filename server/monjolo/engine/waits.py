"""How a step's wait for an event ends: by an event, or by its timeout."""

from __future__ import annotations

from monjolo.engine import events, steps
from monjolo.engine.draft import Draft
from monjolo.engine.types import Error, StepState, StepStatus
from monjolo.engine.values import Failure


def arrived(draft: Draft, key: str, step: StepState, event: events.EventArrived) -> None:
    """It ends the wait when `when` admits it. One that `when` cannot judge is noted on the step, which waits on."""
    wait = draft.step_plan(key).wait
    assert wait is not None
    if wait.when is not None:
        admitted = draft.evaluate(wait.when, key, given={"event": event.about})
        if isinstance(admitted, Failure):
            details = {"code": admitted.code, "event": event.about["id"]}
            error = Error("ExpressionError", f"when: {admitted.message}", step=key, details=details)
            draft.put(key, step, step._replace(error=error))
            return
        if admitted.value is not True:
            return
    draft.head = draft.head._replace(heard=max(draft.head.heard, event.told))
    steps.end(draft, key, StepStatus.SUCCEEDED, output=event.about)


def timed_out(draft: Draft, key: str, step: StepState) -> None:
    wait = draft.step_plan(key).wait
    assert wait is not None
    error = Error("Timeout", f"no event {wait.event} that it waits for came within its timeout", step=key)
    steps.finished(draft, key, step, events.TaskFinished(draft.at, key, step.token, "timed_out", error=error))
