"""A data folder out of a backup: unpacked and tried beside its place first, put there when all of it holds."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from monjolo.bootstrap.archive import DATABASE, SETTINGS_ELSEWHERE, Archive, BackupUnfit, Manifest, opened
from monjolo.domains.audit.repository import record
from monjolo.domains.connections.sealing import find_keys
from monjolo.domains.runs.restored import put_in_doubt
from monjolo.domains.users.repository import end_every_session
from monjolo.kit.disk import disk_error
from monjolo.kit.errors import Conflict, Unavailable
from monjolo.kit.time import Clock, to_rfc3339
from monjolo.settings import Settings, format_size
from monjolo.storage.inspect import transaction
from monjolo.storage.lock import NAME as LOCK
from monjolo.storage.lock import DataLock
from monjolo.storage.migrate import prepare, workspace_id
from monjolo.storage.migrations import REVISIONS
from monjolo.storage.snapshot import faults

_STAGING, _ASIDE = ".restoring-", "before-restore-"
_SPARE = 16 << 20


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: Manifest
    under_way: int  # runs that had not ended
    moved_aside: Path | None  # what was in the data folder before
    settings_elsewhere: bool


def restore(settings: Settings, file: Path, clock: Clock, *, replace: bool = False, moved: bool = False) -> Restored:
    """Raises MonjoloError, and then the data folder is as it was.

    `replace`: what is in the data folder is moved aside. `moved`: nothing ran on the source after the backup, so
    no `at_most_once` step can have begun there without our knowing.
    """
    with opened(file) as archive, DataLock.acquire(settings.data):
        _known_tables(archive)
        kept = set() if archive.manifest.keys else {"keys"}
        before = _entries(settings.data) - kept
        if before and not replace:
            raise _not_empty(settings.data, before)
        _sweep(settings.data)
        _room(archive, settings.data)
        try:
            staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=settings.data))
            try:
                archive.extract(staging)
                under_way = _make_ready(settings, staging, archive.manifest, clock, moved=moved)
                aside = _move_aside(settings.data, before, clock) if before else None
                _place(staging, settings.data)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        except OSError as error:
            raise disk_error(error, settings.data) from error
    elsewhere = (settings.data / SETTINGS_ELSEWHERE).is_file()
    return Restored(archive.manifest, under_way, aside, elsewhere)


def verify(file: Path) -> Manifest:
    """Reads all of a backup: every checksum, and the database from end to end. Raises MonjoloError."""
    with opened(file) as archive:
        _known_tables(archive)
        archive.check()
        try:
            with tempfile.TemporaryDirectory(prefix="monjolo-verify-") as folder:
                _sound(archive.extract_database(Path(folder)), file)
        except OSError as error:
            raise disk_error(error, Path(tempfile.gettempdir())) from error
    return archive.manifest


def _known_tables(archive: Archive) -> None:
    found = archive.manifest
    if found.tables not in REVISIONS:
        raise BackupUnfit(
            f"{archive.file} was made by a newer Monjolo ({found.platform_version}, tables {found.tables}; this one "
            f"knows {REVISIONS[-1]}). Install that version and use it.",
            code="backup_newer",
        )


def _sound(database: Path, file: Path) -> None:
    if wrong := faults(database):
        raise BackupUnfit(f"The database in {file} is damaged: {'; '.join(wrong[:3])}. Use another backup.")


# --- the data folder ----------------------------------------------------------------------------------------


def _entries(data: Path) -> set[str]:
    passed_over = (_STAGING, _ASIDE, LOCK)
    return {name for name in os.listdir(data) if not name.startswith(passed_over)}  # noqa: PTH208


def _not_empty(data: Path, before: Iterable[str]) -> Conflict:
    some = ", ".join(sorted(before)[:5])
    return Conflict(
        f"{data} is not empty ({some}). Restore into a new folder with --data, or add --replace: what is there is "
        "then moved aside, into a folder in it.",
        code="data_not_empty",
    )


def _sweep(data: Path) -> None:
    """What a restore left that was killed; we hold the lock, so none is at work."""
    for left in data.glob(f"{_STAGING}*"):
        shutil.rmtree(left, ignore_errors=True)


def _room(archive: Archive, data: Path) -> None:
    needed = sum(member.size for member in archive.manifest.members) + _SPARE
    free = shutil.disk_usage(data).free
    if free < needed:
        sizes = f"{format_size(needed >> 20 << 20)} are needed, {format_size(free >> 20 << 20)} are free"
        raise Unavailable(f"There is no room at {data}: {sizes}. Free some, or choose another.", code="disk_full")


def _move_aside(data: Path, entries: Iterable[str], clock: Clock) -> Path:
    stamp = to_rfc3339(clock.now())[:19].replace(":", "").replace("-", "")
    aside = Path(tempfile.mkdtemp(prefix=f"{_ASIDE}{stamp}-", dir=data))
    for name in sorted(entries):
        (data / name).rename(aside / name)
    return aside


def _place(staging: Path, data: Path) -> None:
    """The database last: without it nobody takes the folder for a whole one."""
    for name in sorted(os.listdir(staging), key=lambda one: one == DATABASE):  # noqa: PTH208
        (staging / name).rename(data / name)
    descriptor = os.open(data, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- the database -------------------------------------------------------------------------------------------


def _make_ready(settings: Settings, staging: Path, manifest: Manifest, clock: Clock, *, moved: bool) -> int:
    """Brings it to our tables and tells it that it was restored; how many runs were under way."""
    database = staging / DATABASE
    _sound(database, staging)
    prepare(database, clock.now())
    given = settings.secret_key.get_secret_value() if settings.secret_key else None
    keys = staging / "keys" if manifest.keys else settings.keys_folder
    with transaction(database) as connection:
        find_keys(connection, keys, given)
        end_every_session(connection, clock.now())
        under_way = put_in_doubt(connection, moved=moved)
        detail = {"instant": manifest.instant, "runs": manifest.runs, "under_way": under_way, "moved": moved}
        record(
            connection,
            workspace_id=workspace_id(connection),
            actor="system",
            action="platform.restored",
            object="platform:backup",
            detail=detail,
            at=clock.now(),
        )
    return under_way
