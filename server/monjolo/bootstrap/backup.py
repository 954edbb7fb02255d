"""A backup of everything the platform needs to go on elsewhere, made beside it while it runs.

It is built in a folder of its own next to the target, read again from end to end, and only then given its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from pathlib import Path

from monjolo.bootstrap.archive import (
    DATABASE,
    SETTINGS,
    SETTINGS_ELSEWHERE,
    BackupUnfit,
    Manifest,
    Packer,
    check_name,
    opened,
)
from monjolo.domains.connections import repository as sealed_rows
from monjolo.kit import json
from monjolo.kit.errors import Conflict, InvalidInput, MonjoloError, Unavailable
from monjolo.kit.time import Clock, to_rfc3339
from monjolo.settings import Settings
from monjolo.storage.inspect import Contents, contents
from monjolo.storage.snapshot import faults, snapshot

LAST_BACKUP = "last-backup.json"
_STAGING, _STAGING_END = ".monjolo-backup-", ".part"
_OURS = re.compile(r"monjolo-\d{8}T\d{6}Z\.zip")
_NOT_TAKEN = {"__pycache__", "node_modules"}


@dataclass(slots=True)
class Backup:
    """What was written; `left_out` are files that were not taken, each with the reason."""

    file: Path
    instant: int
    runs: int = 0
    bytes: int = 0
    keys: bool = True
    key_elsewhere: bool = False
    missing_blobs: tuple[str, ...] = ()
    left_out: list[str] = field(default_factory=list)


def back_up(
    settings: Settings, target: Path | None, clock: Clock, *, settings_file: Path | None = None, with_keys: bool = True
) -> Backup:
    """Raises MonjoloError; whatever happens, `target` is there whole or not at all. A folder takes a dated name."""
    instant = clock.now()
    target = _named(target or Path.cwd(), instant)
    _free_to_write(settings, target)
    done = Backup(target, instant, keys=with_keys)
    try:
        _sweep(target.parent)
        with _staging(target.parent) as staging:
            draft = _write(settings, staging, settings_file, done)
            with opened(draft) as archive:
                archive.check()
            done.bytes = draft.stat().st_size
            _take_name(draft, target)
    except OSError as error:
        raise _write_error(error, target) from error
    _note(settings.data / LAST_BACKUP, done)
    return done


def keep_newest(folder: Path, count: int) -> list[Path]:
    """Deletes the older ones of our dated backups in `folder`; returns them."""
    found = sorted(path for path in folder.iterdir() if _OURS.fullmatch(path.name))
    gone = found[:-count]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def last_backup(data: Path) -> dict[str, object] | None:
    """What the last backup of this data folder noted: `{at, file, bytes}`."""
    try:
        found = json.loads((data / LAST_BACKUP).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("at"), int) else None


# --- the target ---------------------------------------------------------------------------------------------


def _named(target: Path, instant: int) -> Path:
    target = Path(os.path.abspath(target.expanduser()))  # noqa: PTH100 - links stay as they are written
    if not target.is_dir():
        return target
    stamp = re.sub(r"[-:]|\.\d+", "", to_rfc3339(instant))
    return target / f"monjolo-{stamp}.zip"


def _free_to_write(settings: Settings, target: Path) -> None:
    if target.exists():
        raise Conflict(f"{target} is there already. Choose another name, or a folder.", code="backup_exists")
    if not target.parent.is_dir():
        raise InvalidInput(f"There is no folder {target.parent}. Make it first.", code="backup_no_folder")
    taken = (settings.blobs_folder, settings.keys_folder, settings.data / "bundles", settings.modules_folder)
    if any(target.is_relative_to(folder) for folder in taken):
        raise InvalidInput(
            f"{target.parent} is itself part of the backup. Choose another folder.", code="backup_inside"
        )


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A folder that goes with us; its lock tells the next backup whether we were killed."""
    made = Path(tempfile.mkdtemp(prefix=_STAGING, suffix=_STAGING_END, dir=folder))
    descriptor = os.open(made, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """What backups left behind that were killed."""
    for left in folder.glob(f"{_STAGING}*{_STAGING_END}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(descriptor)


def _take_name(draft: Path, target: Path) -> None:
    try:
        os.link(draft, target)  # unlike a rename it never replaces what somebody put there meanwhile
    except FileExistsError:
        raise Conflict(f"{target} came to be meanwhile. Choose another name.", code="backup_exists") from None
    except OSError:  # a file system without links
        draft.rename(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_error(error: OSError, target: Path) -> MonjoloError:
    detail = f"The backup could not be written to {target.parent}: {error.strerror or error}. Nothing was left there."
    return Unavailable(f"{detail} Free some space, or choose another folder.", code="backup_not_written")


def _note(file: Path, done: Backup) -> None:
    """For `monjolo doctor`. A data folder that cannot be written does not spoil a backup that is made."""
    draft = file.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        draft.write_bytes(json.dumpb({"at": done.instant, "file": str(done.file), "bytes": done.bytes}))
        draft.replace(file)


# --- the content --------------------------------------------------------------------------------------------


def _write(settings: Settings, staging: Path, settings_file: Path | None, done: Backup) -> Path:
    copy, draft = staging / DATABASE, staging / "archive"
    seen, sealed_under = snapshot(
        settings.database_file, copy, lambda c: (contents(c, settings.database_file), sealed_rows.key_ids(c))
    )
    if wrong := faults(copy):
        advice = "`monjolo doctor` tells more; restore an older backup."
        raise Unavailable(f"The database is damaged: {'; '.join(wrong[:3])}. {advice}", code="data_corrupt")
    packer = Packer(draft)
    try:
        with copy.open("rb") as database:
            packer.add(DATABASE, database)
        copy.unlink()  # its bytes are in the archive, and will be compared
        _add_files(settings, packer, settings_file, seen, done)
        done.key_elsewhere = bool(sealed_under - _key_files(settings.keys_folder))
        done.runs = seen.runs
        packer.finish(
            Manifest(
                platform_version=package_version("monjolo"),
                tables=seen.tables,
                instant=to_rfc3339(done.instant),
                runs=seen.runs,
                keys=done.keys,
                key_elsewhere=done.key_elsewhere,
                missing_blobs=done.missing_blobs,
                members=tuple(packer.members),
            )
        )
    except BaseException:
        packer.abandon()
        raise
    return draft


def _add_files(settings: Settings, packer: Packer, settings_file: Path | None, seen: Contents, done: Backup) -> None:
    """After the database: what it refers to was there before, and is never changed, only taken away."""
    if settings_file is not None and settings_file.is_file():
        inside = settings_file.parent == settings.data
        with settings_file.open("rb") as source:
            packer.add(SETTINGS if inside else SETTINGS_ELSEWHERE, source)
    if done.keys:
        _add_tree(packer, settings.keys_folder, "keys", done)
    _add_blobs(packer, settings.blobs_folder, seen.blobs, done)
    for bundle in _bundles(settings.data / "bundles"):
        _add_bundle(packer, bundle)
    _add_tree(packer, settings.modules_folder, "modules", done)


def _key_files(folder: Path) -> set[str]:
    return {path.stem.partition("-")[2] for path in folder.glob("*.key")}


def _add_blobs(packer: Packer, folder: Path, names: Sequence[str], done: Backup) -> None:
    missing = []
    for name in names:
        try:
            with (folder / name[-2:] / name).open("rb") as source:
                packer.add(f"blobs/{name[-2:]}/{name}", source, packed=False)
        except FileNotFoundError:  # retention took it since, or it was lost before
            missing.append(name)
    done.missing_blobs = tuple(missing)


def _bundles(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name[:1] != ".") if folder.is_dir() else []


def _add_bundle(packer: Packer, bundle: Path) -> None:
    """Whole or not at all: one that is taken away meanwhile is used by nothing any more."""
    try:
        files = [(path, path.read_bytes()) for path in _files(bundle, [])]
    except FileNotFoundError:
        return
    if [path for path, _ in files] == _files(bundle, []) and (bundle / "bundle.json").is_file():
        for path, content in files:
            packer.add(f"bundles/{path.relative_to(bundle.parent).as_posix()}", io.BytesIO(content))


def _add_tree(packer: Packer, folder: Path, name: str, done: Backup) -> None:
    for path in _files(folder, done.left_out):
        member = f"{name}/{path.relative_to(folder).as_posix()}"
        try:
            check_name(member)
            with path.open("rb") as source:
                packer.add(member, source, executable=bool(os.fstat(source.fileno()).st_mode & stat.S_IXUSR))
        except BackupUnfit:
            done.left_out.append(f"{path!s}: its name has characters that a backup does not take")
        except FileNotFoundError:
            continue  # a file of a person's, gone between two looks


def _files(folder: Path, left_out: list[str]) -> list[Path]:
    """The regular files below `folder`, in order; links and what is made again are left out."""
    found = []
    for entry in sorted(os.scandir(folder), key=lambda one: one.name) if folder.is_dir() else []:
        if entry.name in _NOT_TAKEN or entry.name.startswith("."):
            continue
        if entry.is_symlink():
            left_out.append(f"{entry.path}: a link")
        elif entry.is_dir():
            found += _files(Path(entry.path), left_out)
        elif entry.is_file():
            found.append(Path(entry.path))
    return found
