"""The rows of secrets, connections and variables, and what is written down about keys."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from monjolo.domains.connections.models import Sealed, Variable
from monjolo.kit import json
from monjolo.storage.port import Connection, Row

_SELECT = (
    "SELECT id, kind, name, type, title, fields, hosts, key_id, version, revision, created_at, updated_at,"
    " last_used_at FROM sealed WHERE workspace_id = :workspace_id AND kind = :kind"
)
_CHECK = "sealing_key:"
_TOUCH_EVERY = 60_000_000  # microseconds between two notes that the same thing was used


# --- keys ---------------------------------------------------------------------------------------------------


def key_ids(connection: Connection) -> frozenset[str]:
    """The ids of all keys under which something is sealed, in every workspace."""
    return frozenset(row[0] for row in connection.execute("SELECT DISTINCT key_id FROM sealed"))


def key_check(connection: Connection, key_id: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_CHECK + key_id,)).fetchone()
    return None if row is None else row[0]


def insert_key_check(connection: Connection, key_id: str, check: str) -> None:
    connection.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (_CHECK + key_id, check))


def sealed_elsewhere(connection: Connection, key_id: str, limit: int) -> list[Row]:
    """Rows sealed under another key than this, in every workspace, values included."""
    return connection.execute(
        "SELECT id, workspace_id, kind, version, key_id, value FROM sealed WHERE key_id <> ? ORDER BY id LIMIT ?",
        (key_id, limit),
    ).fetchall()


def one_of_each_key(connection: Connection) -> list[Row]:
    return connection.execute(
        "SELECT id, workspace_id, kind, version, key_id, value FROM sealed"
        " WHERE id IN (SELECT MIN(id) FROM sealed GROUP BY key_id)"
    ).fetchall()


def replace_seal(connection: Connection, row_id: str, key_id: str, value: bytes) -> None:
    connection.execute("UPDATE sealed SET key_id = ?, value = ? WHERE id = ?", (key_id, value, row_id))


# --- secrets and connections --------------------------------------------------------------------------------


def find(connection: Connection, workspace_id: str, kind: str, reference: str) -> Sealed | None:
    """By id or by name: no name has the form of an id."""
    row = connection.execute(
        _SELECT + " AND (id = :reference OR name = :reference)",
        {"workspace_id": workspace_id, "kind": kind, "reference": reference},
    ).fetchone()
    return None if row is None else _sealed(row)


def list_sealed(
    connection: Connection, workspace_id: str, kind: str, *, after: str | None, limit: int
) -> tuple[list[Sealed], int]:
    """By name, from behind `after`; and how many there are in all."""
    scope = {"workspace_id": workspace_id, "kind": kind}
    rows = connection.execute(
        _SELECT + " AND name > :after ORDER BY name LIMIT :limit",
        {**scope, "after": after or "", "limit": limit},
    ).fetchall()
    total = connection.execute(
        "SELECT count(*) FROM sealed WHERE workspace_id = :workspace_id AND kind = :kind", scope
    ).fetchone()[0]
    return [_sealed(row) for row in rows], total


def find_value(connection: Connection, workspace_id: str, kind: str, name: str) -> Row | None:
    """The row of this name with its sealed value."""
    found: Row | None = connection.execute(
        "SELECT id, name, type, fields, hosts, key_id, version, value, last_used_at FROM sealed"
        " WHERE workspace_id = ? AND kind = ? AND name = ?",
        (workspace_id, kind, name),
    ).fetchone()
    return found


def insert(connection: Connection, workspace_id: str, sealed: Sealed, value: bytes) -> bool:
    """False when the name is taken."""
    done = connection.execute(
        "INSERT INTO sealed (id, workspace_id, kind, name, type, title, fields, hosts, value, key_id, version,"
        " revision, created_at, updated_at) VALUES (:id, :workspace_id, :kind, :name, :type, :title, :fields,"
        " :hosts, :value, :key_id, :version, :revision, :created_at, :updated_at)"
        " ON CONFLICT (workspace_id, kind, name) DO NOTHING",
        _columns(workspace_id, sealed, value),
    )
    return done.rowcount == 1


def save(connection: Connection, workspace_id: str, sealed: Sealed, value: bytes) -> None:
    connection.execute(
        "UPDATE sealed SET title = :title, fields = :fields, hosts = :hosts, value = :value, key_id = :key_id,"
        " version = :version, revision = :revision, updated_at = :updated_at"
        " WHERE workspace_id = :workspace_id AND kind = :kind AND id = :id",
        _columns(workspace_id, sealed, value),
    )


def delete(connection: Connection, workspace_id: str, kind: str, row_id: str) -> None:
    connection.execute(
        "DELETE FROM sealed WHERE workspace_id = ? AND kind = ? AND id = ?", (workspace_id, kind, row_id)
    )


def note_use(connection: Connection, row_ids: Collection[str], now: int) -> None:
    connection.executemany("UPDATE sealed SET last_used_at = ? WHERE id = ?", [(now, row_id) for row_id in row_ids])


def use_is_due(row: Row, now: int) -> bool:
    return row["last_used_at"] is None or now - row["last_used_at"] >= _TOUCH_EVERY


# --- variables ----------------------------------------------------------------------------------------------


def variable_values(connection: Connection, workspace_id: str) -> dict[str, Any]:
    """All variables of a workspace, as `vars` in expressions."""
    rows = connection.execute("SELECT name, value FROM variables WHERE workspace_id = ?", (workspace_id,))
    return {row[0]: json.loads(row[1]) for row in rows}


def find_variable(connection: Connection, workspace_id: str, name: str) -> Variable | None:
    row = connection.execute(
        "SELECT name, value, revision, updated_at FROM variables WHERE workspace_id = ? AND name = ?",
        (workspace_id, name),
    ).fetchone()
    return None if row is None else _variable(row)


def list_variables(
    connection: Connection, workspace_id: str, *, after: str | None, limit: int
) -> tuple[list[Variable], int]:
    rows = connection.execute(
        "SELECT name, value, revision, updated_at FROM variables WHERE workspace_id = ? AND name > ?"
        " ORDER BY name LIMIT ?",
        (workspace_id, after or "", limit),
    ).fetchall()
    total = connection.execute("SELECT count(*) FROM variables WHERE workspace_id = ?", (workspace_id,)).fetchone()[0]
    return [_variable(row) for row in rows], total


def insert_variable(connection: Connection, workspace_id: str, variable: Variable) -> bool:
    """False when the name is taken."""
    done = connection.execute(
        "INSERT INTO variables (workspace_id, name, value, revision, updated_at)"
        " VALUES (:workspace_id, :name, :value, :revision, :updated_at)"
        " ON CONFLICT (workspace_id, name) DO NOTHING",
        _variable_columns(workspace_id, variable),
    )
    return done.rowcount == 1


def save_variable(connection: Connection, workspace_id: str, variable: Variable) -> None:
    connection.execute(
        "UPDATE variables SET value = :value, revision = :revision, updated_at = :updated_at"
        " WHERE workspace_id = :workspace_id AND name = :name",
        _variable_columns(workspace_id, variable),
    )


def delete_variable(connection: Connection, workspace_id: str, name: str) -> None:
    connection.execute("DELETE FROM variables WHERE workspace_id = ? AND name = ?", (workspace_id, name))


# --- rows and objects ---------------------------------------------------------------------------------------


def _sealed(row: Row) -> Sealed:
    return Sealed(
        id=row["id"], kind=row["kind"], name=row["name"], type=row["type"], title=row["title"],
        fields=json.loads(row["fields"] or "{}"), hosts=json.loads(row["hosts"] or "[]"),
        key_id=row["key_id"], version=row["version"], revision=row["revision"],
        created_at=row["created_at"], updated_at=row["updated_at"], last_used_at=row["last_used_at"],
    )  # fmt: skip


def _columns(workspace_id: str, sealed: Sealed, value: bytes) -> dict[str, Any]:
    return {
        "id": sealed.id, "workspace_id": workspace_id, "kind": sealed.kind, "name": sealed.name,
        "type": sealed.type, "title": sealed.title, "fields": json.dumps(sealed.fields),
        "hosts": json.dumps(sealed.hosts), "value": value, "key_id": sealed.key_id,
        "version": sealed.version, "revision": sealed.revision, "created_at": sealed.created_at,
        "updated_at": sealed.updated_at,
    }  # fmt: skip


def _variable(row: Row) -> Variable:
    return Variable(row["name"], json.loads(row["value"]), row["revision"], row["updated_at"])


def _variable_columns(workspace_id: str, variable: Variable) -> dict[str, Any]:
    return {
        "workspace_id": workspace_id, "name": variable.name, "value": json.dumps(variable.value),
        "revision": variable.revision, "updated_at": variable.updated_at,
    }  # fmt: skip
