"""The application: domain routers in, one ASGI app out, every route behind its gate."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.routing import RouteContext
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from monjolo.http.auth import PUBLIC, Authentication
from monjolo.http.compression import Compression
from monjolo.http.dashboard import DOORS, Dashboard
from monjolo.http.envelope import Envelope, Measure
from monjolo.http.gate import gated
from monjolo.http.hot import add_hot_route, json_response
from monjolo.http.openapi import openapi_document
from monjolo.http.pages import pages_router
from monjolo.http.problems import HANDLERS
from monjolo.kit import json

API = "/api/v1"
WEBHOOK_BODY, STRANGER_BODY = 1_000_000, 16_000
BODY_LIMITS = {
    f"{API}/hooks/{{path:path}}": WEBHOOK_BODY,
    f"{API}/setup": STRANGER_BODY,
    f"{API}/auth/token": STRANGER_BODY,
    f"{API}/auth/session": STRANGER_BODY,
    f"{API}/auth/refresh": STRANGER_BODY,
}

Ready = Callable[[], Awaitable[dict[str, str]]]  # what is not ready, with why; empty when all is well


def create_app(
    routers: Iterable[APIRouter],
    authentication: Authentication,
    *,
    version: str,
    ready: Ready,
    root_routers: Iterable[APIRouter] = (),
    exposition: Callable[[], tuple[bytes, str]] | None = None,
    metrics_open: bool = False,
    measure: Measure | None = None,
    body_limits: Mapping[str, int] | None = None,
    dashboard: Dashboard | None = None,
) -> Starlette:
    """The whole HTTP face of the platform.

    `routers` stand under /api/v1, `root_routers` at the root. `ready` says what is not ready; `exposition`
    gives the metrics' text and its content type, read with system:read, or by anyone when `metrics_open`.
    `body_limits`: bytes by template, beside those of `BODY_LIMITS`. `dashboard`: None where it is not built.
    The routes are FastAPI's; the application around them is Starlette's, so that every route, whatever made
    it, is put behind its gate by one piece of code, and a request passes no layer that it does not need.
    """
    public = PUBLIC | ({("GET", "/metrics")} if metrics_open else set()) | (DOORS if dashboard else set())
    system = _system_router(ready, exposition, None if metrics_open else "system:read")
    contexts: list[RouteContext] = []

    @functools.cache
    def document() -> bytes:
        """Made when first asked for: it would be a fifth of the start's work."""
        return json.dumpb(openapi_document(contexts, version, public))

    prefixed = [*((API, router) for router in routers), ("", system)]
    prefixed += [("", pages_router(API, document, dashboard))]
    prefixed += [("", router) for router in root_routers]
    routes, found = gated(
        prefixed, authentication, public=frozenset(public), body_limits=BODY_LIMITS | dict(body_limits or {})
    )
    contexts += found
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Envelope, measure=measure), Middleware(Compression)],
        exception_handlers=dict(HANDLERS),
    )
    app.router.redirect_slashes = False
    app.state.stopping = asyncio.Event()  # set by the server when it begins to stop; open streams end then
    return app


def _system_router(
    ready: Ready, exposition: Callable[[], tuple[bytes, str]] | None, metrics_scope: str | None
) -> APIRouter:
    router = APIRouter()

    async def health_live(request: Request) -> Response:
        return json_response({"status": "ok"})

    async def health_ready(request: Request) -> Response:
        missing = await ready()
        body = {"status": "not_ready" if missing else "ok", "missing": missing}
        return json_response(body, 503 if missing else 200)

    for prefix in ("", API):  # under /api/v1 too, where `ctx.api` of a step can ask
        add_hot_route(router, "GET", f"{prefix}/health/live", health_live, needs=None, openapi=_LIVE)
        add_hot_route(router, "GET", f"{prefix}/health/ready", health_ready, needs=None, openapi=_READY)
    if exposition is not None:
        give = exposition

        async def metrics(request: Request) -> Response:
            body, content_type = give()
            return Response(body, media_type=content_type)

        add_hot_route(router, "GET", "/metrics", metrics, needs=metrics_scope, openapi=_METRICS)
    return router


def _described(summary: str, kind: str = "application/json") -> dict[str, Any]:
    return {
        "tags": ["system"],
        "summary": summary,
        "responses": {"200": {"description": "Successful Response", "content": {kind: {}}}},
    }


_LIVE = _described("The process answers")
_READY = _described("The platform is ready to work")
_METRICS = _described("Metrics in the text format of Prometheus", "text/plain")
