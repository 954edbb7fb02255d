"""The front door of reports: the dashboard in one request, flows with how they do, the recipes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from monjolo.domains.reports import schemas
from monjolo.domains.reports.recipes import recipes
from monjolo.domains.reports.service import ReportService
from monjolo.http.auth import Principal, require
from monjolo.http.paging import PageQuery, encode_cursor, page_query
from monjolo.kit.errors import Forbidden, NotFound


async def _reader(principal: Principal = Depends(require("flows:read"))) -> Principal:
    if not principal.may("runs:read"):
        raise Forbidden("This needs the scope runs:read, which your role or token lacks.")
    return principal


Reader = Annotated[Principal, Depends(_reader)]
Page = Annotated[PageQuery, Depends(page_query)]


def router(reports: ReportService, recipes_folder: Path) -> APIRouter:
    routes = APIRouter(tags=["dashboard"])

    @routes.get("/dashboard")
    async def dashboard(
        who: Reader, window: schemas.WindowName = "24h", timezone: Annotated[str, Query(max_length=100)] = "UTC"
    ) -> schemas.DashboardView:
        """Everything that the dashboard shows: what ran, what failed, what runs and what comes next."""
        return await reports.dashboard(who.workspace_id, window, timezone)

    @routes.get("/dashboard/flows")
    async def flow_rows(
        who: Reader,
        page: Page,
        state: schemas.FlowState | None = None,
        q: Annotated[str | None, Query(max_length=200)] = None,
        label: schemas.Label | None = None,
    ) -> schemas.FlowRows:
        """Flows by name, each with its last runs and its next. `states` counts all that `q` and `label` find."""
        key = page.key(str, str)
        after = (str(key[0]), str(key[1])) if key else None
        rows, following, states, total = await reports.flows(
            who.workspace_id, state=state, q=q, label=label, after=after, limit=page.limit
        )
        return schemas.FlowRows(
            items=rows, next=encode_cursor(following) if following else None, states=states, total=total
        )

    @routes.get("/dashboard/flows/{slug}")
    async def flow_row(slug: str, who: Reader) -> schemas.FlowRow:
        """One flow as the lists show it."""
        row = await reports.flow(who.workspace_id, slug)
        if row is None:
            raise NotFound(f"There is no flow {slug!r}.", code="flow_not_found")
        return row

    @routes.get("/recipes")
    async def list_recipes(who: Reader) -> schemas.RecipeList:
        """Ready flows that come with the platform. Publish one with `POST /flows {source}`."""
        return schemas.RecipeList(items=await asyncio.to_thread(recipes, recipes_folder))

    return routes
