"""What people ask about runs. Lists read no payloads; every question carries the workspace."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from monjolo.domains.runs.codec import STEP_OUTPUT_LIMIT
from monjolo.domains.runs.models import Taken
from monjolo.kit import json
from monjolo.kit.errors import NotFound
from monjolo.kit.time import to_rfc3339
from monjolo.storage.port import Connection

_LIST = (
    "id, number, flow, version, status, reason, priority, trigger_type, labels, error, root_run_id, parent_run_id, "
    "parent_key, repeat_of, actor, quarantined, created_at, started_at, finished_at"
)
_COMPARED = (
    ("trigger", "trigger_type", "="),
    ("parent", "parent_run_id", "="),
    ("number", "number", "="),
    ("from", "created_at", ">="),
    ("to", "created_at", "<"),
)
COUNTED = 1_000  # those before a waiting one are counted so far
_ITEMS = ("total", "begun", "live", "failed")  # of a `while` (`loop`), `total` is how many there may be
ENDED = ("succeeded", "failed", "cancelled", "skipped", "timed_out", "crashed")


def get(connection: Connection, workspace_id: str, run_id: str) -> dict[str, Any]:
    """A run with its payloads."""
    row = connection.execute(
        f"SELECT {_LIST}, flow_id, trigger, inputs, outputs, context FROM runs WHERE workspace_id = ? AND id = ?",  # noqa: S608
        (workspace_id, run_id),
    ).fetchone()
    if row is None:
        raise NotFound("There is no such run, or retention has removed it.", code="run_not_found")
    run = brief(row)
    run["flow_id"] = row["flow_id"]
    run["trigger"] = json.loads(row["trigger"])
    run["inputs"] = json.loads(row["inputs"])
    run["outputs"] = None if row["outputs"] is None else json.loads(row["outputs"])
    run["event"] = json.loads(row["context"]).get("event")
    return run


def brief(row: Any) -> dict[str, Any]:
    """A run as lists show it."""
    return {
        "id": row["id"],
        "number": row["number"],
        "flow": row["flow"],
        "version": row["version"],
        "status": row["status"],
        "reason": row["reason"],
        "priority": row["priority"],
        "trigger": {"type": row["trigger_type"]},
        "labels": json.loads(row["labels"]),
        "error": None if row["error"] is None else json.loads(row["error"]),
        "root_run": row["root_run_id"],
        "parent": None if row["parent_run_id"] is None else {"run": row["parent_run_id"], "step": row["parent_key"]},
        "repeat_of": row["repeat_of"],
        "actor": row["actor"],
        "quarantined": row["quarantined"] is not None,
        "created_at": to_rfc3339(row["created_at"]),
        "started_at": None if row["started_at"] is None else to_rfc3339(row["started_at"]),
        "finished_at": None if row["finished_at"] is None else to_rfc3339(row["finished_at"]),
    }


def has_ended(connection: Connection, run_id: str) -> bool:
    row = connection.execute("SELECT finished_at FROM runs WHERE id = ?", (run_id,)).fetchone()
    return row is not None and row[0] is not None


def list_runs(
    connection: Connection, workspace_id: str, filters: dict[str, Any], before: str | None, limit: int
) -> list[Any]:
    """The newest first. `filters`: flow_id, status (list), number, trigger, parent, from, to (instants), q (text)."""
    where, values = _conditions(workspace_id, filters)
    if before is not None:
        where.append("id < ?")
        values.append(before)
    sql = f"SELECT {_LIST} FROM runs WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"  # noqa: S608
    return connection.execute(sql, (*values, limit)).fetchall()


def count_runs(connection: Connection, workspace_id: str, filters: dict[str, Any], up_to: int) -> int:
    where, values = _conditions(workspace_id, filters)
    sql = f"SELECT COUNT(*) FROM (SELECT 1 FROM runs WHERE {' AND '.join(where)} LIMIT ?) AS found"  # noqa: S608
    return int(connection.execute(sql, (*values, up_to)).fetchone()[0])


def _conditions(workspace_id: str, filters: dict[str, Any]) -> tuple[list[str], list[Any]]:
    # An index that does not give the order would be sorted, a million rows for a page of fifty, so the database is
    # shown one way only: by parent, by the rarer of flow and status, or else by id from the newest. A CAST hides a
    # column's index from SQLite; to PostgreSQL, which knows how the values are spread, it is nothing.
    flow, status = filters.get("flow_id"), filters.get("status") or ()
    by_status = bool(status) and (flow is None or "succeeded" not in status)
    where, values = ["workspace_id = ?" if by_status else "CAST(workspace_id AS TEXT) = ?"], [workspace_id]
    if flow is not None:
        where.append("CAST(flow_id AS TEXT) = ?" if by_status else "flow_id = ?")
        values.append(flow)
    if status:
        where.append(f"status IN ({', '.join('?' for _ in status)})")
        values += status
    for name, column, sign in _COMPARED:
        if filters.get(name) is not None:
            where.append(f"{column} {sign} ?")
            values.append(filters[name])
    if filters.get("q"):
        texts = " OR ".join(f"{column} LIKE ? ESCAPE '!'" for column in ("flow", "labels", "error"))
        where.append(f"(id = ? OR CAST(number AS TEXT) = ? OR {texts})")
        like = "%" + re.sub("[!%_]", r"!\g<0>", str(filters["q"])) + "%"
        values += [filters["q"], str(filters["q"]).lstrip("#"), like, like, like]
    return where, values


def steps_of(connection: Connection, run_id: str, after: str, limit: int, item_of: str | None) -> list[dict[str, Any]]:
    """The steps that have begun, by key; items of a fan-out only when asked for with `item_of`."""
    sql = "SELECT * FROM steps WHERE run_id = ? AND key > ? "
    values: list[Any] = [run_id, after]
    if item_of is None:
        sql += "AND item = 0 "
    else:
        sql += "AND key >= ? AND key < ? "
        values += [f"{item_of}[", f"{item_of}\\"]
    rows = connection.execute(sql + "ORDER BY key LIMIT ?", (*values, limit)).fetchall()
    return [_step(row) for row in rows]


def _step(row: Any) -> dict[str, Any]:
    state = json.loads(row["state"])
    output = row["output"]
    fan = state.get("fan") or state.get("loop")
    return {
        "key": row["key"],
        "status": row["status"],
        "reason": row["reason"],
        "attempt": row["attempt"],
        "crashes": state.get("crashes", 0),
        "output": None if output is None or len(output) > STEP_OUTPUT_LIMIT else json.loads(output),
        "output_bytes": None if output is None else len(output),
        "error": None if row["error"] is None else json.loads(row["error"]),
        "items": None if fan is None else {**dict(zip(_ITEMS, fan, strict=False)), "loop": "loop" in state},
        "case": state.get("case"),
        "child_run": state.get("child"),
        "reused": row["reason"] == "reused",
        "reused_from": row["reused_from"],
        "wake_at": None if state.get("wake_at") is None else to_rfc3339(state["wake_at"]),
        "started_at": None if row["started_at"] is None else to_rfc3339(row["started_at"]),
        "finished_at": None if row["finished_at"] is None else to_rfc3339(row["finished_at"]),
    }


def output_of(connection: Connection, run_id: str, key: str) -> Any:
    row = connection.execute("SELECT output FROM steps WHERE run_id = ? AND key = ?", (run_id, key)).fetchone()
    if row is None:
        raise NotFound("The run has no such step, or it has not begun.", code="step_not_found")
    return None if row[0] is None else json.loads(row[0])


def ends_of(connection: Connection, run_id: str, keys: Sequence[str]) -> dict[str, Taken]:
    """How those of these steps that have ended did so."""
    found: dict[str, Taken] = {}
    for key in keys:
        row = connection.execute(
            "SELECT status, reason, output, error FROM steps WHERE run_id = ? AND key = ? AND finished_at IS NOT NULL",
            (run_id, key),
        ).fetchone()
        if row is not None:
            output, error = (None if text is None else json.loads(text) for text in (row["output"], row["error"]))
            found[key] = Taken(row["status"], row["reason"], output, error)
    return found


def origin_of(connection: Connection, run_id: str, key: str) -> str:
    """The run in which the step was done: that run, or the one it was taken over from, however often."""
    while key:
        row = connection.execute("SELECT reused_from FROM steps WHERE run_id = ? AND key = ?", (run_id, key)).fetchone()
        if row is None or row[0] is None:
            break
        run_id = row[0]
    return run_id


def item_count(connection: Connection, run_id: str, fan_key: str) -> int | None:
    """Of a `for_each` that has begun."""
    row = connection.execute("SELECT state FROM steps WHERE run_id = ? AND key = ?", (run_id, fan_key)).fetchone()
    fan = None if row is None else json.loads(row["state"]).get("fan")
    return None if fan is None else int(fan[0])


def case_of(connection: Connection, run_id: str, key: str) -> tuple[bool, str | None]:
    """Whether a switch has begun, and the case it went to; None is its default."""
    row = connection.execute("SELECT status, state FROM steps WHERE run_id = ? AND key = ?", (run_id, key)).fetchone()
    if row is None or row["status"] in ("pending", "skipped"):
        return False, None
    return True, json.loads(row["state"]).get("case")


def attempts_of(connection: Connection, run_id: str, key: str) -> list[dict[str, Any]]:
    return attempts_between(connection, run_id, key, key).get(key, [])


def attempts_between(connection: Connection, run_id: str, first: str, last: str) -> dict[str, list[dict[str, Any]]]:
    """The attempts of all steps whose keys stand between two, by key."""
    rows = connection.execute(
        "SELECT * FROM attempts WHERE run_id = ? AND key >= ? AND key <= ? ORDER BY key, token", (run_id, first, last)
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["key"], []).append(_attempt(row))
    return found


def _attempt(row: Any) -> dict[str, Any]:
    return {
        "attempt": row["attempt"],
        "token": row["token"],
        "status": row["status"],
        "worker": row["worker"],
        "error": None if row["error"] is None else json.loads(row["error"]),
        "queued_at": to_rfc3339(row["queued_at"]),
        "started_at": None if row["started_at"] is None else to_rfc3339(row["started_at"]),
        "finished_at": None if row["finished_at"] is None else to_rfc3339(row["finished_at"]),
    }


def artifacts_of(connection: Connection, run_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        "SELECT * FROM artifacts WHERE run_id = ? ORDER BY created_at, name", (run_id,)
    ).fetchall()
    return [
        {
            "name": row["name"],
            "step": row["key"],
            "attempt": row["attempt"],
            "content_type": row["content_type"],
            "size": row["size"],
            "sha256": row["sha256"],
            "created_at": to_rfc3339(row["created_at"]),
        }
        for row in rows
    ]


def artifact(connection: Connection, run_id: str, name: str, key: str | None) -> Any:
    row = connection.execute(
        "SELECT * FROM artifacts WHERE run_id = ? AND name = ? AND key = COALESCE(?, key) "
        "ORDER BY created_at DESC LIMIT 1",
        (run_id, name, key),
    ).fetchone()
    if row is None:
        raise NotFound("The run has no artifact of this name.", code="artifact_not_found")
    return row


# --- why a run waits ----------------------------------------------------------------------------------------


def live_parts(connection: Connection, run_id: str) -> dict[str, Any]:
    """What the sentence of `why` is made of."""
    return {
        "steps": connection.execute(
            "SELECT key, status, reason, attempt, state, error FROM steps WHERE run_id = ? AND finished_at IS NULL "
            "AND status <> 'pending' ORDER BY key LIMIT 20",
            (run_id,),
        ).fetchall(),
        "tasks": connection.execute(
            "SELECT key, state, worker, priority FROM tasks WHERE run_id = ?", (run_id,)
        ).fetchall(),
        "waits": connection.execute("SELECT key, type FROM event_waits WHERE run_id = ?", (run_id,)).fetchall(),
        "slots": connection.execute("SELECT * FROM slots WHERE run_id = ? AND state = 'waiting'", (run_id,)).fetchall(),
        "ahead": connection.execute("SELECT COUNT(*) FROM tasks WHERE state = 'ready'").fetchone()[0],
    }


def slots_before(connection: Connection, workspace_id: str, slot: str, queue_at: int) -> int:
    """How many wait for it whose turn is sooner."""
    row = connection.execute(
        "SELECT COUNT(*) FROM (SELECT 1 FROM slots WHERE workspace_id = ? AND slot_key = ? AND state = 'waiting' "
        "AND queue_at < ? LIMIT ?) AS found",
        (workspace_id, slot, queue_at, COUNTED),
    ).fetchone()
    return int(row[0])


def slot_owners(connection: Connection, workspace_id: str, slot: str) -> list[Any]:
    return connection.execute(
        "SELECT r.id, r.flow, r.number FROM slots s JOIN runs r ON r.id = s.run_id WHERE s.workspace_id = ? "
        "AND s.slot_key = ? AND s.state = 'held' ORDER BY s.asked_at LIMIT 5",
        (workspace_id, slot),
    ).fetchall()
