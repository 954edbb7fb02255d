"""History stays within what was asked, and the disk gets its space back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from monjolo.kit import json
from monjolo.kit.time import DAY
from monjolo.storage import pruning
from monjolo.storage.port import Connection
from monjolo.storage.pruning import Keep
from monjolo.storage.retention import Ages, Retention
from monjolo.storage.sqlite import SqliteDatabase

from .conftest import NOW

CHILDREN = ("steps", "attempts", "log_chunks", "artifacts", "fanouts")


class Shelf:
    """Remembers the blobs that were taken away."""

    def __init__(self) -> None:
        self.gone: list[str] = []

    async def delete(self, names: Sequence[str]) -> None:
        self.gone += names


def make_flow(connection: Connection, flow: str, retention: dict[str, int] | None = None) -> None:
    connection.execute(
        "INSERT INTO flows (id, workspace_id, slug, name, state, labels, version, created_at, updated_at)"
        " VALUES (?, 'w', ?, ?, 'active', '{}', 1, 0, 0)",
        (flow, flow, flow),
    )
    document = {"flow": flow} | ({"retention": retention} if retention else {})
    connection.execute(
        "INSERT INTO flow_versions (flow_id, number, document, source, digest, resolved, created_at)"
        " VALUES (?, 1, ?, '', '', '{}', 0)",
        (flow, json.dumps(document)),
    )


def make_run(connection: Connection, run: str, flow: str, finished_at: int | None, steps: int = 1) -> None:
    connection.execute(
        "INSERT INTO runs (id, workspace_id, number, flow_id, flow, version, status, seed, trigger_type, trigger,"
        " inputs, labels, context, head, root_run_id, created_at, finished_at)"
        " VALUES (?, 'w', 1, ?, ?, 1, ?, 0, 'manual', '{}', '{}', '{}', '{}', '{}', ?, 0, ?)",
        (run, flow, flow, "running" if finished_at is None else "succeeded", run, finished_at),
    )
    keys = [(run, f"s[{n}]") for n in range(steps)]
    connection.executemany("INSERT INTO steps (run_id, key, status, state) VALUES (?, ?, 'succeeded', '{}')", keys)
    connection.executemany(
        "INSERT INTO attempts (run_id, key, token, attempt, status, queued_at) VALUES (?, ?, 1, 1, 'succeeded', 0)",
        keys,
    )
    connection.executemany(
        "INSERT INTO log_chunks (run_id, key, attempt, token, first, lines, bytes, from_at, to_at, levels, data)"
        " VALUES (?, ?, 1, 1, 0, 1, 1, 0, 0, '', zeroblob(2000))",
        keys,
    )
    connection.execute(
        "INSERT INTO artifacts (run_id, key, name, attempt, content_type, size, sha256, blob, created_at)"
        " VALUES (?, 's', 'a', 1, 'text/plain', 1, '', ?, 0)",
        (run, f"blob-{run}"),
    )
    connection.execute("INSERT INTO fanouts (run_id, key, items) VALUES (?, 's', '[]')", (run,))


def runs(connection: Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT id FROM runs")}


def orphans(connection: Connection) -> int:
    return sum(
        connection.execute(f"SELECT count(*) FROM {table} WHERE run_id NOT IN (SELECT id FROM runs)").fetchone()[0]
        for table in CHILDREN
    )


def size_of(path: Path) -> int:
    return path.stat().st_size


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def retention(database: SqliteDatabase, shelf: Shelf) -> Retention:
    return Retention(database, database, shelf.delete, Keep(5, 30, 10), Ages(events=7, ticks=30, audit=100))


async def test_surplus_and_old_runs_go_with_all_their_rows(
    database: SqliteDatabase, retention: Retention, shelf: Shelf
) -> None:
    def fill(connection: Connection) -> None:
        make_flow(connection, "many")
        make_flow(connection, "old")
        make_flow(connection, "own", {"runs": 2, "days": 300})
        for n in range(8):
            make_run(connection, f"many-{n}", "many", NOW - (8 - n))
            make_run(connection, f"own-{n}", "own", NOW - (100 - n) * DAY)
        make_run(connection, "old-1", "old", NOW - 31 * DAY)
        make_run(connection, "old-2", "old", NOW - 29 * DAY)

    await database.write(fill)
    pruned = await retention.run_once(NOW)
    kept = {f"many-{n}" for n in range(3, 8)} | {"own-6", "own-7", "old-2"}
    assert await database.read(runs) == kept
    assert pruned.runs == 10
    assert await database.read(orphans) == 0
    assert len(shelf.gone) == 10
    assert "blob-old-1" in shelf.gone


async def test_live_runs_stay_however_old(database: SqliteDatabase, retention: Retention) -> None:
    def fill(connection: Connection) -> None:
        make_flow(connection, "f", {"runs": 1, "days": 1})
        for n in range(5):
            make_run(connection, f"live-{n}", "f", None)
        make_run(connection, "ended", "f", NOW - 2 * DAY)

    await database.write(fill)
    await retention.run_once(NOW)
    assert await database.read(runs) == {f"live-{n}" for n in range(5)}


async def test_logs_go_before_their_runs(database: SqliteDatabase, retention: Retention) -> None:
    def fill(connection: Connection) -> None:
        make_flow(connection, "f")
        make_run(connection, "a", "f", NOW - 11 * DAY, steps=3)
        make_run(connection, "b", "f", NOW - 9 * DAY, steps=3)

    def chunks(connection: Connection) -> dict[str, int]:
        return dict(tuple(r) for r in connection.execute("SELECT run_id, count(*) FROM log_chunks GROUP BY run_id"))

    await database.write(fill)
    await retention.run_once(NOW)
    assert await database.read(chunks) == {"b": 3}
    assert await database.read(runs) == {"a", "b"}
    await retention.run_once(NOW + 2 * DAY)
    assert await database.read(chunks) == {}


async def test_one_batch_never_deletes_more_than_its_limit(database: SqliteDatabase) -> None:
    def fill(connection: Connection) -> None:
        make_flow(connection, "f")
        make_run(connection, "large", "f", 1, steps=700)
        make_run(connection, "small", "f", 1)

    await database.write(fill)
    deleted = []
    while ids := await database.read(lambda c: pruning.runs_beyond(c, "f", Keep(1, 1, 1), NOW)):
        batch = ids
        deleted.append(await database.write(lambda c: pruning.delete_runs(c, batch, 1_000)))  # noqa: B023
    assert max(rows for _, rows in deleted) <= 1_000
    assert sum(rows for _, rows in deleted) == (3 * 700 + 3) + (3 + 3)
    assert await database.read(orphans) == 0


async def test_what_belongs_to_no_run_goes_by_age(database: SqliteDatabase, retention: Retention) -> None:
    def fill(connection: Connection) -> None:
        make_flow(connection, "f")
        workspace = connection.execute("SELECT id FROM workspaces").fetchone()[0]
        for n, age in enumerate((1, 8, 40, 200)):
            at = NOW - age * DAY
            connection.execute(
                "INSERT INTO events (id, workspace_id, type, data, source, at, done_at)"
                " VALUES (?, ?, 't', '', '', ?, ?)",
                (f"e{n}", workspace, at, at),
            )
            connection.execute(
                "INSERT INTO ticks (trigger_id, instant, flow_id, status, decided_at) VALUES ('t', ?, 'f', 'ran', 0)",
                (at,),
            )
            connection.execute(
                "INSERT INTO audit (id, workspace_id, at, actor, action, object, detail)"
                " VALUES (?, ?, ?, '', '', '', '')",
                (f"a{n}", workspace, at),
            )
            connection.execute(
                "INSERT INTO idempotency (workspace_id, scope, key, expires_at) VALUES (?, 's', ?, ?)",
                (workspace, f"k{n}", at + 5 * DAY),
            )
        connection.execute(
            "INSERT INTO events (id, workspace_id, type, data, source, at) VALUES ('open', ?, 't', '', '', 0)",
            (workspace,),
        )

    def left(connection: Connection) -> dict[str, int]:
        tables = ("events", "ticks", "audit", "idempotency")
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}

    await database.write(fill)
    await retention.run_once(NOW)
    assert await database.read(left) == {"events": 2, "ticks": 2, "audit": 3, "idempotency": 1}


async def test_the_file_gets_smaller_and_stays_sound(
    database: SqliteDatabase, retention: Retention, path: Path
) -> None:
    def fill(connection: Connection) -> None:
        make_flow(connection, "f")
        for n in range(400):
            make_run(connection, f"r{n:04}", "f", NOW - 400 + n, steps=40)

    await database.write(fill)
    await database.checkpoint()
    before = size_of(path)
    await retention.run_once(NOW)
    after = size_of(path)
    assert before > 30_000_000
    assert after < 8_000_000
    assert (await database.sizes())["write_log"] == 0
    sound = await database.read(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0])
    assert sound == "ok"


async def test_others_write_while_it_prunes(database: SqliteDatabase, retention: Retention) -> None:
    def fill(connection: Connection) -> None:
        make_flow(connection, "f")
        for n in range(300):
            make_run(connection, f"r{n:04}", "f", NOW - 300 + n, steps=20)

    def tick(connection: Connection) -> None:
        connection.execute("UPDATE meta SET value = value WHERE key = 'created_at'")

    await database.write(fill)
    pruning_task = asyncio.create_task(retention.run_once(NOW))
    slowest, loop = 0.0, asyncio.get_running_loop()
    while not pruning_task.done():
        began = loop.time()
        await database.write(tick)
        slowest = max(slowest, loop.time() - began)
    await pruning_task
    assert slowest < 0.5
