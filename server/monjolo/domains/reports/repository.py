"""The SQL of what the dashboard shows. What each question costs follows what is shown, not the history:
runs are found by their ids, which begin with the instant they were made at, and by indexes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monjolo.storage.port import Connection, Row

FAILED = ("failed", "timed_out", "crashed")
OTHER = ("cancelled", "skipped")
LIVE = ("queued", "running", "waiting", "cancelling")
COUNTED = 10_000

_FLOWS = """
WITH known AS (
  SELECT f.id, f.slug, f.name, f.state, f.labels, f.updated_at,
    (SELECT r.id FROM runs r WHERE r.flow_id = f.id AND r.finished_at IS NOT NULL
      ORDER BY r.finished_at DESC LIMIT 1) AS last_run,
    (SELECT COUNT(*) FROM triggers t WHERE t.flow_id = f.id AND t.enabled = 1) AS triggers,
    (SELECT COUNT(*) FROM triggers t WHERE t.flow_id = f.id AND t.enabled = 1
      AND (t.next_at IS NOT NULL OR t.type NOT IN ('schedule', 'interval'))) AS awake
  FROM flows f WHERE f.workspace_id = ? AND f.deleted_at IS NULL
)
SELECT k.id, k.slug, k.name, k.state, k.labels, k.updated_at, k.triggers, k.awake,
  r.status AS last_status, r.finished_at AS last_at
FROM known k LEFT JOIN runs r ON r.id = k.last_run
"""


def flows(connection: Connection, workspace_id: str) -> list[Row]:
    """Every flow with how its last run ended: two steps in an index for each."""
    return connection.execute(_FLOWS, (workspace_id,)).fetchall()


def count_ended(connection: Connection, workspace_id: str, low: str, high: str) -> dict[str, int]:
    """How many runs made between two ids have which end."""
    found: dict[str, int] = {}
    for status in ("succeeded", *FAILED, *OTHER):
        row = connection.execute(
            "SELECT COUNT(*) FROM runs WHERE workspace_id = ? AND status = ? AND id >= ? AND id < ?",
            (workspace_id, status, low, high),
        ).fetchone()
        found[status] = row[0]
    return found


def count_status(connection: Connection, workspace_id: str, status: str) -> int:
    """At most `COUNTED`."""
    sql = "SELECT COUNT(*) FROM (SELECT 1 FROM runs WHERE workspace_id = ? AND status = ? LIMIT ?) AS found"
    return int(connection.execute(sql, (workspace_id, status, COUNTED)).fetchone()[0])


def oldest_queued(connection: Connection, workspace_id: str) -> int | None:
    sql = "SELECT created_at FROM runs WHERE workspace_id = ? AND status = 'queued' ORDER BY id LIMIT 1"
    row = connection.execute(sql, (workspace_id,)).fetchone()
    return None if row is None else int(row[0])


def failures(connection: Connection, workspace_id: str, low: str, limit: int) -> list[Row]:
    """The newest of each kind of failure since an id."""
    found: list[Row] = []
    for status in FAILED:
        found += connection.execute(
            "SELECT flow_id, error FROM runs WHERE workspace_id = ? AND status = ? AND id >= ?"
            " ORDER BY id DESC LIMIT ?",
            (workspace_id, status, low, limit),
        ).fetchall()
    return found


def running(connection: Connection, workspace_id: str, limit: int) -> list[Row]:
    return connection.execute(
        "SELECT r.id, r.number, r.flow, r.flow_id, r.created_at, r.started_at, f.name FROM runs r"
        " JOIN flows f ON f.id = r.flow_id WHERE r.workspace_id = ? AND r.status = 'running'"
        " ORDER BY r.id DESC LIMIT ?",
        (workspace_id, limit),
    ).fetchall()


def current_step(connection: Connection, run_id: str) -> str | None:
    row = connection.execute(
        "SELECT key FROM steps WHERE run_id = ? AND ended = 0 AND item = 0 AND status <> 'pending'"
        " ORDER BY key LIMIT 1",
        (run_id,),
    ).fetchone()
    return None if row is None else str(row[0])


def last_runs(connection: Connection, flow_id: str, limit: int) -> list[Row]:
    """The newest first."""
    return connection.execute(
        "SELECT id, number, status, created_at, started_at, finished_at, error,"
        " CASE WHEN LENGTH(outputs) <= 4000 THEN outputs END AS outputs"
        " FROM runs WHERE flow_id = ? ORDER BY id DESC LIMIT ?",
        (flow_id, limit),
    ).fetchall()


def next_runs(connection: Connection, workspace_id: str, now: int, limit: int) -> list[Row]:
    return connection.execute(
        "SELECT f.slug, f.name, t.instant FROM triggers t JOIN flows f ON f.id = t.flow_id"
        " WHERE t.next_at > ? AND t.enabled = 1 AND t.workspace_id = ? ORDER BY t.next_at LIMIT ?",
        (now, workspace_id, limit),
    ).fetchall()


def timed_triggers(connection: Connection, workspace_id: str) -> list[Row]:
    return connection.execute(
        "SELECT config, since FROM triggers WHERE workspace_id = ? AND enabled = 1 AND next_at IS NOT NULL",
        (workspace_id,),
    ).fetchall()


def triggers(connection: Connection, flow_id: str) -> list[Row]:
    sql = "SELECT type, config, enabled, path, event, next_at, instant FROM triggers WHERE flow_id = ? ORDER BY name"
    return connection.execute(sql, (flow_id,)).fetchall()


def documents(connection: Connection, flow_ids: Sequence[str]) -> dict[str, Row]:
    """What each flow is now: its row, and the document that a run of it would take."""
    found = {}
    for flow_id in flow_ids:
        found[flow_id] = connection.execute(
            "SELECT f.*, v.document FROM flows f LEFT JOIN flow_versions v ON v.flow_id = f.id"
            " AND v.number = CASE WHEN f.version > 0 THEN f.version ELSE f.draft END WHERE f.id = ?",
            (flow_id,),
        ).fetchone()
    return found


def slots(connection: Connection) -> Row:
    sql = "SELECT COUNT(*) AS workers, SUM(capacity) AS slots, SUM(held) AS held FROM workers WHERE ended_at IS NULL"
    row: Row = connection.execute(sql).fetchone()
    return row


def names(connection: Connection, user_ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, Any] = {}
    for user_id in set(user_ids):
        row = connection.execute("SELECT name FROM users WHERE id = ?", (user_id,)).fetchone()
        found[user_id] = user_id if row is None else row[0]
    return found
