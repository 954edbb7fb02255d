"""Decisions become rows: `write` stores many runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable

from monjolo.domains.runs import codec, repository, slots, waits
from monjolo.domains.runs.changes import Changes
from monjolo.domains.runs.models import Entry
from monjolo.engine import events as facts
from monjolo.engine.admission import queue_at
from monjolo.engine.transitions import STEP_ENDED
from monjolo.engine.types import RunHead, StepStatus
from monjolo.kit import json
from monjolo.kit.ids import new_id
from monjolo.storage.port import Connection

SOURCE = "platform"  # of events that runs tell of themselves: only those count how many followed from one another
_NO_TASK = STEP_ENDED | {StepStatus.RETRYING}


def write(connection: Connection, changed: Iterable[Changes], group: str) -> tuple[set[str], bool]:
    """Stores every run whose revision is still the one it was decided on.

    Returns the runs that lost that comparison, and whether the inbox has something new.
    """
    losers: set[str] = set()
    winners: list[Changes] = []
    for changes in changed:
        if changes.row is not None:
            repository.insert_run(connection, changes.row)
            winners.append(changes)
        elif repository.save_head(connection, changes.entry.state.run_id, changes.revision, changes.head):
            winners.append(changes)
        else:
            losers.add(changes.entry.state.run_id)
    _write_steps(connection, winners)
    _write_tasks(connection, winners, group)
    _write_timers(connection, winners)
    told = _write_inbox(connection, winners)
    told = slots.settle(connection, winners) or told
    told = waits.settle(connection, winners) or told
    return losers, told


def _write_steps(connection: Connection, winners: list[Changes]) -> None:
    rows, forgotten = [], []
    for changes in winners:
        run_id = changes.entry.state.run_id
        for key, step in changes.steps.items():
            rows.append(repository.step_row(run_id, key, step, key in changes.forget, changes.repeat_of))
        forgotten += [(run_id, key) for key in changes.forget if key not in changes.steps]
        for key, items in changes.items.items():
            repository.save_items(connection, run_id, key, items)
    repository.save_steps(connection, rows)
    if forgotten:
        repository.forget_steps(connection, forgotten)
    attempts = [row for changes in winners for row in changes.attempts]
    if attempts:
        repository.put_attempts(connection, attempts)
    artifacts = [row for changes in winners for row in changes.artifacts]
    if artifacts:
        repository.put_artifacts(connection, artifacts)
    kept = [row for changes in winners for row in changes.kept_state]
    if kept:
        repository.put_kept_state(connection, kept)


def _write_tasks(connection: Connection, winners: list[Changes], group: str) -> None:
    put, started, gone = [], [], []
    for changes in winners:
        run_id, flow_id, at = changes.entry.state.run_id, changes.entry.flow.flow_id, changes.at
        priority = changes.entry.priority
        for key, order in changes.dispatches.items():
            direct = key in changes.direct
            put.append(
                (run_id, key, order.token, order.attempt, flow_id, group, "dispatched" if direct else "ready",
                 priority, int(order.alone), int(order.at_most_once), json.dumps(order.inputs), order.not_after, at,
                 queue_at(priority, at), at if direct else None)
            )  # fmt: skip
        started += changes.started
        gone += [
            (run_id, key, step.token) for key, step in changes.steps.items() if step.token and step.status in _NO_TASK
        ]
    if put:
        repository.put_tasks(connection, put)
    if started:
        repository.mark_started(connection, started)
    if gone:
        repository.delete_tasks(connection, gone)


def _write_timers(connection: Connection, winners: list[Changes]) -> None:
    cleared = [(changes.entry.state.run_id, key) for changes in winners for key in changes.cleared]
    if cleared:
        repository.delete_timers(connection, cleared)
    rows = [
        (changes.entry.state.run_id, order.key, order.kind, order.token, order.due_at)
        for changes in winners
        for order in changes.timers.values()
    ]
    if rows:
        repository.put_timers(connection, rows)


def _write_inbox(connection: Connection, winners: list[Changes]) -> bool:
    """What this run has to say to others: to the step that waits for it, and to the runs below it."""
    rows = []
    for changes in winners:
        run_id, parent, head = changes.entry.state.run_id, changes.entry.parent, changes.head
        if changes.ended and parent is not None and head is not None:
            told = facts.ChildFinished(changes.at, parent.key, parent.token, str(head.status), head.outputs, head.error)
            rows.append((parent.run_id, codec.event_to_text(told), changes.at))
        for order in changes.child_cancels:
            child = order.child or repository.live_run_of_child(connection, run_id, order.key, order.token)
            if child is not None:
                reason = "parent_timed_out" if order.reason == "timing_out" else "parent_cancelled"
                rows.append((child, codec.event_to_text(facts.CancelRequested(changes.at, reason)), changes.at))
    if rows:
        repository.put_inbox(connection, rows)
    return bool(rows)


def put_run_event(connection: Connection, entry: Entry, head: RunHead, at: int) -> bool:
    """The internal event that a run has ended, for who waits for it; True when a run was told of it."""
    data = {
        "flow": entry.flow.slug,
        "run": entry.state.run_id,
        "number": entry.number,
        "status": str(head.status),
        "reason": head.reason,
        "trigger": entry.trigger_type,
        "error": codec.error_to_json(head.error),
        "depth": event_depth(entry) + 1,
    }
    kind, event_id = f"run.{head.status}", new_id()
    repository.put_event(connection, (event_id, entry.workspace_id, kind, json.dumps(data), SOURCE, at))
    return waits.tell(connection, entry.workspace_id, event_id, kind, at)


def event_depth(entry: Entry) -> int:
    """How many events stand between this run and whatever began it: what stops a circle of flows."""
    event = entry.state.context.get("event")
    depth = event.get("depth", 0) if isinstance(event, dict) and event.get("source") == SOURCE else 0
    return depth if isinstance(depth, int) else 0
