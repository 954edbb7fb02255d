"""What a machine needs to run the platform, piece by piece; each finding says why it matters and what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import uv

from monjolo.bootstrap.platform import shipped
from monjolo.domains.connections.sealing import try_keys
from monjolo.domains.modules.models import Broken
from monjolo.domains.modules.workbench import Workbench, sdk_folder
from monjolo.kit.errors import MonjoloError
from monjolo.settings import Settings, format_size
from monjolo.storage.health import beside
from monjolo.storage.inspect import inspect
from monjolo.storage.lock import DataLock
from monjolo.storage.migrate import version
from monjolo.storage.migrations import HEAD

State = Literal["ok", "warning", "wrong"]
LOW_DISK, NO_DISK = 2 << 30, 256 << 20
_YEARS = (2024, 2100)
_HOLDS = "Everything is in it: the database, the keys, what steps left."
OLDEST_SQLITE = (3, 40, 0)
UV_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """`why` says what it spoils, `advice` what to do, when something is to be done."""

    name: str
    state: State
    detail: str
    advice: str = ""
    why: str = ""


def machine(settings: Settings) -> list[Finding]:
    """What holds whether the platform is up or down: Python, uv, runner, clock, disk, data folder."""
    return [python(), find_uv(), runner(), clock(), folder(settings.data), disk(settings.data)]


def data(settings: Settings) -> list[Finding]:
    """The database and its keys, while the platform is down; under the data folder's lock."""
    if not settings.data.is_dir():
        return []
    try:
        with DataLock.acquire(settings.data):
            return [Finding("lock", "ok", "nobody holds the data folder"), database(settings), keys(settings)]
    except MonjoloError as error:
        advice = "If that process does not answer any more, end it; the lock ends with it."
        return [Finding("lock", "wrong", error.detail, advice, "No other platform can start on this folder.")]


def python() -> Finding:
    shown = f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, {sys.executable}"
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        why = "Older ones lack what the database is written with."
        return Finding("python", "wrong", shown, "Use a Python whose SQLite is 3.40 or newer.", why)
    return Finding("python", "ok", shown)


def find_uv() -> Finding:
    """uv builds the environments of modules that have dependencies of their own."""
    try:
        found = subprocess.run(  # noqa: S603 - the binary of our own dependency
            [uv.find_uv_bin(), "--version"], capture_output=True, text=True, timeout=UV_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        why = "Modules with dependencies get no environment; the others run all the same."
        return Finding("uv", "wrong", f"uv does not start: {error}", "Install monjolo anew: uv comes with it.", why)
    return Finding("uv", "ok", found.stdout.strip())


def runner() -> Finding:
    """Starts a runner and lets it describe a built-in module, as the platform does."""
    module = shipped("modules") / "core"
    advice = "Install monjolo anew; if it stays, look whether something keeps this user from starting processes."
    try:
        with tempfile.TemporaryDirectory(prefix="monjolo-doctor-") as cache:
            bench = Workbench(cache=Path(cache), sdk=sdk_folder(), say=lambda text: None)
            piece = asyncio.run(bench.load(module))
    except (Broken, OSError) as error:
        return Finding("runner", "wrong", f"a runner does not start: {error}", advice, "No step can run.")
    return Finding("runner", "ok", f"a runner started and described {piece.manifest['id']}")


def clock() -> Finding:
    """Schedules are told in the time of a place, by the system's time zones or the package tzdata."""
    advice = "Set the clock of this machine (timedatectl set-ntp true), or install the system's package tzdata."
    why = "Schedules fire by this clock and these time zones, and tokens expire by it."
    now = datetime.now(UTC)
    if not _YEARS[0] <= now.year < _YEARS[1]:
        return Finding("clock", "wrong", f"it is {now:%Y-%m-%d %H:%M} here", advice, why)
    try:
        ZoneInfo("America/Sao_Paulo"), ZoneInfo("Europe/Berlin")
    except (ZoneInfoNotFoundError, OSError) as error:
        return Finding("clock", "wrong", f"the time zones cannot be read: {error}", advice, why)
    local = now.astimezone()
    return Finding(
        "clock", "ok", f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}; {len(available_timezones())} time zones"
    )


def folder(path: Path) -> Finding:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return Finding("data folder", "ok", f"{path} is not there yet; `monjolo up` makes it")
    except OSError as error:
        return Finding("data folder", "wrong", f"{path}: {error.strerror}", "Choose another with MONJOLO_DATA.", _HOLDS)
    if not stat.S_ISDIR(mode):
        return Finding("data folder", "wrong", f"{path} is no folder", "Choose another with MONJOLO_DATA.", _HOLDS)
    try:
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        advice = f"Make it writable for this user ({os.getuid()}), or choose another with MONJOLO_DATA."
        return Finding("data folder", "wrong", f"{path} cannot be written: {error.strerror}", advice, _HOLDS)
    if mode & 0o077:
        why = "The keys of all secrets are in it."
        return Finding("data folder", "warning", f"{path} is open to other users", f"chmod 700 {path}", why)
    return Finding("data folder", "ok", f"{path} is writable, and nobody else's")


def disk(path: Path) -> Finding:
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    usage = shutil.disk_usage(there)
    shown = f"{format_size(usage.free >> 20 << 20)} of {format_size(usage.total >> 20 << 20)} free at {there}"
    if usage.free < NO_DISK:
        return Finding("disk", "wrong", shown, "Free some space.", "Runs are refused when the disk is full.")
    if usage.free < LOW_DISK:
        advice = "Free some space, or keep less history (MONJOLO_RETENTION_DAYS)."
        return Finding("disk", "warning", shown, advice, "Runs are refused when the disk is full.")
    return Finding("disk", "ok", shown)


def database(settings: Settings) -> Finding:
    file = settings.database_file
    if not file.exists():
        return Finding("database", "ok", f"{file} is not there yet; `monjolo up` makes it")
    return _named("database", lambda: _database(settings))


def _database(settings: Settings) -> Finding:
    found = inspect(settings.database_file)
    shown = f"{format_size(found.bytes)}, {found.runs:,} runs, tables {found.version}"
    if found.problems:
        advice = "`monjolo db restore FILE --replace` with the newest backup; it keeps this file aside."
        why = "What is damaged cannot be read any more, and more may be lost with every write."
        return Finding("database", "wrong", f"{shown}: {'; '.join(found.problems[:3])}", advice, why)
    if found.version != HEAD:
        advice = "`monjolo up` or `monjolo db upgrade` brings older tables to this version."
        return Finding("database", "warning", f"{shown}, not {HEAD}", advice)
    return Finding("database", "ok", f"{shown}, sound")


def keys(settings: Settings) -> Finding:
    if not settings.database_file.exists():
        return Finding("keys", "ok", "none yet; `monjolo up` makes one")
    return _named("keys", lambda: _keys(settings))


def _keys(settings: Settings) -> Finding:
    given = settings.secret_key.get_secret_value() if settings.secret_key else None
    with beside(settings.database_file) as connection:
        if version(connection, settings.database_file) is None:
            return Finding("keys", "ok", "none yet; `monjolo up` makes one")
        opened = try_keys(connection, settings.keys_folder, given)
    return Finding("keys", "ok", f"every key that ever sealed a secret is there; {opened} sealed values opened")


def _named(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except MonjoloError as error:
        why = "The platform does not start, so that nothing is made worse."
        return Finding(name, "wrong", error.detail, "Do what it says, or restore a backup (`monjolo db restore`).", why)
