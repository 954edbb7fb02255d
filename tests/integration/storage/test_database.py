"""The SQLite database by its own door: grouping, isolation, faults, durability."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from monjolo.kit.errors import Unavailable
from monjolo.storage.migrate import prepare
from monjolo.storage.port import Connection, Duplicate
from monjolo.storage.sqlite import SqliteDatabase, connect

from .conftest import NOW


def put(key: str, value: str = "x"):
    return lambda c: c.execute("INSERT INTO meta (key, value) VALUES (:key, :value)", {"key": key, "value": value})


def count(connection: Connection) -> int:
    return connection.execute("SELECT count(*) FROM meta WHERE key LIKE 'k%'").fetchone()[0]


async def test_works_that_wait_together_share_one_commit(database: SqliteDatabase, path: Path) -> None:
    def commits() -> int:
        return Path(f"{path}-wal").stat().st_size

    await database.write(put("k-first"))
    before = commits()
    await asyncio.gather(*[database.write(put(f"k{n}")) for n in range(200)])
    assert await database.read(count) == 201
    assert commits() - before < 60 * 4096, "200 single commits write 200 pages and more"


async def test_a_work_that_raises_is_undone_alone(database: SqliteDatabase) -> None:
    def half(connection: Connection) -> None:
        put("k-half")(connection)
        raise ValueError("no")

    works = [half if n % 3 == 0 else put(f"k{n}") for n in range(30)]
    results = await asyncio.gather(*[database.write(work) for work in works], return_exceptions=True)
    assert [isinstance(result, ValueError) for result in results] == [n % 3 == 0 for n in range(30)]
    assert await database.read(count) == 20


async def test_a_lone_work_that_raises_leaves_nothing(database: SqliteDatabase) -> None:
    def half(connection: Connection) -> None:
        put("k-half")(connection)
        raise KeyError("no")

    with pytest.raises(KeyError):
        await database.write(half)
    assert await database.read(count) == 0
    await database.write(put("k1"))
    assert await database.read(count) == 1


async def test_a_second_row_with_the_same_key_is_a_named_error(database: SqliteDatabase) -> None:
    await database.write(put("k1"))
    with pytest.raises(Duplicate) as refused:
        await database.write(put("k1"))
    assert refused.value.code == "duplicate"


async def test_a_read_sees_what_was_acknowledged_before_it(database: SqliteDatabase) -> None:
    for n in range(50):
        await database.write(put(f"k{n}"))
        assert await database.read(count) == n + 1


async def test_a_read_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(Unavailable) as refused:
        await database.read(put("k1"))
    assert refused.value.code == "data_read_only"
    assert await database.read(count) == 0


async def test_a_cancelled_caller_harms_nobody(database: SqliteDatabase) -> None:
    tasks = [asyncio.create_task(database.write(put(f"k{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 10
    await database.write(put("k-after"))
    assert await database.read(count) >= 11


async def test_two_hundred_callers_at_once_meet_no_lock(database: SqliteDatabase) -> None:
    async def caller(n: int) -> None:
        for m in range(10):
            await database.write(put(f"k{n}-{m}"))
            await database.read(count)

    await asyncio.gather(*[caller(n) for n in range(200)])
    assert await database.read(count) == 2_000


async def test_another_writer_on_the_file_is_waited_for(database: SqliteDatabase, path: Path) -> None:
    other = connect(path)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(database.write(put("k1")))
    await asyncio.sleep(0.05)
    other.execute("COMMIT")
    other.close()
    await waiting
    assert await database.read(count) == 1


async def test_after_close_calls_are_refused(path: Path) -> None:
    database = SqliteDatabase(path)
    await asyncio.to_thread(database.close)
    with pytest.raises(Unavailable) as refused:
        await database.write(put("k1"))
    assert refused.value.code == "stopping"


async def test_a_checkpoint_runs_between_the_commits(database: SqliteDatabase, path: Path) -> None:
    works = [database.write(put(f"k{n}")) for n in range(100)]
    await asyncio.gather(*works, database.checkpoint(), *[database.write(put(f"k-b{n}")) for n in range(100)])
    await database.checkpoint()
    assert (await database.sizes())["write_log"] == 0
    assert await database.read(count) == 200


async def test_a_full_disk_is_named_and_survived(small_disk: Path) -> None:
    path = small_disk / "monjolo.db"
    prepare(path, NOW)
    database = SqliteDatabase(path)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 2_500_000)
    errors = []
    for n in range(50):
        try:
            await database.write(put(f"k{n}", "y" * 100_000))
        except Unavailable as error:
            errors.append(error.code)
    assert set(errors) == {"disk_full"}
    stored = await database.read(count)
    assert 0 < stored == 50 - len(errors)
    filler.unlink()
    await database.write(put("k-after", "z" * 100_000))
    assert await database.read(count) == stored + 1
    await asyncio.to_thread(database.close)
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


def test_a_full_disk_by_limit_is_survived(path: Path) -> None:
    script = """
        import asyncio, pathlib, resource, sys
        from monjolo.kit.errors import Unavailable
        from monjolo.storage.sqlite import SqliteDatabase

        def put(key, size):
            sql = "INSERT INTO meta (key, value) VALUES (?, ?)"
            return lambda c: c.execute(sql, (key, "y" * size))

        async def main():
            database = SqliteDatabase(pathlib.Path(sys.argv[1]))
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
            codes = set()
            for n in range(40):
                try:
                    await database.write(put(f"k{n}", 100_000))
                except Unavailable as error:
                    codes.add(error.code)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            await database.write(put("k-after", 10))
            print(codes)
            database.close()

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("{'disk_full'}", "{'data_io_failed'}")


def test_a_killed_process_loses_nothing_it_acknowledged(path: Path) -> None:
    script = """
        import asyncio, pathlib, sys
        from monjolo.storage.sqlite import SqliteDatabase

        async def main():
            database = SqliteDatabase(pathlib.Path(sys.argv[1]))

            async def one(n):
                for m in range(100_000):
                    key = f"k{n}-{m}"
                    await database.write(lambda c: c.execute("INSERT INTO meta (key, value) VALUES (?, 'x')", (key,)))
                    sys.stdout.write(key + "\\n")
                    sys.stdout.flush()

            await asyncio.gather(*[one(n) for n in range(8)])

        asyncio.run(main())
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    acknowledged = [child.stdout.readline() for _ in range(3_000)]
    os.kill(child.pid, signal.SIGKILL)
    acknowledged += [line for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
    child.wait()
    child.stdout.close()
    connection = connect(path)
    stored = {row[0] for row in connection.execute("SELECT key FROM meta")}
    connection.close()
    assert {line.decode().strip() for line in acknowledged} <= stored


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "monjolo.db"
    file.write_bytes(b"This is no database. " * 1_000)
    with pytest.raises(Unavailable) as refused:
        prepare(file, NOW)
    assert refused.value.code == "data_corrupt"
    assert file.read_bytes().startswith(b"This is no")


def test_a_folder_that_cannot_be_written_is_named(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(Unavailable) as refused:
        prepare(small_disk / "monjolo.db", NOW)
    assert refused.value.code == "data_read_only"


def test_a_database_that_became_read_only_is_named(small_disk: Path) -> None:
    prepare(small_disk / "monjolo.db", NOW)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(Unavailable) as refused:
        SqliteDatabase(small_disk / "monjolo.db")
    assert refused.value.code == "data_read_only"
