"""The SQL of flows and their versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monjolo.domains.flows.models import FlowHead, FlowVersion
from monjolo.kit import json
from monjolo.kit.errors import NotFound, PreconditionFailed
from monjolo.storage.port import Connection, Row

_HEAD = (
    "id, workspace_id, slug, name, description, state, pause_reason, paused_by, labels, version, draft,"
    " revision, created_at, updated_at"
)
_VERSION = "flow_id, number, document, source, digest, resolved, message, author, draft, created_at"


def _head(row: Row) -> FlowHead:
    return FlowHead(
        id=row["id"],
        workspace_id=row["workspace_id"],
        slug=row["slug"].partition("~")[0],
        name=row["name"],
        description=row["description"],
        state=row["state"],
        pause_reason=row["pause_reason"],
        paused_by=row["paused_by"],
        labels=json.loads(row["labels"]),
        version=row["version"],
        draft=row["draft"],
        revision=row["revision"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _version(row: Row) -> FlowVersion:
    return FlowVersion(
        flow_id=row["flow_id"],
        number=row["number"],
        document=json.loads(row["document"]),
        source=row["source"],
        digest=row["digest"],
        resolved=json.loads(row["resolved"]),
        message=row["message"],
        author=row["author"],
        draft=bool(row["draft"]),
        created_at=row["created_at"],
    )


def find(connection: Connection, workspace_id: str, slug: str) -> FlowHead | None:
    sql = f"SELECT {_HEAD} FROM flows WHERE workspace_id = ? AND slug = ? AND deleted_at IS NULL"  # noqa: S608
    row = connection.execute(sql, (workspace_id, slug)).fetchone()
    return _head(row) if row else None


def get(connection: Connection, workspace_id: str, slug: str) -> FlowHead:
    head = find(connection, workspace_id, slug)
    if head is None:
        raise NotFound(f"There is no flow {slug!r}.", code="flow_not_found")
    return head


def get_by_id(connection: Connection, flow_id: str) -> FlowHead:
    """For callers that hold an id from a row of their own; a deleted flow is found too, for its last runs."""
    row = connection.execute(f"SELECT {_HEAD} FROM flows WHERE id = ?", (flow_id,)).fetchone()  # noqa: S608
    if row is None:
        raise NotFound(f"There is no flow with the id {flow_id}.", code="flow_not_found")
    return _head(row)


def is_deleted(connection: Connection, flow_id: str) -> bool:
    row = connection.execute("SELECT deleted_at FROM flows WHERE id = ?", (flow_id,)).fetchone()
    return row is None or row["deleted_at"] is not None


def list_slugs(connection: Connection, workspace_id: str) -> list[str]:
    sql = "SELECT slug FROM flows WHERE workspace_id = ? AND deleted_at IS NULL"
    return [row["slug"] for row in connection.execute(sql, (workspace_id,)).fetchall()]


def list_heads(
    connection: Connection,
    workspace_id: str,
    *,
    state: str | None = None,
    q: str | None = None,
    label: tuple[str, str | None] | None = None,
    after: str | None = None,
    limit: int = 50,
) -> tuple[list[FlowHead], int]:
    """At most `limit` in the order of slugs, those after `after`; and how many match in all.

    A label is (key, value) or (key, None) for any value. Flows are few (thousands): labels are compared here.
    """
    where, values = ["workspace_id = :workspace", "deleted_at IS NULL"], {"workspace": workspace_id}
    if state is not None:
        where.append("state = :state")
        values["state"] = state
    if q:
        where.append(
            "(LOWER(name) LIKE :q ESCAPE '!' OR slug LIKE :q ESCAPE '!'"
            " OR LOWER(COALESCE(description, '')) LIKE :q ESCAPE '!')"
        )
        values["q"] = f"%{_like(q.lower())}%"
    sql = f"SELECT {_HEAD} FROM flows WHERE {' AND '.join(where)} ORDER BY slug"  # noqa: S608
    found: list[FlowHead] = []
    total = 0
    for row in connection.execute(sql, values):
        if label is not None and not _has_label(json.loads(row["labels"]), label):
            continue
        total += 1
        if len(found) < limit and (after is None or row["slug"] > after):
            found.append(_head(row))
    return found, total


def _has_label(labels: Mapping[str, str], wanted: tuple[str, str | None]) -> bool:
    key, value = wanted
    return key in labels and value in (None, labels[key])


def _like(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def insert(connection: Connection, head: FlowHead) -> None:
    connection.execute(
        "INSERT INTO flows (id, workspace_id, slug, name, description, state, labels, version, draft, revision,"
        " created_at, updated_at) VALUES (:id, :workspace_id, :slug, :name, :description, :state, :labels,"
        " :version, :draft, :revision, :created_at, :updated_at)",
        {
            "id": head.id,
            "workspace_id": head.workspace_id,
            "slug": head.slug,
            "name": head.name,
            "description": head.description,
            "state": head.state,
            "labels": json.dumps(head.labels),
            "version": head.version,
            "draft": head.draft,
            "revision": head.revision,
            "created_at": head.created_at,
            "updated_at": head.updated_at,
        },
    )


def save(connection: Connection, head: FlowHead, *, revision: int) -> None:
    """Write `head` over the row that still has `revision`. Raises PreconditionFailed."""
    done = connection.execute(
        "UPDATE flows SET name = :name, description = :description, state = :state,"
        " pause_reason = :pause_reason, paused_by = :paused_by, labels = :labels, version = :version,"
        " draft = :draft, revision = :revision,"
        " updated_at = :updated_at WHERE id = :id AND revision = :old AND deleted_at IS NULL",
        {
            "id": head.id,
            "name": head.name,
            "description": head.description,
            "state": head.state,
            "pause_reason": head.pause_reason,
            "paused_by": head.paused_by,
            "labels": json.dumps(head.labels),
            "version": head.version,
            "draft": head.draft,
            "revision": head.revision,
            "updated_at": head.updated_at,
            "old": revision,
        },
    )
    if done.rowcount != 1:
        raise PreconditionFailed("The flow changed while you edited it: read it again and repeat your change.")


def delete(connection: Connection, head: FlowHead, now: int) -> None:
    """The row stays for the history; its slug is free again."""
    connection.execute(
        "UPDATE flows SET deleted_at = ?, updated_at = ?, slug = ?, revision = revision + 1 WHERE id = ?",
        (now, now, f"{head.slug}~{head.id}", head.id),
    )


def count_live_runs(connection: Connection, flow_id: str) -> int:
    sql = (
        "SELECT COUNT(*) AS n FROM runs WHERE flow_id = ? AND status IN ('queued', 'running', 'waiting', 'cancelling')"
    )
    row = connection.execute(sql, (flow_id,)).fetchone()
    return int(row["n"]) if row else 0


# --- versions -----------------------------------------------------------------------------------------------


def find_version(connection: Connection, flow_id: str, number: int) -> FlowVersion | None:
    sql = f"SELECT {_VERSION} FROM flow_versions WHERE flow_id = ? AND number = ?"  # noqa: S608
    row = connection.execute(sql, (flow_id, number)).fetchone()
    return _version(row) if row else None


def get_version(connection: Connection, flow_id: str, number: int) -> FlowVersion:
    version = find_version(connection, flow_id, number)
    if version is None:
        raise NotFound(f"The flow has no version {number}.", code="flow_version_not_found")
    return version


def list_versions(connection: Connection, flow_id: str, *, before: int | None, limit: int) -> list[FlowVersion]:
    """Newest first."""
    sql = (
        f"SELECT {_VERSION} FROM flow_versions WHERE flow_id = ? AND number < ?"  # noqa: S608
        " ORDER BY number DESC LIMIT ?"
    )
    rows = connection.execute(sql, (flow_id, 2**31 - 1 if before is None else before, limit)).fetchall()
    return [_version(row) for row in rows]


def count_versions(connection: Connection, flow_id: str) -> int:
    row = connection.execute("SELECT COUNT(*) AS n FROM flow_versions WHERE flow_id = ?", (flow_id,)).fetchone()
    return int(row["n"]) if row else 0


def last_number(connection: Connection, flow_id: str) -> int:
    sql = "SELECT COALESCE(MAX(number), 0) AS n FROM flow_versions WHERE flow_id = ?"
    row = connection.execute(sql, (flow_id,)).fetchone()
    return int(row["n"]) if row else 0


def insert_version(connection: Connection, version: FlowVersion, awaits: Sequence[str]) -> None:
    """`awaits` are the types of event that its steps wait for."""
    connection.execute(
        "INSERT INTO flow_versions (flow_id, number, document, source, digest, resolved, message, author,"
        " draft, created_at, awaits) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            version.flow_id,
            version.number,
            json.dumps(version.document),
            version.source,
            version.digest,
            json.dumps(version.resolved),
            version.message,
            version.author,
            int(version.draft),
            version.created_at,
            json.dumps(list(awaits)) if awaits else None,
        ),
    )


def promote(connection: Connection, version: FlowVersion, message: str | None, author: str | None) -> None:
    """A draft becomes a published version under the number that it has."""
    connection.execute(
        "UPDATE flow_versions SET draft = 0, message = ?, author = ? WHERE flow_id = ? AND number = ?",
        (message, author, version.flow_id, version.number),
    )


def save_source(connection: Connection, version: FlowVersion, source: str) -> None:
    """Only the text: comments and layout. What the version means (`document`, `resolved`) never changes."""
    connection.execute(
        "UPDATE flow_versions SET source = ? WHERE flow_id = ? AND number = ?",
        (source, version.flow_id, version.number),
    )


def used_digests(connection: Connection, after: tuple[str, int], limit: int) -> tuple[set[str], tuple[str, int] | None]:
    """The module digests that a page of flow versions was published with, and where the next page begins."""
    rows = connection.execute(
        "SELECT flow_id, number, resolved FROM flow_versions WHERE (flow_id, number) > (?, ?) "
        "ORDER BY flow_id, number LIMIT ?",
        (*after, limit),
    ).fetchall()
    found = {action["digest"] for row in rows for action in json.loads(row["resolved"]).values()}
    return found, (rows[-1]["flow_id"], rows[-1]["number"]) if len(rows) == limit else None
