"""The rows of runs. Written by `advance` and by acceptance alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from monjolo.domains.runs import codec
from monjolo.engine.commands import AcquireSlot
from monjolo.engine.types import RunHead, StepState
from monjolo.kit import json
from monjolo.storage.port import Connection

_RUN_COLUMNS = (
    "id", "workspace_id", "number", "flow_id", "flow", "version", "status", "reason", "seed", "priority",
    "trigger_type", "trigger", "inputs", "labels", "context", "head", "outputs", "error", "root_run_id",
    "parent_run_id", "parent_key", "parent_token", "depth", "repeat_of", "actor", "created_at", "started_at",
    "finished_at",
)  # fmt: skip
_INSERT_RUN = (
    f"INSERT INTO runs ({', '.join(_RUN_COLUMNS)}, revision) "  # noqa: S608  (constants of this file)
    f"VALUES ({', '.join(':' + column for column in _RUN_COLUMNS)}, 0)"
)
_UPDATE_RUN = (
    "UPDATE runs SET revision = revision + 1, status = ?, reason = ?, head = ?, outputs = ?, error = ?, "
    "started_at = ?, finished_at = ?, quarantined = NULL WHERE id = ? AND revision = ?"
)
_TOUCH_RUN = "UPDATE runs SET revision = revision + 1 WHERE id = ? AND revision = ?"
_UPSERT_STEP = (
    "INSERT INTO steps (run_id, key, status, reason, attempt, item, ended, state, output, error, started_at, "
    "finished_at, reused_from) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (run_id, key) DO UPDATE SET status = excluded.status, reason = excluded.reason, "
    "attempt = excluded.attempt, ended = excluded.ended, state = excluded.state, output = excluded.output, "
    "error = excluded.error, started_at = excluded.started_at, finished_at = excluded.finished_at"
)
_PUT_TASK = (
    "INSERT INTO tasks (run_id, key, token, attempt, flow_id, worker_group, state, priority, alone, at_most_once, "
    "inputs, not_after, ready_at, queue_at, dispatched_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (run_id, key) DO UPDATE SET token = excluded.token, attempt = excluded.attempt, "
    "state = excluded.state, alone = excluded.alone, inputs = excluded.inputs, not_after = excluded.not_after, "
    "ready_at = excluded.ready_at, queue_at = excluded.queue_at, dispatched_at = excluded.dispatched_at, "
    "worker = NULL, lease_until = NULL"
)
_PUT_ATTEMPT = (
    "INSERT INTO attempts (run_id, key, token, attempt, status, worker, error, queued_at, started_at, finished_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, key, token) DO UPDATE SET "
    "status = excluded.status, worker = COALESCE(excluded.worker, attempts.worker), error = excluded.error, "
    "started_at = COALESCE(excluded.started_at, attempts.started_at), finished_at = excluded.finished_at"
)
_PUT_TIMER = (
    "INSERT INTO timers (run_id, key, kind, token, due_at) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (run_id, key, kind) DO UPDATE SET token = excluded.token, due_at = excluded.due_at"
)


def insert_run(connection: Connection, row: dict[str, Any]) -> None:
    connection.execute(_INSERT_RUN, row)


def save_head(connection: Connection, run_id: str, revision: int, head: RunHead | None) -> bool:
    """Compare and set: False when somebody else wrote the run since it was read."""
    if head is None:
        return connection.execute(_TOUCH_RUN, (run_id, revision)).rowcount == 1
    values = (
        str(head.status),
        head.reason,
        codec.head_to_text(head),
        codec.dump_or_none(head.outputs),
        codec.dump_or_none(codec.error_to_json(head.error)),
        head.started_at,
        head.finished_at,
        run_id,
        revision,
    )
    return connection.execute(_UPDATE_RUN, values).rowcount == 1


def step_row(run_id: str, key: str, step: StepState, forgotten: bool, reused_from: str | None) -> tuple[Any, ...]:
    return (
        run_id, key, str(step.status), step.reason, step.attempt, int("[" in key), int(forgotten),
        codec.step_to_text(step), codec.dump_or_none(step.output),
        codec.dump_or_none(codec.error_to_json(step.error)), step.started_at, step.finished_at,
        reused_from if step.reason == "reused" else None,
    )  # fmt: skip


def save_steps(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    connection.executemany(_UPSERT_STEP, rows)


def forget_steps(connection: Connection, rows: Iterable[tuple[str, str]]) -> None:
    connection.executemany("UPDATE steps SET ended = 1 WHERE run_id = ? AND key = ?", rows)


def save_items(connection: Connection, run_id: str, key: str, items: list[Any]) -> None:
    connection.execute(
        "INSERT INTO fanouts (run_id, key, items) VALUES (?, ?, ?) "
        "ON CONFLICT (run_id, key) DO UPDATE SET items = excluded.items",
        (run_id, key, json.dumps(items)),
    )


def put_tasks(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    connection.executemany(_PUT_TASK, rows)


def delete_tasks(connection: Connection, rows: Iterable[tuple[str, str, int]]) -> None:
    connection.executemany("DELETE FROM tasks WHERE run_id = ? AND key = ? AND token <= ?", rows)


def put_attempts(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    connection.executemany(_PUT_ATTEMPT, rows)


def mark_started(connection: Connection, rows: Iterable[tuple[str, int, str, str, int]]) -> None:
    """Rows: worker, lease_until, run_id, key, token."""
    connection.executemany(
        "UPDATE tasks SET state = 'started', worker = ?, lease_until = ? WHERE run_id = ? AND key = ? AND token = ?",
        rows,
    )


def put_timers(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    connection.executemany(_PUT_TIMER, rows)


def delete_timers(connection: Connection, rows: Iterable[tuple[str, str]]) -> None:
    connection.executemany("DELETE FROM timers WHERE run_id = ? AND key = ?", rows)


def take_timers(connection: Connection, rows: Iterable[tuple[str, str, str, int]]) -> None:
    connection.executemany("DELETE FROM timers WHERE run_id = ? AND key = ? AND kind = ? AND token = ?", rows)


def due_timers(connection: Connection, now: int, limit: int) -> list[Any]:
    """Without those of runs that have something to hear first: an event that came in time is no time-out."""
    return connection.execute(
        "SELECT run_id, key, kind, token, due_at FROM timers t WHERE due_at <= ? "
        "AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.run_id = t.run_id) ORDER BY due_at LIMIT ?",
        (now, limit),
    ).fetchall()


def next_timer(connection: Connection) -> int | None:
    row = connection.execute("SELECT MIN(due_at) FROM timers").fetchone()
    return None if row is None else row[0]


def put_inbox(connection: Connection, rows: Iterable[tuple[str, str, int]]) -> None:
    connection.executemany("INSERT INTO inbox (run_id, event, at) VALUES (?, ?, ?)", rows)


def list_inbox(connection: Connection, limit: int) -> list[Any]:
    return connection.execute("SELECT id, run_id, event FROM inbox ORDER BY id LIMIT ?", (limit,)).fetchall()


def delete_inbox(connection: Connection, ids: Iterable[int]) -> None:
    connection.executemany("DELETE FROM inbox WHERE id = ?", [(number,) for number in ids])


def live_run_of_child(connection: Connection, parent_run_id: str, key: str, token: int) -> str | None:
    row = connection.execute(
        "SELECT id FROM runs WHERE parent_run_id = ? AND parent_key = ? AND parent_token = ? "
        "AND status IN ('queued','running','waiting','cancelling')",
        (parent_run_id, key, token),
    ).fetchone()
    return None if row is None else str(row[0])


# --- loading ------------------------------------------------------------------------------------------------


def load(connection: Connection, run_id: str) -> tuple[Any, list[Any], list[Any], list[Any]] | None:
    """The run's row, the steps its state needs, what its live fan-outs iterate over, and what they gave so far."""
    run = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
    if run is None:
        return None
    steps = connection.execute("SELECT * FROM steps WHERE run_id = ? AND (item = 0 OR ended = 0)", (run_id,)).fetchall()
    live = [row["key"] for row in steps if row["finished_at"] is None and '"fan":' in row["state"]]
    items, outputs = [], []
    for key in live:
        items += connection.execute(
            "SELECT key, items FROM fanouts WHERE run_id = ? AND key = ?", (run_id, key)
        ).fetchall()
        outputs += connection.execute(
            "SELECT key, status, output, error FROM steps WHERE run_id = ? AND key >= ? AND key < ? AND ended = 1 "
            "AND key NOT LIKE ?",
            (run_id, f"{key}[", f"{key}\\", f"{key}[%].%"),
        ).fetchall()
    return run, steps, items, outputs


# --- dispatch -----------------------------------------------------------------------------------------------

_READY_TASKS = (
    "SELECT t.run_id, t.key, t.token, t.attempt, t.flow_id, t.alone, t.inputs, t.not_after, r.version, r.number, "
    "r.workspace_id, r.trigger_type FROM tasks t JOIN runs r ON r.id = t.run_id "
    "WHERE t.state = 'ready' AND t.worker_group = ? AND t.flow_id = ? AND t.queue_at <= ? "
    "ORDER BY t.queue_at LIMIT ?"
)


def ready_flows(connection: Connection, group: str) -> list[Any]:
    """The flows with ready tasks, each with its next task's priority; one step through the index for each."""
    flows: list[Any] = []
    last = ""
    while True:
        row = connection.execute(
            "SELECT flow_id, priority, queue_at FROM tasks WHERE state = 'ready' AND worker_group = ? "
            "AND flow_id > ? ORDER BY flow_id, queue_at LIMIT 1",
            (group, last),
        ).fetchone()
        if row is None:
            return flows
        last = row["flow_id"]
        flows.append(row)


def ready_tasks(connection: Connection, group: str, flow_id: str, until: int, limit: int) -> list[Any]:
    """The flow's next tasks, of those whose `queue_at` is not after `until`."""
    return connection.execute(_READY_TASKS, (group, flow_id, until, limit)).fetchall()


def mark_dispatched(connection: Connection, now: int, rows: Iterable[tuple[str, str, int]]) -> None:
    connection.executemany(
        "UPDATE tasks SET state = 'dispatched', dispatched_at = ? WHERE run_id = ? AND key = ? AND token = ?",
        [(now, *row) for row in rows],
    )


def outstanding_tasks(connection: Connection) -> list[Any]:
    """Everything that was handed to the broker or to a worker and has not ended."""
    return connection.execute(
        "SELECT run_id, key, token, state, alone FROM tasks WHERE state IN ('dispatched', 'started')"
    ).fetchall()


def left_before(connection: Connection, instant: int) -> list[tuple[str, str, int]]:
    """Tasks that were handed to the broker before then and have not begun, as far as is known."""
    rows = connection.execute(
        "SELECT run_id, key, token FROM tasks t WHERE state = 'dispatched' AND dispatched_at < ? "
        "AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = t.run_id AND r.quarantined IS NOT NULL)",
        (instant,),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def leased(connection: Connection) -> list[tuple[str, str, int]]:
    rows = connection.execute("SELECT run_id, key, token FROM tasks WHERE state = 'started'")
    return [(row[0], row[1], row[2]) for row in rows]


def any_ready(connection: Connection) -> bool:
    return connection.execute("SELECT 1 FROM tasks WHERE state = 'ready' LIMIT 1").fetchone() is not None


def count_ready(connection: Connection) -> int:
    row = connection.execute("SELECT COUNT(*) FROM tasks WHERE state = 'ready'").fetchone()
    return int(row[0])


# --- slots --------------------------------------------------------------------------------------------------


def ask_slot(connection: Connection, workspace_id: str, run_id: str, ask: AcquireSlot, queue_at: int, now: int) -> None:
    connection.execute(
        "INSERT INTO slots (run_id, key, workspace_id, slot_key, state, slot_limit, asked_at, queue_at) "
        "VALUES (?, ?, ?, ?, 'waiting', ?, ?, ?) ON CONFLICT (run_id, key) DO NOTHING",
        (run_id, ask.key, workspace_id, ask.slot, ask.limit, now, queue_at),
    )


def release_slot(connection: Connection, run_id: str, key: str) -> None:
    connection.execute("DELETE FROM slots WHERE run_id = ? AND key = ?", (run_id, key))


def release_slots_of(connection: Connection, run_id: str) -> list[tuple[str, str]]:
    """Deletes the slots of a run; returns (workspace, slot) of each, in their order."""
    found = connection.execute("SELECT DISTINCT workspace_id, slot_key FROM slots WHERE run_id = ?", (run_id,))
    keys = sorted((row[0], row[1]) for row in found.fetchall())
    connection.execute("DELETE FROM slots WHERE run_id = ?", (run_id,))
    return keys


def slot_holders(connection: Connection, workspace_id: str, slot: str, limit: int) -> list[Any]:
    return connection.execute(
        "SELECT run_id, key FROM slots WHERE workspace_id = ? AND slot_key = ? AND state = 'held' LIMIT ?",
        (workspace_id, slot, limit),
    ).fetchall()


def slot_waiters(connection: Connection, workspace_id: str, slot: str, limit: int) -> list[Any]:
    """Whose turn is next."""
    return connection.execute(
        "SELECT run_id, key, slot_limit FROM slots WHERE workspace_id = ? AND slot_key = ? AND state = 'waiting' "
        "ORDER BY queue_at, run_id, key LIMIT ?",
        (workspace_id, slot, limit),
    ).fetchall()


def oldest_waiters(connection: Connection, workspace_id: str, slot: str, limit: int) -> list[Any]:
    """Those that asked first, whatever their priority. Read when they are few, or are being made few."""
    return connection.execute(
        "SELECT run_id, key FROM slots WHERE workspace_id = ? AND slot_key = ? AND state = 'waiting' "
        "ORDER BY asked_at, run_id, key LIMIT ?",
        (workspace_id, slot, limit),
    ).fetchall()


def count_slots(connection: Connection, workspace_id: str, slot: str, state: str, up_to: int) -> int:
    row = connection.execute(
        "SELECT COUNT(*) FROM (SELECT 1 FROM slots WHERE workspace_id = ? AND slot_key = ? AND state = ? LIMIT ?) "
        "AS found",
        (workspace_id, slot, state, up_to),
    ).fetchone()
    return int(row[0])


def hold_slot(connection: Connection, run_id: str, key: str) -> None:
    connection.execute("UPDATE slots SET state = 'held' WHERE run_id = ? AND key = ?", (run_id, key))


# --- waits for events ---------------------------------------------------------------------------------------


def put_wait(connection: Connection, run_id: str, key: str, token: int, workspace_id: str, event: str) -> None:
    connection.execute(
        "INSERT INTO event_waits (run_id, key, token, workspace_id, type) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (run_id, key) DO UPDATE SET token = excluded.token, type = excluded.type",
        (run_id, key, token, workspace_id, event),
    )


def delete_waits(connection: Connection, rows: Iterable[tuple[str, str]]) -> None:
    connection.executemany("DELETE FROM event_waits WHERE run_id = ? AND key = ?", rows)


def waiting_for(connection: Connection, workspace_id: str, event: str) -> list[Any]:
    return connection.execute(
        "SELECT run_id, key, token FROM event_waits WHERE workspace_id = ? AND type = ? ORDER BY run_id, key",
        (workspace_id, event),
    ).fetchall()


def events_since(connection: Connection, workspace_id: str, event: str, since: int) -> list[Any]:
    """The oldest first."""
    return connection.execute(
        "SELECT id, at FROM events WHERE workspace_id = ? AND at > ? AND type = ? ORDER BY at, id",
        (workspace_id, since, event),
    ).fetchall()


def events_of(connection: Connection, ids: Sequence[str]) -> list[Any]:
    marks = ", ".join("?" for _ in ids)
    return connection.execute(
        f"SELECT id, type, data, source, at FROM events WHERE id IN ({marks})",  # noqa: S608  (marks alone)
        ids,
    ).fetchall()


# --- idempotency, events, state, artifacts ------------------------------------------------------------------


def claim_key(
    connection: Connection,
    workspace_id: str,
    scope: str,
    key: str,
    fingerprint: str,
    run_id: str,
    now: int,
    ttl: int,
) -> tuple[str, str] | None:
    """None when the key is new (or its time was over); else (run_id, fingerprint) of who was first."""
    connection.execute(
        "DELETE FROM idempotency WHERE workspace_id = ? AND scope = ? AND key = ? AND expires_at <= ?",
        (workspace_id, scope, key, now),
    )
    taken = connection.execute(
        "INSERT INTO idempotency (workspace_id, scope, key, fingerprint, run_id, expires_at) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (workspace_id, scope, key) DO NOTHING",
        (workspace_id, scope, key, fingerprint, run_id, now + ttl),
    )
    if taken.rowcount == 1:
        return None
    row = connection.execute(
        "SELECT run_id, fingerprint FROM idempotency WHERE workspace_id = ? AND scope = ? AND key = ?",
        (workspace_id, scope, key),
    ).fetchone()
    return (row[0], row[1])


def put_event(connection: Connection, row: Sequence[Any]) -> None:
    connection.execute("INSERT INTO events (id, workspace_id, type, data, source, at) VALUES (?, ?, ?, ?, ?, ?)", row)


def put_kept_state(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Rows: flow_id, step, key, value (JSON text), at."""
    connection.executemany(
        "INSERT INTO kept_state (flow_id, step, key, value, updated_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (flow_id, step, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        rows,
    )


def get_kept_state(connection: Connection, flow_id: str, step: str, key: str) -> Any:
    row = connection.execute(
        "SELECT value FROM kept_state WHERE flow_id = ? AND step = ? AND key = ?", (flow_id, step, key)
    ).fetchone()
    return None if row is None else json.loads(row[0])


def put_artifacts(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    connection.executemany(
        "INSERT INTO artifacts (run_id, key, name, attempt, content_type, size, sha256, blob, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, key, name) DO UPDATE SET "
        "attempt = excluded.attempt, content_type = excluded.content_type, size = excluded.size, "
        "sha256 = excluded.sha256, blob = excluded.blob, created_at = excluded.created_at",
        rows,
    )


def quarantine(connection: Connection, run_id: str, why: str) -> None:
    connection.execute("UPDATE runs SET quarantined = ? WHERE id = ?", (why, run_id))


def end_by_force(connection: Connection, run_id: str, error: str | None, at: int) -> tuple[Any, Any, Any] | None:
    """Ends a run and its steps as crashed, without the engine; returns its parent's (run, key, token).

    None when there is no such run or it had ended.
    """
    ended = connection.execute(
        "UPDATE runs SET revision = revision + 1, status = 'crashed', reason = 'quarantined', error = ?, "
        "finished_at = ? WHERE id = ? AND finished_at IS NULL",
        (error, at, run_id),
    )
    if ended.rowcount != 1:
        return None
    connection.execute(
        "UPDATE steps SET status = 'crashed', reason = 'quarantined', finished_at = ? "
        "WHERE run_id = ? AND finished_at IS NULL AND status <> 'pending'",
        (at, run_id),
    )
    connection.execute(
        "UPDATE attempts SET status = 'crashed', finished_at = ? WHERE run_id = ? AND finished_at IS NULL",
        (at, run_id),
    )
    connection.execute("DELETE FROM tasks WHERE run_id = ?", (run_id,))
    connection.execute("DELETE FROM timers WHERE run_id = ?", (run_id,))
    connection.execute("DELETE FROM event_waits WHERE run_id = ?", (run_id,))
    row = connection.execute(
        "SELECT parent_run_id, parent_key, parent_token FROM runs WHERE id = ?", (run_id,)
    ).fetchone()
    return (row[0], row[1], row[2])


def live_children(connection: Connection, run_id: str) -> list[str]:
    rows = connection.execute("SELECT id FROM runs WHERE parent_run_id = ? AND finished_at IS NULL", (run_id,))
    return [row[0] for row in rows]


def next_number(connection: Connection, flow_id: str) -> int:
    row = connection.execute(
        "SELECT MAX(number) FROM (SELECT number FROM runs WHERE flow_id = ? ORDER BY id DESC LIMIT 1000) AS newest",
        (flow_id,),
    ).fetchone()
    return (row[0] or 0) + 1


# --- after a restore ----------------------------------------------------------------------------------------


def newest_and_live(connection: Connection) -> tuple[int, int]:
    """When the newest run was accepted, and how many have not ended."""
    row = connection.execute("SELECT COALESCE(MAX(created_at), 0) FROM runs").fetchone()
    live = connection.execute("SELECT COUNT(*) FROM runs WHERE finished_at IS NULL").fetchone()
    return int(row[0]), int(live[0])


def root_accepted_at(connection: Connection, run_id: str) -> int:
    row = connection.execute(
        "SELECT root.created_at FROM runs r JOIN runs root ON root.id = r.root_run_id WHERE r.id = ?", (run_id,)
    ).fetchone()
    return 0 if row is None else int(row[0])
