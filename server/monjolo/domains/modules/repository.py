"""The SQL of described modules and of the faults of the others. One registry for all workspaces."""

from __future__ import annotations

from collections.abc import Sequence

from monjolo.domains.modules.models import Fault, ModuleVersion
from monjolo.kit import json
from monjolo.storage.port import Connection, Row


def _version(row: Row) -> ModuleVersion:
    return ModuleVersion(
        id=row["id"],
        version=row["version"],
        digest=row["digest"],
        origin=row["source"],
        path=row["path"],
        manifest=json.loads(row["manifest"]),
        environment=row["environment"],
        current=bool(row["current"]),
        created_at=row["created_at"],
    )


def list_versions(connection: Connection) -> list[ModuleVersion]:
    sql = (
        "SELECT id, version, digest, source, path, manifest, environment, current, created_at"
        " FROM module_versions ORDER BY id, created_at"
    )
    return [_version(row) for row in connection.execute(sql).fetchall()]


def list_faults(connection: Connection) -> list[Fault]:
    sql = "SELECT path, module, error, traceback, at FROM module_faults ORDER BY path"
    return [
        Fault(row["path"], row["error"], row["module"], row["traceback"], row["at"])
        for row in connection.execute(sql).fetchall()
    ]


def insert_version(connection: Connection, version: ModuleVersion) -> None:
    """A version seen before only changes its place: the same bytes may come back under another name."""
    connection.execute(
        "INSERT INTO module_versions"
        " (id, version, digest, source, path, manifest, environment, current, created_at)"
        " VALUES (:id, :version, :digest, :source, :path, :manifest, :environment, 0, :at)"
        " ON CONFLICT (id, version, digest) DO UPDATE SET source = excluded.source, path = excluded.path,"
        " manifest = excluded.manifest, environment = excluded.environment",
        {
            "id": version.id,
            "version": version.version,
            "digest": version.digest,
            "source": version.origin,
            "path": version.path,
            "manifest": json.dumps(version.manifest),
            "environment": version.environment,
            "at": version.created_at,
        },
    )


def make_current(connection: Connection, version: ModuleVersion) -> None:
    """The one that the catalogue shows for its id and for its path."""
    connection.execute(
        "UPDATE module_versions SET current = 0 WHERE current = 1 AND (id = ? OR path = ?)",
        (version.id, version.path),
    )
    connection.execute(
        "UPDATE module_versions SET current = 1 WHERE id = ? AND version = ? AND digest = ?",
        (version.id, version.version, version.digest),
    )
    delete_faults(connection, [version.path])


def retire_paths(connection: Connection, paths: Sequence[str]) -> None:
    """Nothing lies there any more: out of the catalogue, the rows stay for those who refer to them."""
    sql = "UPDATE module_versions SET current = 0 WHERE current = 1 AND path = ?"
    connection.executemany(sql, [(path,) for path in paths])
    delete_faults(connection, paths)


def save_fault(connection: Connection, fault: Fault) -> None:
    connection.execute(
        "INSERT INTO module_faults (path, module, error, traceback, at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (path) DO UPDATE SET module = excluded.module, error = excluded.error,"
        " traceback = excluded.traceback, at = excluded.at",
        (fault.path, fault.module, fault.error, fault.traceback, fault.at),
    )


def delete_faults(connection: Connection, paths: Sequence[str]) -> None:
    connection.executemany("DELETE FROM module_faults WHERE path = ?", [(path,) for path in paths])


def delete_versions(connection: Connection, digests: Sequence[str]) -> None:
    """Only those that the catalogue does not show."""
    connection.executemany(
        "DELETE FROM module_versions WHERE digest = ? AND current = 0", [(digest,) for digest in digests]
    )
