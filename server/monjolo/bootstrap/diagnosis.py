"""What a machine needs to run the platform, looked at piece by piece; each finding says what to do."""

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
from pathlib import Path
from typing import Literal

import uv

from monjolo.bootstrap.platform import shipped
from monjolo.domains.connections.sealing import find_keys
from monjolo.domains.modules.models import Broken
from monjolo.domains.modules.workbench import Workbench, sdk_folder
from monjolo.kit.errors import MonjoloError
from monjolo.settings import Settings, format_size
from monjolo.storage.inspect import inspect, transaction
from monjolo.storage.lock import DataLock
from monjolo.storage.migrations import HEAD

State = Literal["ok", "warning", "wrong"]
LOW_DISK, NO_DISK = 2 << 30, 256 << 20
OLDEST_SQLITE = (3, 40, 0)
UV_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice` says what to do, when something is to be done."""

    name: str
    state: State
    detail: str
    advice: str = ""


def machine(settings: Settings) -> list[Finding]:
    """What holds whether the platform is up or down: Python, uv, runner, disk, data folder."""
    return [python(), find_uv(), runner(), folder(settings.data), disk(settings.data)]


def data(settings: Settings) -> list[Finding]:
    """The database and its keys, while the platform is down; under the data folder's lock."""
    if not settings.data.is_dir():
        return []
    try:
        with DataLock.acquire(settings.data):
            return [Finding("lock", "ok", "nobody holds the data folder"), database(settings), keys(settings)]
    except MonjoloError as error:
        advice = "If that process does not answer any more, end it; the lock ends with it."
        return [Finding("lock", "wrong", error.detail, advice)]


def python() -> Finding:
    shown = f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, {sys.executable}"
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        return Finding("python", "wrong", shown, "Use a Python whose SQLite is 3.40 or newer.")
    return Finding("python", "ok", shown)


def find_uv() -> Finding:
    """uv builds the environments of modules that have dependencies of their own."""
    try:
        found = subprocess.run(  # noqa: S603 - the binary of our own dependency
            [uv.find_uv_bin(), "--version"], capture_output=True, text=True, timeout=UV_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        advice = "Install monjolo anew: uv comes with it. Modules without dependencies run all the same."
        return Finding("uv", "wrong", f"uv does not start: {error}", advice)
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
        return Finding("runner", "wrong", f"a runner does not start: {error}", advice)
    return Finding("runner", "ok", f"a runner started and described {piece.manifest['id']}")


def folder(path: Path) -> Finding:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return Finding("data folder", "ok", f"{path} is not there yet; `monjolo up` makes it")
    except OSError as error:
        return Finding("data folder", "wrong", f"{path}: {error.strerror}", "Choose another with MONJOLO_DATA.")
    if not stat.S_ISDIR(mode):
        return Finding("data folder", "wrong", f"{path} is no folder", "Choose another with MONJOLO_DATA.")
    try:
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        advice = f"Make it writable for this user ({os.getuid()}), or choose another with MONJOLO_DATA."
        return Finding("data folder", "wrong", f"{path} cannot be written: {error.strerror}", advice)
    if mode & 0o077:
        return Finding("data folder", "warning", f"{path} is open to other users", f"chmod 700 {path}")
    return Finding("data folder", "ok", f"{path} is writable, and nobody else's")


def disk(path: Path) -> Finding:
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    usage = shutil.disk_usage(there)
    shown = f"{format_size(usage.free >> 20 << 20)} of {format_size(usage.total >> 20 << 20)} free at {there}"
    if usage.free < NO_DISK:
        return Finding("disk", "wrong", shown, "Free some space; runs cannot be accepted without.")
    if usage.free < LOW_DISK:
        return Finding("disk", "warning", shown, "Free some space, or keep less history (MONJOLO_RETENTION_DAYS).")
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
        advice = "Take the newest backup; keep this file aside, do not write to it."
        return Finding("database", "wrong", f"{shown}: {'; '.join(found.problems[:3])}", advice)
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
    with transaction(settings.database_file) as connection:
        find_keys(connection, settings.keys_folder, given)
    return Finding("keys", "ok", "every key that ever sealed a secret is there")


def _named(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except MonjoloError as error:
        return Finding(name, "wrong", error.detail)
