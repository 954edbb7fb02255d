"""What the history keeps of a report: the attempt's row, its artifacts, the state it asked to keep, its lease."""

from __future__ import annotations

from monjolo.domains.runs import codec
from monjolo.domains.runs.changes import Changes
from monjolo.domains.runs.leases import Leases
from monjolo.engine import events as facts
from monjolo.engine import graph
from monjolo.engine.draft import Decision
from monjolo.engine.transitions import STEP_ENDED
from monjolo.engine.types import StepState, StepStatus
from monjolo.kit import json
from monjolo_sdk.wire import Claim, Finished, Report, Started


def note_fact(changes: Changes, event: facts.Event, report: Report | None, leases: Leases, now: int) -> None:
    """Called with the state before the decision, for an event that changed something.

    A lease counts from now, not from when the worker said so: the report may have waited for the database.
    """
    match event:
        case facts.TaskStarted(key=key, token=token) | facts.TaskClaimed(key=key, token=token):
            worker = report.worker if isinstance(report, Started | Claim) else None
            until = leases.grant((changes.entry.state.run_id, key, token), max(now, event.at))
            changes.started.append((worker or "", until, changes.entry.state.run_id, key, token))
            _note_attempt(changes, key, token, "running", worker, event.at, None, None)
        case facts.TaskFinished(key=key, token=token):
            worker = report.worker if isinstance(report, Finished) else None
            error = codec.dump_or_none(codec.error_to_json(event.error))
            _note_attempt(changes, key, token, event.status, worker, event.started_at, event.at, error)
            if isinstance(report, Finished):
                _note_results(changes, key, event, report)
        case facts.LeaseExpired(key=key, token=token):
            _note_attempt(changes, key, token, "crashed", None, None, event.at, None)
        case _:
            pass


def note_cut_short(changes: Changes, decision: Decision, at: int) -> None:
    """Called with the state before the decision: attempts end with steps that end without a word of their worker."""
    for key, new in decision.steps.items():
        old = changes.entry.state.steps.get(key)
        if old is None or old.status is not StepStatus.RUNNING or new.status not in STEP_ENDED:
            continue
        if changes.entry.state.plan.steps[graph.path_of(key)].action is not None:
            error = codec.dump_or_none(codec.error_to_json(new.error))
            _note_attempt(changes, key, old.token, str(new.status), None, None, at, error)


def _note_attempt(
    changes: Changes,
    key: str,
    token: int,
    status: str,
    worker: str | None,
    started_at: int | None,
    finished_at: int | None,
    error: str | None,
) -> None:
    state = changes.entry.state
    step = state.steps.get(key) or StepState()
    queued_at = step.ready_at or state.created_at
    changes.attempts.append(
        (
            state.run_id,
            key,
            token,
            step.attempt,
            status,
            worker,
            error,
            queued_at,
            started_at or step.started_at,
            finished_at,
        )
    )


def _note_results(changes: Changes, key: str, event: facts.TaskFinished, report: Finished) -> None:
    run_id, flow_id = changes.entry.state.run_id, changes.entry.flow.flow_id
    step = changes.entry.state.steps.get(key) or StepState()
    for artifact in report.artifacts:
        changes.artifacts.append(
            (
                run_id,
                key,
                artifact["name"],
                step.attempt,
                artifact["content_type"],
                artifact["size"],
                artifact["sha256"],
                artifact["blob"],
                event.at,
            )
        )
    if event.status == "succeeded":
        for name, value in report.state_writes.items():
            changes.kept_state.append((flow_id, key, name, json.dumps(value), event.at))
