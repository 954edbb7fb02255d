"""The front door of a log that is read through a window: its index, any stretch of it, and where a text stands."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from monjolo.domains.runs import log_windows, queries
from monjolo.domains.runs.logs import levels_from
from monjolo.http.auth import Principal, require
from monjolo.http.hot import json_response
from monjolo.http.paging import Number
from monjolo.kit.errors import InvalidInput
from monjolo.storage.port import Database

Reader = Annotated[Principal, Depends(require("runs:read"))]


def add(routes: APIRouter, database: Database) -> None:
    @routes.get("/runs/{run_id}/logs/index", tags=["logs"])
    async def index_of_log(
        principal: Reader, run_id: str, step: str | None = None, attempt: Number | None = None
    ) -> Response:
        """How many lines and bytes there are, by level, and the numbers of the lines that are errors."""

        def read(connection: Any) -> dict[str, Any]:
            queries.get(connection, principal.workspace_id, run_id)
            return log_windows.index(connection, run_id, step, attempt)

        return json_response(await database.read(read))

    @routes.get("/runs/{run_id}/logs/window", tags=["logs"])
    async def window_of_log(
        principal: Reader,
        run_id: str,
        first: Annotated[int, Query(ge=1)] = 1,
        limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
        step: str | None = None,
        attempt: Number | None = None,
    ) -> Response:
        """Any stretch of lines, by number."""

        def read(connection: Any) -> list[dict[str, Any]]:
            queries.get(connection, principal.workspace_id, run_id)
            return log_windows.window(connection, run_id, step, attempt, first, limit)

        return json_response({"items": await database.read(read)})

    @routes.get("/runs/{run_id}/logs/matches", tags=["logs"])
    async def matches_in_log(
        principal: Reader,
        run_id: str,
        q: Annotated[str, Query(max_length=500)] = "",
        level: str | None = None,
        step: str | None = None,
        attempt: Number | None = None,
    ) -> Response:
        """The numbers of all lines that hold the text, at the level or worse."""
        try:
            levels = levels_from(level)
        except ValueError as error:
            raise InvalidInput("level is debug, info, warning, error or critical.", code="bad_level") from error

        def read(connection: Any) -> list[int]:
            queries.get(connection, principal.workspace_id, run_id)
            return log_windows.matches(connection, run_id, step, attempt, q, levels)

        found = await database.read(read)
        return json_response({"lines": found, "total": len(found), "cut": len(found) == log_windows.PLACES})
