"""The SQL of triggers, ticks, events, and of the ids of deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from monjolo.domains.triggers.models import Backfill, InternalEvent, TickRow, Trigger
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
    """(workspace, event type) of every event that some flow, or a step of any version of one, waits for."""
    triggers = connection.execute(
        "SELECT DISTINCT workspace_id, event FROM triggers WHERE event IS NOT NULL AND enabled = 1"
    )
    found = {(row[0], row[1]) for row in triggers.fetchall()}
    versions = connection.execute(
        "SELECT DISTINCT f.workspace_id, v.awaits FROM flow_versions v JOIN flows f ON f.id = v.flow_id"
        " WHERE v.awaits IS NOT NULL"
    )
    found |= {(row[0], event) for row in versions.fetchall() for event in json.loads(row[1])}
    return frozenset(found)


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


def find_tick(connection: Connection, trigger_id: str, instant: int) -> TickRow | None:
    sql = f"SELECT {_TICK} FROM ticks WHERE trigger_id = ? AND instant = ?"  # noqa: S608
    row = connection.execute(sql, (trigger_id, instant)).fetchone()
    return _tick(row) if row else None


def list_runless_ticks(
    connection: Connection, trigger_ids: Sequence[str], *, low: int | None, high: int | None,
    statuses: Sequence[str], after: tuple[int, str] | None, limit: int,
) -> list[TickRow]:  # fmt: skip
    """Ticks in [low, high) that made no run, the oldest first."""
    found: list[TickRow] = []
    marks = ", ".join("?" for _ in statuses)
    first, last = after or (-(2**62), "")
    for trigger_id in trigger_ids:
        sql = (
            f"SELECT {_TICK} FROM ticks WHERE trigger_id = ? AND instant >= ? AND instant < ? AND run_id IS NULL"  # noqa: S608
            f" AND status IN ({marks}) AND (instant > ? OR (instant = ? AND trigger_id > ?)) ORDER BY instant LIMIT ?"
        )
        bounds = (max(first, -(2**62) if low is None else low), 2**62 if high is None else high)
        rows = connection.execute(sql, (trigger_id, *bounds, *statuses, first, first, last, limit))
        found += [_tick(row) for row in rows.fetchall()]
    return sorted(found, key=lambda tick: (tick.instant, tick.trigger_id))[:limit]


def catch_up_tick(connection: Connection, trigger_id: str, instant: int, row: tuple[str, str | None, str, int]) -> bool:
    """Give a tick that made no run another (status, run, reason, decided_at); False when it has a run by now."""
    done = connection.execute(
        "UPDATE ticks SET status = ?, late = 1, run_id = ?, reason = ?, decided_at = ?"
        " WHERE trigger_id = ? AND instant = ? AND run_id IS NULL",
        (*row, trigger_id, instant),
    )
    return done.rowcount == 1


def put_tick(connection: Connection, tick: TickRow) -> None:
    """A new tick, or a new run for the one that there is."""
    connection.execute(
        f"INSERT INTO ticks ({_TICK}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (trigger_id, instant) DO UPDATE"  # noqa: S608
        " SET status = excluded.status, late = excluded.late, run_id = excluded.run_id, reason = excluded.reason,"
        " decided_at = excluded.decided_at",
        (tick.trigger_id, tick.instant, tick.flow_id, tick.status, int(tick.late), tick.run_id, tick.reason,
         tick.decided_at),
    )  # fmt: skip


def runs_of_ticks(
    connection: Connection, trigger_id: str, low: int, high: int
) -> dict[int, tuple[str | None, str | None]]:
    """(run, its status) of each instant from `low` to `high` that has a tick; no status: the run is no more."""
    sql = (
        "SELECT t.instant, t.run_id, r.status FROM ticks t LEFT JOIN runs r ON r.id = t.run_id"
        " WHERE t.trigger_id = ? AND t.instant >= ? AND t.instant <= ?"
    )
    return {row[0]: (row[1], row[2]) for row in connection.execute(sql, (trigger_id, low, high)).fetchall()}


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


# --- backfills ----------------------------------------------------------------------------------------------


def find_trigger(connection: Connection, trigger_id: str) -> Trigger | None:
    row = connection.execute(f"SELECT {_TRIGGER} FROM triggers WHERE id = ?", (trigger_id,)).fetchone()  # noqa: S608
    return _trigger(row) if row else None


def insert_backfill(connection: Connection, backfill: Backfill) -> None:
    names = [field.name for field in fields(Backfill)]
    values = {name: getattr(backfill, name) for name in names}
    connection.execute(
        f"INSERT INTO backfills ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})",  # noqa: S608
        {**values, "config": json.dumps(backfill.config)},
    )


def _backfill(row: Row) -> Backfill:
    values = {field.name: row[field.name] for field in fields(Backfill)}
    return Backfill(**{**values, "config": json.loads(row["config"])})


def find_backfill(connection: Connection, flow_id: str, backfill_id: str) -> Backfill | None:
    sql = "SELECT * FROM backfills WHERE flow_id = ? AND id = ?"
    row = connection.execute(sql, (flow_id, backfill_id)).fetchone()
    return _backfill(row) if row else None


def list_backfills(connection: Connection, flow_id: str, before: str | None, limit: int) -> list[Backfill]:
    """The newest first."""
    sql = "SELECT * FROM backfills WHERE flow_id = ? AND id < ? ORDER BY id DESC LIMIT ?"
    rows = connection.execute(sql, (flow_id, before or "~", limit))
    return [_backfill(row) for row in rows.fetchall()]


def list_open_backfills(connection: Connection) -> list[Backfill]:
    """Those that are not finished, and those with runs that are not known to have ended."""
    rows = connection.execute(
        "SELECT * FROM backfills WHERE id IN (SELECT id FROM backfills WHERE finished_at IS NULL"
        " UNION SELECT backfill_id FROM backfill_runs) ORDER BY id"
    )
    return [_backfill(row) for row in rows.fetchall()]


def move_backfill(connection: Connection, backfill: Backfill) -> bool:
    """Store how far it has come, if nobody else has moved it since it was read at this revision."""
    done = connection.execute(
        "UPDATE backfills SET state = ?, reason = ?, place = ?, started = ?, passed = ?, declined = ?,"
        " succeeded = ?, failed = ?, finished_at = ?, revision = revision + 1 WHERE id = ? AND revision = ?",
        (backfill.state, backfill.reason, backfill.place, backfill.started, backfill.passed, backfill.declined,
         backfill.succeeded, backfill.failed, backfill.finished_at, backfill.id, backfill.revision),
    )  # fmt: skip
    return done.rowcount == 1


def runs_of_backfill(connection: Connection, backfill_id: str) -> dict[str, str | None]:
    """The status of each of its runs that was not known to have ended; None for one that is no more."""
    rows = connection.execute(
        "SELECT b.run_id, r.status FROM backfill_runs b LEFT JOIN runs r ON r.id = b.run_id WHERE b.backfill_id = ?",
        (backfill_id,),
    )
    return {row[0]: row[1] for row in rows.fetchall()}


def put_backfill_runs(connection: Connection, backfill_id: str, begun: Iterable[str], ended: Iterable[str]) -> None:
    pairs = [(backfill_id, run_id) for run_id in ended]
    connection.executemany("DELETE FROM backfill_runs WHERE backfill_id = ? AND run_id = ?", pairs)
    pairs = [(backfill_id, run_id) for run_id in begun]
    connection.executemany("INSERT INTO backfill_runs (backfill_id, run_id) VALUES (?, ?)", pairs)
