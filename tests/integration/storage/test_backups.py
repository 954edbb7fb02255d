"""`monjolo db backup`, `restore` and `verify`: what they refuse, and what they leave behind when they cannot go on."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from monjolo.bootstrap import archive as archives
from monjolo.cli.db import app
from monjolo.domains.connections.sealing import open_ring
from monjolo.storage.lock import DataLock
from monjolo.storage.migrations import HEAD, REVISIONS
from monjolo.storage.snapshot import snapshot
from monjolo.storage.sqlite import SqliteDatabase, connect
from monjolo.storage.upgrade import upgrade_to_head


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a sealed secret, a module, a blob that an artifact names, and one that none does."""
    folder = tmp_path / "data"
    monkeypatch.setenv("MONJOLO_DATA", str(folder))
    monkeypatch.chdir(tmp_path)
    assert call("upgrade").exit_code == 0
    with closing(connect(folder / "monjolo.db")) as connection:
        key, value = open_ring(connection, folder / "keys", None).seal(b"x", ("w", "secret", "s", 1))
        connection.execute(
            "INSERT INTO sealed (id, workspace_id, kind, name, value, key_id, created_at, updated_at)"
            " VALUES ('s', 'w', 'secret', 's', ?, ?, 0, 0)",
            (value, key),
        )
        connection.execute(
            "INSERT INTO artifacts (run_id, key, name, attempt, content_type, size, sha256, blob, created_at)"
            " VALUES ('r', 'k', 'n', 1, 't', 4, 's', ?, 0)",
            ("0" * 32,),
        )
    for name in ("0" * 32, "1" * 32):
        write(folder / "blobs" / name[-2:] / name, b"blob")
    write(folder / "modules" / "mine.py", b"module = 1\n")
    write(folder / "monjolo.toml", b"[retention]\ndays = 7\n")
    return folder


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def backup(*arguments: str) -> dict[str, Any]:
    done = call("backup", *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return dict(json.loads(done.stdout))


def refused(*arguments: str) -> str:
    """What it said, in one line that is no traceback."""
    done = call(*arguments)
    assert done.exit_code == 1, done
    assert isinstance(done.exception, SystemExit), done.exception
    return " ".join(done.stderr.split())


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- what is in it ------------------------------------------------------------------------------------------


def test_it_holds_the_database_and_what_it_names_and_nothing_that_is_made_again(data: Path, tmp_path: Path) -> None:
    write(data / "environments" / "x" / "big", b"big")
    write(data / "modules" / "__pycache__" / "mine.pyc", b"")
    (data / "modules" / "link.py").symlink_to("/etc/hostname")
    made = backup("b.zip")
    with zipfile.ZipFile("b.zip") as content:
        inside = {name for name in content.namelist() if not name.startswith("keys/")}
    assert inside == {"manifest.json", "monjolo.db", "monjolo.toml", f"blobs/00/{'0' * 32}", "modules/mine.py"}
    assert [left.rpartition("/")[2] for left in made["left_out"]] == ["link.py: a link"]
    assert call("restore", "b.zip", "--data", str(tmp_path / "new")).exit_code == 0
    assert (tmp_path / "new" / "blobs" / "00" / ("0" * 32)).read_bytes() == b"blob"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    checked = call("check", "--data", str(tmp_path / "new"), "--json")
    assert (checked.exit_code, json.loads(checked.stdout)["problems"]) == (0, [])


def test_a_blob_that_is_gone_does_not_stop_it_and_is_told(data: Path) -> None:
    (data / "blobs" / "00" / ("0" * 32)).unlink()
    assert backup("b.zip")["missing_blobs"] == ["0" * 32]
    assert call("verify", "b.zip").exit_code == 0


def test_without_keys_it_needs_them_from_elsewhere(data: Path, tmp_path: Path) -> None:
    assert backup("b.zip", "--without-keys")["keys"] is False
    new = tmp_path / "new"
    assert "keys" in refused("restore", "b.zip", "--data", str(new))
    assert not (new / "monjolo.db").exists()
    (data / "keys").rename(new / "keys")
    assert call("restore", "b.zip", "--data", str(new)).exit_code == 0
    assert call("check", "--data", str(new)).exit_code == 0


def test_a_copy_sees_one_moment_and_no_write_waits_for_it(data: Path, tmp_path: Path) -> None:
    """The copy begins, others write, and only then it goes on: what they wrote is not in it."""

    def look(connection: sqlite3.Connection) -> int:
        before = connection.execute("SELECT count(*) FROM variables").fetchone()[0]
        with closing(connect(data / "monjolo.db")) as writer:
            writer.execute("PRAGMA busy_timeout=0")
            writer.execute("INSERT INTO variables VALUES ('w', 'n', 'v', 1, 0)")
        return int(before)

    assert snapshot(data / "monjolo.db", tmp_path / "copy.db", look) == 0
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM variables").fetchone()[0] == 0
    with closing(connect(data / "monjolo.db")) as now:
        assert now.execute("SELECT count(*) FROM variables").fetchone()[0] == 1


async def test_cutting_the_log_of_writes_does_not_wait_for_a_backup(data: Path) -> None:
    database = SqliteDatabase(data / "monjolo.db")
    with closing(connect(data / "monjolo.db", read_only=True)) as long_reader:
        long_reader.execute("BEGIN")
        long_reader.execute("SELECT count(*) FROM variables").fetchone()
        await database.write(lambda c: c.execute("INSERT INTO variables VALUES ('w', 'n', 'v', 1, 0)"))
        async with asyncio.timeout(4):  # every other statement has more patience
            await database.checkpoint()
    await database.checkpoint()
    assert (await database.sizes())["write_log"] == 0
    database.close()


# --- where it is written ------------------------------------------------------------------------------------


def test_what_is_there_is_not_overwritten(data: Path, tmp_path: Path) -> None:
    write(tmp_path / "b.zip", b"mine")
    assert "is there already" in refused("backup", "b.zip")
    assert (tmp_path / "b.zip").read_bytes() == b"mine"
    assert "no folder" in refused("backup", "nowhere/b.zip")
    assert "part of the backup" in refused("backup", str(data / "modules" / "b.zip"))


def test_a_target_that_cannot_be_written_is_named(data: Path) -> None:
    assert "could not be written to /proc" in refused("backup", "/proc/b.zip")


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("limit", [100_000, 600_000])
def test_a_disk_that_fills_leaves_nothing_behind(data: Path, tmp_path: Path, limit: int) -> None:
    """Once while the database is copied, once while the archive is written."""
    write(data / "modules" / "large.bin", bytes(range(256)) * 4_000)
    for number in range(40):
        write(data / "modules" / f"m{number}.bin", os.urandom(20_000))
    before = names(tmp_path)
    with file_size_limit(limit):
        said = refused("backup", "b.zip")
    assert f"could not be written to {tmp_path}" in said
    assert names(tmp_path) == before


def test_a_full_disk_is_named(data: Path, small_disk: Path) -> None:
    write(data / "modules" / "large.bin", os.urandom(6 << 20))
    assert "Free some space" in refused("backup", str(small_disk))
    assert names(small_disk) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_backup_that_is_stopped_leaves_nothing_or_what_the_next_one_sweeps(
    data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    target = tmp_path / "backups"
    target.mkdir()
    write(data / "modules" / "large.bin", b"")
    os.truncate(data / "modules" / "large.bin", 300 << 20)
    program = "from monjolo.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "db", "backup", str(target)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 30
    while not any((part / "archive").exists() for part in target.iterdir()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(number)
    process.communicate()
    assert process.returncode not in (0, 1)
    assert not list(target.glob("*.zip"))
    (data / "modules" / "large.bin").unlink()
    if number is not signal.SIGKILL:
        assert names(target) == set()
    backup(str(target))
    assert [path.suffix for path in target.iterdir()] == [".zip"]


def test_only_the_newest_dated_backups_are_kept(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    for stamp in ("20200101T000000Z", "20200102T000000Z", "20200103T000000Z"):
        write(target / f"monjolo-{stamp}.zip", b"old")
    write(target / "other.zip", b"mine")
    made = backup(str(target), "--keep", "2")
    assert names(target) == {"other.zip", "monjolo-20200103T000000Z.zip", Path(made["file"]).name}


# --- what comes back ------------------------------------------------------------------------------------------


def test_older_tables_are_brought_to_this_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    monkeypatch.setenv("MONJOLO_DATA", str(old))
    old.mkdir()
    with closing(connect(old / "monjolo.db", create=True)) as connection:
        upgrade_to_head(connection, REVISIONS[0])
        connection.execute("INSERT INTO meta (key, value) VALUES ('workspace_id', 'w')")
        connection.execute("INSERT INTO workspaces (id, slug, name, created_at) VALUES ('w', 'default', 'Default', 0)")
    backup(str(tmp_path / "b.zip"))
    assert call("restore", str(tmp_path / "b.zip"), "--data", str(new)).exit_code == 0
    checked = json.loads(call("check", "--data", str(new), "--json").stdout)
    assert (checked["version"], checked["problems"]) == (HEAD, [])


def test_a_disk_without_room_is_told_before_anything_is_unpacked(data: Path, small_disk: Path) -> None:
    backup("b.zip")
    assert "no room" in refused("restore", "b.zip", "--data", str(small_disk / "new"))
    assert names(small_disk / "new") == {"monjolo.lock"}


# --- what is not taken back ---------------------------------------------------------------------------------


def test_a_folder_in_use_is_moved_aside_only_when_told(data: Path) -> None:
    backup("b.zip")
    write(data / "mine.txt", b"mine")
    assert "not empty" in refused("restore", "b.zip")
    with DataLock.acquire(data) as lock:
        lock.announce("http://127.0.0.1:7700")
        assert "http://127.0.0.1:7700" in refused("restore", "b.zip", "--replace")
    done = call("restore", "b.zip", "--replace", "--json")
    assert done.exit_code == 0, done.stderr
    assert (Path(json.loads(done.stdout)["moved_aside"]) / "mine.txt").read_bytes() == b"mine"
    assert call("check").exit_code == 0


Change = Callable[[archives.Manifest], archives.Manifest]
LOCAL: dict[str, tuple[Change, str]] = {
    "a newer format": (lambda m: replace(m, format_version=2), "newer Monjolo"),
    "newer tables": (lambda m: replace(m, tables="9999"), "newer Monjolo"),
    "a member that is not there": (lambda m: replace(m, members=(*m.members, m.members[0])), "changed after"),
    "a wrong checksum": (
        lambda m: replace(m, members=(replace(m.members[0], sha256="0" * 64), *m.members[1:])),
        "damaged",
    ),
    "no format": (lambda m: replace(m, format="x"), "no backup"),
}


@pytest.mark.parametrize("case", LOCAL)
def test_an_archive_that_does_not_fit_is_refused_and_nothing_is_made(data: Path, tmp_path: Path, case: str) -> None:
    change, reason = LOCAL[case]
    backup("b.zip")
    rewritten(tmp_path / "b.zip", change)
    assert reason in refused("verify", "b.zip")
    assert reason in refused("restore", "b.zip", "--data", str(tmp_path / "new"))
    assert names(tmp_path / "new") <= {"monjolo.lock"} if (tmp_path / "new").exists() else True


@pytest.mark.parametrize(
    "name", ["../out", "/etc/x", "modules/../../out", "blobs/..\\x", "monjolo.lock", "cli-token", "modules//x", "."]
)
def test_no_name_in_an_archive_leads_out_of_the_data_folder(data: Path, tmp_path: Path, name: str) -> None:
    backup("b.zip")
    hostile = archives.Member(name, 3, "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4")
    rewritten(tmp_path / "b.zip", lambda m: replace(m, members=(*m.members, hostile)), {name: b"hi!"})
    assert "no name that a backup may hold" in refused("restore", "b.zip", "--data", str(tmp_path / "new"))
    assert not (tmp_path / "out").exists()


def rewritten(file: Path, change: Change, more: dict[str, bytes] | None = None, only: set[str] | None = None) -> None:
    """The archive with another manifest, and with members besides; `only` those of its own stay."""
    with archives.opened(file) as archive:
        manifest = change(archive.manifest)
    with zipfile.ZipFile(file) as old:
        content = {name: old.read(name) for name in old.namelist() if only is None or name in only}
    content[archives.MANIFEST] = archives.json.dumpb(archives.asdict(manifest))
    with zipfile.ZipFile(file, "w") as new:
        for name, data in (content | (more or {})).items():
            new.writestr(zipfile.ZipInfo(name), data)


def test_damage_of_any_kind_is_found(data: Path, tmp_path: Path) -> None:
    backup("b.zip")
    whole = (tmp_path / "b.zip").read_bytes()
    write(tmp_path / "short.zip", whole[: len(whole) // 2])
    assert "no backup" in refused("verify", "short.zip")
    write(tmp_path / "text.zip", b"hello")
    assert "no backup" in refused("restore", "text.zip", "--data", str(tmp_path / "new"))
    assert "no file" in refused("restore", "nothing.zip", "--data", str(tmp_path / "new"))
    for place in range(100, len(whole) - 2_000, len(whole) // 7):
        bad = bytearray(whole)
        bad[place] ^= 0xFF
        write(tmp_path / "bad.zip", bytes(bad))
        refused("restore", "bad.zip", "--data", str(tmp_path / "new"))
        assert names(tmp_path / "new") <= {"monjolo.lock"}


def test_a_damaged_database_is_not_backed_up(data: Path, tmp_path: Path) -> None:
    file = data / "monjolo.db"
    content = bytearray(file.read_bytes())
    content[4096 * 3 : 4096 * 6] = b"\xff" * 4096 * 3
    file.write_bytes(content)
    refused("backup", "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_a_database_that_is_none_is_refused_however_well_its_checksum_fits(data: Path, tmp_path: Path) -> None:
    backup("b.zip")
    text = b"not a database " * 100
    member = archives.Member("monjolo.db", len(text), hashlib.sha256(text).hexdigest())
    rewritten(tmp_path / "b.zip", lambda m: replace(m, members=(member,)), {"monjolo.db": text}, only={"monjolo.db"})
    assert "damaged" in refused("verify", "b.zip")
    assert "damaged" in refused("restore", "b.zip", "--data", str(tmp_path / "new"))


@pytest.mark.parametrize(
    ("name", "value"), [("runs", "many"), ("instant", 5), ("instant", "yesterday"), ("keys", "no"), ("tables", ["x"])]
)
def test_a_manifest_of_other_kinds_of_values_is_refused(data: Path, tmp_path: Path, name: str, value: Any) -> None:
    backup("b.zip")
    rewritten(tmp_path / "b.zip", lambda m: replace(m, **{name: value}))
    assert "does not fit" in refused("verify", "b.zip")
    assert "does not fit" in refused("restore", "b.zip", "--data", str(tmp_path / "new"))
