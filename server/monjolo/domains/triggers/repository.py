"""The SQL of triggers, ticks, events, and of the ids of deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monjolo.domains.triggers.models import InternalEvent, TickRow, Trigger
from monjolo.kit import json
from monjolo.storage.port import Connection, Row

_TRIGGER = "id, workspace_id, flow_id, name, type, config, enabled, path, event, next_at, instant, since"
_TICK = "trigger_id, instant, flow_id, status, late, run_id, reason, decided_at"


def _trigger(row: Row) -> Trigger:
    return Trigger(
        id=row["id"],
        workspace_id=row["workspace_id"],
        flow_id=row["flow_id"],
        name=row["name"],
        type=row["type"],
        config=json.loads(row["config"]),
        enabled=bool(row["enabled"]),
        path=row["path"],
        event=row["event"],
        next_at=row["next_at"],
        instant=row["instant"],
        since=row["since"],
    )


def list_of_flow(connection: Connection, flow_id: str) -> list[Trigger]:
    sql = f"SELECT {_TRIGGER} FROM triggers WHERE flow_id = ? ORDER BY name"  # noqa: S608
    return [_trigger(row) for row in connection.execute(sql, (flow_id,)).fetchall()]


def find_hook(connection: Connection, path: str) -> Trigger | None:
    """By path alone: whoever calls has no workspace. There is one now; later the path will begin with it."""
    sql = (
        f"SELECT {_TRIGGER} FROM triggers"  # noqa: S608
        " WHERE workspace_id IN (SELECT id FROM workspaces) AND path = ?"
    )
    row = connection.execute(sql, (path,)).fetchone()
    return _trigger(row) if row else None


def find_path_owner(connection: Connection, workspace_id: str, path: str) -> tuple[str, str] | None:
    """(flow id, flow slug) of the flow that has a webhook at this path."""
    sql = (
        "SELECT t.flow_id, f.slug FROM triggers t JOIN flows f ON f.id = t.flow_id"
        " WHERE t.workspace_id = ? AND t.path = ?"
    )
    row = connection.execute(sql, (workspace_id, path)).fetchone()
    return (row["flow_id"], row["slug"]) if row else None


def list_for_event(connection: Connection, workspace_id: str, types: Sequence[str]) -> list[Trigger]:
    marks = ", ".join("?" for _ in types)
    sql = (
        f"SELECT {_TRIGGER} FROM triggers WHERE workspace_id = ? AND event IN ({marks})"  # noqa: S608
        " AND enabled = 1 ORDER BY id"
    )
    return [_trigger(row) for row in connection.execute(sql, (workspace_id, *types)).fetchall()]


def listened_events(connection: Connection) -> frozenset[tuple[str, str]]:
    """(workspace, event type) of every event that some flow waits for."""
    rows = connection.execute(
        "SELECT DISTINCT workspace_id, event FROM triggers WHERE event IS NOT NULL AND enabled = 1"
    )
    return frozenset((row[0], row[1]) for row in rows)


def list_due(connection: Connection, low: int, high: int, limit: int) -> list[Trigger]:
    """Those to wake in (low, high], the oldest first."""
    sql = (
        f"SELECT {_TRIGGER} FROM triggers WHERE next_at > ? AND next_at <= ?"  # noqa: S608
        " ORDER BY next_at LIMIT ?"
    )
    return [_trigger(row) for row in connection.execute(sql, (low, high, limit)).fetchall()]


def list_waiting(connection: Connection, after: str, limit: int) -> list[Trigger]:
    """Triggers that wait for a time, by id, those after `after`."""
    sql = (
        f"SELECT {_TRIGGER} FROM triggers WHERE next_at IS NOT NULL AND id > ?"  # noqa: S608
        " ORDER BY id LIMIT ?"
    )
    return [_trigger(row) for row in connection.execute(sql, (after, limit)).fetchall()]


def next_wake(connection: Connection) -> int | None:
    row = connection.execute("SELECT MIN(next_at) AS at FROM triggers WHERE next_at IS NOT NULL").fetchone()
    return row["at"] if row else None


def put(connection: Connection, trigger: Trigger) -> None:
    """A new row, or a new configuration of the row with this id."""
    connection.execute(
        "INSERT INTO triggers (id, workspace_id, flow_id, name, type, config, enabled, path, event, next_at,"
        " instant, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " type = excluded.type, config = excluded.config, enabled = excluded.enabled, path = excluded.path,"
        " event = excluded.event, next_at = excluded.next_at, instant = excluded.instant, since = excluded.since",
        (
            trigger.id,
            trigger.workspace_id,
            trigger.flow_id,
            trigger.name,
            trigger.type,
            json.dumps(trigger.config),
            int(trigger.enabled),
            trigger.path,
            trigger.event,
            trigger.next_at,
            trigger.instant,
            trigger.since,
        ),
    )


def delete(connection: Connection, trigger_ids: Iterable[str]) -> None:
    connection.executemany("DELETE FROM triggers WHERE id = ?", [(trigger_id,) for trigger_id in trigger_ids])


def free_paths(connection: Connection, flow_id: str) -> None:
    """Before a flow's webhooks are written again: two of them may have changed places."""
    connection.execute("UPDATE triggers SET path = NULL WHERE flow_id = ? AND path IS NOT NULL", (flow_id,))


def move(connection: Connection, trigger: Trigger, next_at: int | None, instant: int | None) -> bool:
    """Set the next tick, if nobody else has since `trigger` was read."""
    done = connection.execute(
        "UPDATE triggers SET next_at = ?, instant = ? WHERE id = ? AND next_at = ? AND instant = ?",
        (next_at, instant, trigger.id, trigger.next_at, trigger.instant),
    )
    return done.rowcount == 1


# --- ticks --------------------------------------------------------------------------------------------------


def ticked_instants(connection: Connection, trigger_id: str, low: int, high: int) -> set[int]:
    sql = "SELECT instant FROM ticks WHERE trigger_id = ? AND instant >= ? AND instant <= ?"
    return {row[0] for row in connection.execute(sql, (trigger_id, low, high)).fetchall()}


def insert_ticks(connection: Connection, ticks: Iterable[TickRow]) -> None:
    connection.executemany(
        f"INSERT INTO ticks ({_TICK}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [(t.trigger_id, t.instant, t.flow_id, t.status, int(t.late), t.run_id, t.reason, t.decided_at) for t in ticks],
    )


def list_ticks(
    connection: Connection, flow_id: str, *, before: tuple[int, str] | None, status: str | None, limit: int
) -> list[tuple[TickRow, str]]:
    """Newest first, each with the name of its trigger."""
    where, values = ["t.flow_id = :flow"], {"flow": flow_id, "limit": limit}
    if before is not None:
        where.append("(t.instant < :instant OR (t.instant = :instant AND t.trigger_id < :trigger))")
        values |= {"instant": before[0], "trigger": before[1]}
    if status is not None:
        where.append("t.status = :status")
        values["status"] = status
    sql = (
        "SELECT t.*, COALESCE(g.name, '') AS name FROM ticks t LEFT JOIN triggers g ON g.id = t.trigger_id"  # noqa: S608
        f" WHERE {' AND '.join(where)} ORDER BY t.instant DESC, t.trigger_id DESC LIMIT :limit"
    )
    return [(_tick(row), row["name"]) for row in connection.execute(sql, values).fetchall()]


def _tick(row: Row) -> TickRow:
    return TickRow(
        trigger_id=row["trigger_id"],
        instant=row["instant"],
        flow_id=row["flow_id"],
        status=row["status"],
        late=bool(row["late"]),
        run_id=row["run_id"],
        reason=row["reason"],
        decided_at=row["decided_at"],
    )


# --- deliveries and events ----------------------------------------------------------------------------------


def claim_delivery(
    connection: Connection, workspace_id: str, scope: str, key: str, run_id: str, now: int, expires_at: int
) -> str | None:
    """None when the id is new, or was forgotten; else the run (or event) that it made before."""
    connection.execute(
        "DELETE FROM idempotency WHERE workspace_id = ? AND scope = ? AND key = ? AND expires_at <= ?",
        (workspace_id, scope, key, now),
    )
    taken = connection.execute(
        "INSERT INTO idempotency (workspace_id, scope, key, run_id, expires_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (workspace_id, scope, key) DO NOTHING",
        (workspace_id, scope, key, run_id, expires_at),
    )
    if taken.rowcount == 1:
        return None
    return find_delivery(connection, workspace_id, scope, key, now)


def find_delivery(connection: Connection, workspace_id: str, scope: str, key: str, now: int) -> str | None:
    sql = "SELECT run_id FROM idempotency WHERE workspace_id = ? AND scope = ? AND key = ? AND expires_at > ?"
    row = connection.execute(sql, (workspace_id, scope, key, now)).fetchone()
    return row["run_id"] if row else None


def find_run_answer(connection: Connection, workspace_id: str, run_id: str) -> tuple[int, str] | None:
    """(number, status) of a run."""
    sql = "SELECT number, status FROM runs WHERE workspace_id = ? AND id = ?"
    row = connection.execute(sql, (workspace_id, run_id)).fetchone()
    return (row["number"], row["status"]) if row else None


def insert_event(connection: Connection, event: InternalEvent) -> None:
    connection.execute(
        "INSERT INTO events (id, workspace_id, type, data, source, at) VALUES (?, ?, ?, ?, ?, ?)",
        (event.id, event.workspace_id, event.type, json.dumps(event.data), event.source, event.at),
    )


def list_open_events(connection: Connection, limit: int) -> list[InternalEvent]:
    """In the order in which they came."""
    sql = "SELECT id, workspace_id, type, data, source, at FROM events WHERE done_at IS NULL ORDER BY id LIMIT ?"
    return [_event(row) for row in connection.execute(sql, (limit,)).fetchall()]


def _event(row: Mapping[str, Any]) -> InternalEvent:
    return InternalEvent(row["id"], row["workspace_id"], row["type"], json.loads(row["data"]), row["source"], row["at"])


def close_event(connection: Connection, event_id: str, now: int) -> bool:
    """False when somebody else has dealt with it."""
    done = connection.execute("UPDATE events SET done_at = ? WHERE id = ? AND done_at IS NULL", (now, event_id))
    return done.rowcount == 1
