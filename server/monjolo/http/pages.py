"""The pages the API serves of itself, `/` and `/docs`, with their own assets; and the document."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from monjolo.http.dashboard import Dashboard
from monjolo.http.hot import Endpoint, add_hot_route

_FILES = Path(__file__).parent / "page_files"


def pages_router(api: str, document: Callable[[], bytes], dashboard: Dashboard | None) -> APIRouter:
    """`/docs`, its assets, the OpenAPI document under `api`, which may take a while to make; and the dashboard.

    Where that is not built, `/` is a page that says so and can make the first account.
    """
    router = APIRouter()
    if dashboard is None:
        add_hot_route(router, "GET", "/", _file("home.html", "text/html"), needs=None)
    add_hot_route(router, "GET", "/docs", _file("docs.html", "text/html"), needs=None)
    add_hot_route(router, "GET", "/docs/page.js", _file("docs.js", "text/javascript"), needs=None)
    add_hot_route(router, "GET", "/assets/home.js", _file("home.js", "text/javascript"), needs=None)
    add_hot_route(router, "GET", "/assets/page.css", _file("page.css", "text/css"), needs=None)

    async def openapi(request: Request) -> Response:
        return Response(await asyncio.to_thread(document), media_type="application/json")

    add_hot_route(router, "GET", f"{api}/openapi.json", openapi, needs=None)
    if dashboard is not None:
        dashboard.add_to(router)  # last: its assets have a pattern for a name
    return router


def _file(name: str, content_type: str) -> Endpoint:
    content = (_FILES / name).read_bytes()

    async def page(request: Request) -> Response:
        return Response(content, headers={"cache-control": "no-cache"}, media_type=content_type)

    return page
