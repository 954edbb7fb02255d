"""Brings a file to the tables that this program knows, and gives a new one its identity."""

from __future__ import annotations

import importlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from monjolo.kit.errors import Unavailable
from monjolo.kit.ids import new_id
from monjolo.storage.errors import named
from monjolo.storage.migrations import HEAD, REVISIONS
from monjolo.storage.port import Connection
from monjolo.storage.sqlite import connect


def upgrade_here(connection: sqlite3.Connection, path: Path) -> None:
    # By name, not by an import above: a start with nothing to upgrade must not pay for Alembic.
    importlib.import_module("monjolo.storage.upgrade").upgrade_to_head(connection)


def upgrade_apart(connection: sqlite3.Connection, path: Path) -> None:
    """In a process of its own: what Alembic and SQLAlchemy take, 25 MiB, would stay for as long as we run."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "monjolo.storage.upgrade", str(path)], stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        told = json.loads(done.stdout or b"{}")
        detail = told.get("detail", "The tables could not be brought up to date; what stands above says why.")
        raise Unavailable(detail, code=told.get("code", Unavailable.code))


def prepare(path: Path, now: int, upgrade: Callable[[sqlite3.Connection, Path], None] = upgrade_here) -> bool:
    """Creates or upgrades the file at `path`; True when it changed. Call it under the data folder's lock.

    Raises Unavailable: `schema_newer` when a later version of Monjolo wrote the file, `data_foreign` when
    it is somebody else's database, or the name of what is wrong with the file or the disk.
    """
    connection = connect(path, create=True)
    try:
        if version(connection, path) != HEAD:
            upgrade(connection, path)
        elif connection.execute("SELECT 1 FROM meta WHERE key = 'workspace_id'").fetchone():
            return False
        connection.execute("BEGIN IMMEDIATE")
        _identify(connection, now)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise named(error, path) from error
    finally:
        connection.close()
    return True


def version(connection: sqlite3.Connection, path: Path) -> str | None:
    """The revision of the file, None for an empty one. Raises Unavailable when we cannot work with it."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if "alembic_version" not in tables or "meta" not in tables:
        raise Unavailable(
            f"{path} is another program's database. Choose another data folder with MONJOLO_DATA.",
            code="data_foreign",
        )
    found: str = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    if found not in REVISIONS:
        raise Unavailable(
            f"{path} was written by a newer Monjolo (tables {found}, this one knows {HEAD}). "
            "Install that version again, or restore a backup made by this one.",
            code="schema_newer",
        )
    return found


def workspace_id(connection: Connection) -> str:
    """The id of the one workspace there is."""
    found: str = connection.execute("SELECT value FROM meta WHERE key = 'workspace_id'").fetchone()[0]
    return found


def _identify(connection: Connection, now: int) -> None:
    """What every installation has from its first moment on. Safe to repeat."""
    workspace = new_id()
    facts = {"installation_id": new_id(), "workspace_id": workspace, "created_at": str(now)}
    for key, value in facts.items():
        connection.execute(
            "INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING",
            {"key": key, "value": value},
        )
    connection.execute(
        "INSERT INTO workspaces (id, slug, name, created_at)"
        " SELECT value, 'default', 'Default', :now FROM meta WHERE key = 'workspace_id'"
        " ON CONFLICT (slug) DO NOTHING",
        {"now": now},
    )
