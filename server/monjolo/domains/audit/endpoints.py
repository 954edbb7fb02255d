"""GET /audit: who did what, newest first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from monjolo.domains.audit.repository import list_entries
from monjolo.domains.audit.schemas import AuditPage, entry_view
from monjolo.http.auth import Principal, require
from monjolo.http.paging import PageQuery, page_of, page_query
from monjolo.storage.port import Database

Admin = Annotated[Principal, Depends(require("users:admin"))]
Filter = Annotated[str | None, Query(max_length=200)]


def router(database: Database) -> APIRouter:
    routes = APIRouter(tags=["audit"])

    @routes.get("/audit")
    async def list_audit(
        principal: Admin,
        page: Annotated[PageQuery, Depends(page_query)],
        actor: Filter = None,
        action: Filter = None,
        object: Filter = None,
    ) -> AuditPage:
        """Entries by actor, action and object, all of them exact."""
        key = page.key(int, str)
        before = None if key is None else (int(key[0]), str(key[1]))
        found = await database.read(
            lambda connection: list_entries(
                connection,
                principal.workspace_id,
                actor=actor,
                action=action,
                object=object,
                before=before,
                limit=page.limit + 1,
            )
        )
        rows, more = page_of(found, page, lambda row: (row["at"], row["id"]))
        return AuditPage(items=[entry_view(row) for row in rows], next=more)

    return routes
