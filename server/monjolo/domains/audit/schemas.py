"""How the audit log looks from outside."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from monjolo.kit import json
from monjolo.kit.time import to_rfc3339
from monjolo.storage.port import Row


class AuditEntry(BaseModel):
    id: str
    at: str
    actor: str  # a user's id, or what acted by itself
    action: str  # secret.created
    object: str  # secret:api_key
    detail: dict[str, Any]


class AuditPage(BaseModel):
    items: list[AuditEntry]
    next: str | None


def entry_view(row: Row) -> AuditEntry:
    return AuditEntry(
        id=row["id"], at=to_rfc3339(row["at"]), actor=row["actor"], action=row["action"],
        object=row["object"], detail=json.loads(row["detail"]),
    )  # fmt: skip
