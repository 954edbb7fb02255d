"""What the rows say about the platform's health, in questions that are short on a large history too."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from monjolo.storage.errors import named
from monjolo.storage.port import Connection
from monjolo.storage.sqlite import connect

_SHOWN = 5
# A run that goes on has something that will move it. Waiting runs wait for more than these tables, and are left out.
_STUCK = (
    "SELECT r.id FROM runs r WHERE r.status = 'running' AND r.quarantined IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.run_id = r.id)"
    " AND NOT EXISTS (SELECT 1 FROM timers t WHERE t.run_id = r.id)"
    " AND NOT EXISTS (SELECT 1 FROM slots s WHERE s.run_id = r.id AND s.state = 'waiting')"
    " AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.run_id = r.id)"
    " AND NOT EXISTS (SELECT 1 FROM runs c WHERE c.parent_run_id = r.id AND c.finished_at IS NULL)"
    " ORDER BY r.id LIMIT ?"
)
_OVERDUE = (
    "SELECT f.slug || '/' || t.name AS name, t.next_at FROM triggers t JOIN flows f ON f.id = t.flow_id"
    " WHERE t.enabled = 1 AND f.state = 'active' AND f.deleted_at IS NULL AND t.next_at < ? ORDER BY t.next_at LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Health:
    """Instants in microseconds; lists are the first few."""

    live: int
    quarantined: list[str]
    stuck: list[str]
    ready: int  # tasks that wait for a worker
    oldest_ready: int | None
    overdue: list[tuple[str, int]]  # flow/trigger and when it was due
    newest_run: int | None
    first_user: bool
    faults: list[tuple[str, str]]  # path of a module and what is wrong with it
    environments: list[tuple[str, str]]  # (module, name of its environment) of the modules in use
    bytes: int
    free_bytes: int


@contextmanager
def beside(path: Path) -> Iterator[sqlite3.Connection]:
    """One moment of the file, read beside a platform that may run on it. Raises Unavailable."""
    connection = connect(path, read_only=True)
    try:
        connection.execute("BEGIN")
        yield connection
    except sqlite3.Error as error:
        raise named(error, path) from error
    finally:
        connection.close()


def look(connection: Connection, overdue_before: int) -> Health:
    waiting = connection.execute("SELECT COUNT(*), MIN(ready_at) FROM tasks WHERE state = 'ready'").fetchone()
    page = _number(connection, "PRAGMA page_size")
    return Health(
        live=_number(connection, "SELECT COUNT(*) FROM runs WHERE finished_at IS NULL"),
        quarantined=_texts(
            connection, "SELECT id FROM runs WHERE quarantined IS NOT NULL AND finished_at IS NULL LIMIT ?"
        ),
        stuck=_texts(connection, _STUCK),
        ready=waiting[0],
        oldest_ready=waiting[1],
        overdue=[(row[0], row[1]) for row in connection.execute(_OVERDUE, (overdue_before, _SHOWN))],
        newest_run=connection.execute("SELECT MAX(created_at) FROM runs").fetchone()[0],
        first_user=connection.execute("SELECT 1 FROM first_user").fetchone() is not None,
        faults=[(r[0], r[1]) for r in connection.execute("SELECT path, error FROM module_faults ORDER BY path")],
        environments=[
            (row[0], row[1])
            for row in connection.execute(
                "SELECT id, environment FROM module_versions WHERE current = 1 AND environment IS NOT NULL ORDER BY id"
            )
        ],
        bytes=_number(connection, "PRAGMA page_count") * page,
        free_bytes=_number(connection, "PRAGMA freelist_count") * page,
    )


def _number(connection: Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


def _texts(connection: Connection, sql: str) -> list[str]:
    return [row[0] for row in connection.execute(sql, (_SHOWN,))]
