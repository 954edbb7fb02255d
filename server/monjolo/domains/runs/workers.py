"""Who works here: one row per worker session, one update per heartbeat; progress of steps for who looks on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monjolo.bus.port import Bus
from monjolo.kit import json
from monjolo.kit.time import SECOND, to_rfc3339
from monjolo.storage.port import Connection, Database
from monjolo_sdk.wire import Heartbeat, Progress

ALIVE = 30 * SECOND


class WorkersBook:
    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    async def beat(self, beats: Sequence[Heartbeat], now: int) -> None:
        rows = [
            (b.worker, b.group, b.started_at or now, now, b.capacity, len(b.held), b.version, json.dumps(b.bundles))
            for b in beats
        ]

        def work(connection: Connection) -> None:
            connection.executemany(
                "INSERT INTO workers (id, worker_group, started_at, heartbeat_at, capacity, held, version, bundles) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at, "
                "capacity = excluded.capacity, held = excluded.held, bundles = excluded.bundles",
                rows,
            )

        await self._database.write(work)

    def progress(self, report: Progress) -> None:
        topic = f"run:{report.run_id}"
        if self._bus.wants(topic):
            done = {"step": report.key, "done": report.done, "total": report.total, "text": report.text}
            self._bus.publish(topic, "step.progress", done)

    async def close(self, worker: str, now: int) -> None:
        await self._database.write(
            lambda c: c.execute("UPDATE workers SET ended_at = ?, held = 0 WHERE id = ?", (now, worker))
        )

    async def end_all(self, now: int) -> None:
        """At a start: the sessions of an earlier process are over, whatever they last said."""
        await self._database.write(
            lambda c: c.execute("UPDATE workers SET ended_at = heartbeat_at, held = 0 WHERE ended_at IS NULL")
        )

    async def list(self, now: int) -> list[dict[str, Any]]:
        """Sessions that live, and those that ended within the last day."""
        rows = await self._database.read(
            lambda c: c.execute(
                "SELECT * FROM workers WHERE ended_at IS NULL OR ended_at > ? ORDER BY started_at DESC LIMIT 100",
                (now - 86_400 * SECOND,),
            ).fetchall()
        )
        return [
            {
                "id": row["id"],
                "group": row["worker_group"],
                "alive": row["ended_at"] is None,
                "capacity": row["capacity"],
                "held": row["held"],
                "version": row["version"],
                "bundles": json.loads(row["bundles"]),
                "started_at": to_rfc3339(row["started_at"]),
                "heartbeat_at": to_rfc3339(row["heartbeat_at"]),
                "ended_at": None if row["ended_at"] is None else to_rfc3339(row["ended_at"]),
            }
            for row in rows
        ]
