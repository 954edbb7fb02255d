"""What leaves the history, one small batch a call. Plain functions on a connection; who calls them commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monjolo.kit import json
from monjolo.kit.time import DAY
from monjolo.storage.port import Connection

BATCH_ROWS = 1_000
_BATCH_RUNS = 200


@dataclass(frozen=True, slots=True)
class Keep:
    """How much of one flow's history stays: ended runs, and days of runs and of their logs."""

    runs: int
    days: int
    log_days: int


# The children of a run and the columns that, with run_id, name a row. Keys of live work are there too: an ended
# run should have none, and what is left of it must not outlive it.
_CHILDREN = {
    "log_chunks": "key, attempt, token, first",
    "attempts": "key, token",
    "steps": "key",
    "artifacts": "key, name",
    "fanouts": "key",
    "tasks": "key",
    "timers": "key, kind",
    "slots": "key",
    "event_waits": "key",
    "inbox": "id",
}
_DELETE_CHILDREN = {
    table: f"DELETE FROM {table} WHERE run_id = :run AND ({columns}) IN"  # noqa: S608 - names from above alone
    f" (SELECT {columns} FROM {table} WHERE run_id = :run LIMIT :limit)"
    for table, columns in _CHILDREN.items()
}


def kept_of_flows(connection: Connection, default: Keep) -> dict[str, Keep]:
    """What each flow keeps, by its id; deleted flows too, whose history goes by the same rule."""
    rows = connection.execute(
        "SELECT f.id, v.document FROM flows f LEFT JOIN flow_versions v ON v.flow_id = f.id AND v.number = f.version"
    )
    return {row[0]: _kept(row[1], default) for row in rows}


def _kept(document: str | None, default: Keep) -> Keep:
    own = (json.loads(document).get("retention") if document and '"retention"' in document else None) or {}
    return Keep(own.get("runs") or default.runs, own.get("days") or default.days, own.get("logs") or default.log_days)


def runs_beyond(connection: Connection, flow_id: str, keep: Keep, now: int) -> list[str]:
    """The oldest ended runs of a flow that are too many or too old, a batch of them."""
    surplus = connection.execute(
        "SELECT finished_at FROM runs WHERE flow_id = ? AND finished_at IS NOT NULL"
        " ORDER BY finished_at DESC LIMIT 1 OFFSET ?",
        (flow_id, keep.runs),
    ).fetchone()
    bound = now - keep.days * DAY
    if surplus is not None:
        bound = max(bound, surplus[0] + 1)
    found = connection.execute(
        "SELECT id FROM runs WHERE flow_id = ? AND finished_at IS NOT NULL AND finished_at < ?"
        " ORDER BY finished_at LIMIT ?",
        (flow_id, bound, _BATCH_RUNS),
    )
    return [row[0] for row in found]


def blobs_of(connection: Connection, run_ids: Sequence[str]) -> list[str]:
    """The blobs of these runs' artifacts: taken away before the rows, so that a crash leaves no orphan."""
    found = []
    for run_id in run_ids:
        found += [row[0] for row in connection.execute("SELECT blob FROM artifacts WHERE run_id = ?", (run_id,))]
    return found


def delete_runs(connection: Connection, run_ids: Sequence[str], limit: int = BATCH_ROWS) -> tuple[int, int]:
    """Deletes up to `limit` rows of these ended runs, children first: (runs gone, rows gone).

    A large run goes over several calls. A run that is not ended is left alone.
    """
    runs, rows = 0, 0
    for run_id in run_ids:
        ended = connection.execute("SELECT finished_at FROM runs WHERE id = ?", (run_id,)).fetchone()
        if ended is None or ended[0] is None:
            continue
        for statement in _DELETE_CHILDREN.values():
            rows += connection.execute(statement, {"run": run_id, "limit": limit - rows}).rowcount
            if rows >= limit:
                return runs, rows
        connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))
        runs, rows = runs + 1, rows + 1
        if rows >= limit:
            break
    return runs, rows


def runs_with_old_logs(
    connection: Connection, flow_id: str, since: int, before: int, limit: int = _BATCH_RUNS
) -> list[str]:
    """The runs that ended from `since` up to `before` and still have log lines."""
    found = connection.execute(
        "SELECT r.id FROM runs r WHERE r.flow_id = ? AND r.finished_at IS NOT NULL"
        " AND r.finished_at >= ? AND r.finished_at < ?"
        " AND EXISTS (SELECT 1 FROM log_chunks l WHERE l.run_id = r.id) ORDER BY r.finished_at LIMIT ?",
        (flow_id, since, before, limit),
    )
    return [row[0] for row in found]


def delete_logs(connection: Connection, run_ids: Sequence[str], limit: int = BATCH_ROWS) -> int:
    """Deletes up to `limit` chunks of log lines of these runs."""
    rows = 0
    for run_id in run_ids:
        if rows >= limit:
            break
        parameters = {"run": run_id, "limit": limit - rows}
        rows += connection.execute(_DELETE_CHILDREN["log_chunks"], parameters).rowcount
    return rows


# Whole tables that go by age: the statement deletes up to :limit rows from before :before.
OLD_ROWS = {
    "idempotency": "DELETE FROM idempotency WHERE (workspace_id, scope, key) IN"
    " (SELECT workspace_id, scope, key FROM idempotency WHERE expires_at < :before LIMIT :limit)",
    "events": "DELETE FROM events WHERE id IN (SELECT e.id FROM workspaces w JOIN events e"
    " ON e.workspace_id = w.id WHERE e.at < :before AND e.done_at IS NOT NULL LIMIT :limit)",
    "ticks": "DELETE FROM ticks WHERE (trigger_id, instant) IN (SELECT t.trigger_id, t.instant FROM flows f"
    " JOIN ticks t ON t.flow_id = f.id WHERE t.instant < :before AND t.decided_at < :before"
    " LIMIT :limit)",
    "backfills": "DELETE FROM backfills WHERE id IN (SELECT b.id FROM flows f JOIN backfills b ON b.flow_id = f.id"
    " WHERE b.finished_at < :before AND NOT EXISTS (SELECT 1 FROM backfill_runs r WHERE r.backfill_id = b.id)"
    " LIMIT :limit)",
    "audit": "DELETE FROM audit WHERE id IN (SELECT a.id FROM workspaces w JOIN audit a"
    " ON a.workspace_id = w.id WHERE a.at < :before LIMIT :limit)",
    "refresh_tokens": "DELETE FROM refresh_tokens WHERE hash IN"
    " (SELECT hash FROM refresh_tokens WHERE expires_at < :before LIMIT :limit)",
    "sessions": "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < :before LIMIT :limit)",
    "workers": "DELETE FROM workers WHERE id IN (SELECT id FROM workers WHERE heartbeat_at < :before LIMIT :limit)",
}


def delete_old(connection: Connection, table: str, before: int, limit: int = BATCH_ROWS) -> int:
    """Deletes up to `limit` rows of one of `OLD_ROWS` from before that instant."""
    return connection.execute(OLD_ROWS[table], {"before": before, "limit": limit}).rowcount
