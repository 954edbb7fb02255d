"""The front door of logs: of one run in pages, whole, or through a window; and a search in those of all runs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response, StreamingResponse

from monjolo.domains.runs import downloads, log_search, log_windows, queries
from monjolo.domains.runs.logs import LogStore, Place, levels_from
from monjolo.http.auth import Principal, require
from monjolo.http.hot import json_response
from monjolo.http.paging import Number, answer, decode_cursor, encode_cursor, instant_of
from monjolo.kit.errors import InvalidInput
from monjolo.kit.time import DAY, SECOND, Clock
from monjolo.storage.port import Database

Reader = Annotated[Principal, Depends(require("runs:read"))]


def add(routes: APIRouter, logs: LogStore, database: Database, clock: Clock) -> None:
    _reading(routes, logs, database)
    _searching(routes, database, clock)
    _window(routes, database)


def _reading(routes: APIRouter, logs: LogStore, database: Database) -> None:
    @routes.get("/runs/{run_id}/logs", tags=["logs"])
    async def page_of_logs(
        principal: Reader,
        run_id: str,
        step: str | None = None,
        attempt: Number | None = None,
        after: Annotated[str | None, Query(max_length=1000)] = None,
        q: Annotated[str | None, Query(max_length=500)] = None,
        level: str | None = None,
        limit: Annotated[int, Query(ge=1, le=5000)] = 500,
    ) -> Response:
        """Lines in order; `level=warning` means warning and worse."""
        await database.read(lambda c: queries.get(c, principal.workspace_id, run_id))
        lines, place = await logs.page(
            run_id, step=step, attempt=attempt, after=_place(after), limit=limit, query=q, levels=_levels(level)
        )
        return json_response(answer(lines, None if place is None else encode_cursor((place.text(),))))

    @routes.get("/runs/{run_id}/logs/download", tags=["logs"])
    async def download(
        principal: Reader,
        run_id: str,
        format: Annotated[str, Query(pattern="^(txt|ndjson)$")] = "txt",
        gzip: bool = False,
        step: str | None = None,
        attempt: Number | None = None,
    ) -> StreamingResponse:
        """The whole log, however large."""
        run = await database.read(lambda c: queries.get(c, principal.workspace_id, run_id))
        lines = logs.whole(run_id, step=step, attempt=attempt)
        return downloads.log_file(lines, f"{run['flow']}-{run['number']}", format, gzip)


def _searching(routes: APIRouter, database: Database, clock: Clock) -> None:
    @routes.get("/logs", tags=["logs"])
    async def search(
        principal: Reader,
        q: Annotated[str, Query(max_length=500)] = "",
        from_: Annotated[str | None, Query(alias="from")] = None,
        to: str | None = None,
        level: str | None = None,
        flow: Annotated[str | None, Query(max_length=64)] = None,
        step: Annotated[str | None, Query(max_length=500)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> Response:
        """Lines of all runs that contain the text, within a time (the last day by default), the newest runs first.

        `complete: false` when there may be more: ask for a shorter time, or for more lines.
        """
        if not (q or level or flow or step):
            raise InvalidInput("Say what to look for: q, level, flow or step.", code="no_filter")
        now, levels = clock.now(), _levels(level)
        start = now - DAY if from_ is None else instant_of(from_, "from")
        end = now + SECOND if to is None else instant_of(to, "to")
        workspace = principal.workspace_id
        return json_response(
            await database.read(
                lambda c: log_search.search(
                    c, workspace, query=q, levels=levels, start=start, end=end, limit=limit, flow=flow, step=step
                )
            )
        )


def _window(routes: APIRouter, database: Database) -> None:
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
        levels = _levels(level)

        def read(connection: Any) -> list[int]:
            queries.get(connection, principal.workspace_id, run_id)
            return log_windows.matches(connection, run_id, step, attempt, q, levels)

        found = await database.read(read)
        return json_response({"lines": found, "total": len(found), "cut": len(found) == log_windows.PLACES})


def _place(after: str | None) -> Place | None:
    if after is None:
        return None
    try:
        return Place.parse(str(decode_cursor(after, (str,))[0]))
    except ValueError as error:
        raise InvalidInput("The cursor is not one that this list gave.", code="bad_cursor") from error


def _levels(level: str | None) -> tuple[str, ...]:
    try:
        return levels_from(level)
    except ValueError as error:
        raise InvalidInput("level is debug, info, warning, error or critical.", code="bad_level") from error
