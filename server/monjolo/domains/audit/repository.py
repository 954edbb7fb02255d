"""The rows of the audit log: written with the change they tell of, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monjolo.kit import json
from monjolo.kit.ids import new_id
from monjolo.storage.port import Connection, Row


def record(
    connection: Connection,
    *,
    workspace_id: str,
    actor: str,
    action: str,
    object: str,
    detail: Mapping[str, Any],
    at: int,
) -> None:
    """Writes one entry in the transaction of the change: either both are stored or neither.

    `action` is `noun.past` (`secret.created`), `object` is `noun:name`; `detail` never holds a secret.
    """
    connection.execute(
        "INSERT INTO audit (id, workspace_id, at, actor, action, object, detail)"
        " VALUES (:id, :workspace_id, :at, :actor, :action, :object, :detail)",
        {
            "id": new_id(),
            "workspace_id": workspace_id,
            "at": at,
            "actor": actor,
            "action": action,
            "object": object,
            "detail": json.dumps(detail),
        },
    )


def list_entries(
    connection: Connection,
    workspace_id: str,
    *,
    actor: str | None = None,
    action: str | None = None,
    object: str | None = None,
    before: tuple[int, str] | None = None,
    limit: int = 50,
) -> list[Row]:
    """Newest first, from below `before`: the (at, id) of the last one seen."""
    at, last = before or (2**62, "")
    return connection.execute(
        "SELECT id, at, actor, action, object, detail FROM audit WHERE workspace_id = :workspace_id"
        " AND (at < :at OR (at = :at AND id < :last))"
        " AND (:actor IS NULL OR actor = :actor)"
        " AND (:action IS NULL OR action = :action)"
        " AND (:object IS NULL OR object = :object)"
        " ORDER BY at DESC, id DESC LIMIT :limit",
        {
            "workspace_id": workspace_id, "at": at, "last": last, "actor": actor, "action": action,
            "object": object, "limit": limit,
        },
    ).fetchall()  # fmt: skip
