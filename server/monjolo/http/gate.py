"""The gate before every route: it knows its route's template from the start, so nothing in a request's path
can make it take one route for another. FastAPI's routes, raw routes, mounts and sockets alike pass one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fastapi import APIRouter
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from monjolo.http.auth import PUBLIC, Authentication, require
from monjolo.http.bodies import MAX_BODY, guarded
from monjolo.http.hot import RawRoute
from monjolo.kit.errors import MonjoloError


class Gate:
    """Authenticates, checks the scope of a raw route, and limits the body; then lets the request through."""

    def __init__(
        self,
        app: ASGIApp,
        template: str,
        authentication: Authentication,
        *,
        public: frozenset[str],
        needs: str | None = None,
        max_body: int = MAX_BODY,
        by_python: bool = False,
    ) -> None:
        self.app, self.template, self.public = app, template, public
        self._authentication = authentication
        self._needs = require(needs) if needs else None
        self._max_body = max_body
        self._by_python = by_python

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["template"] = self.template
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["method"] not in self.public:
            await self._admit(scope)
        body = guarded(dict(scope["headers"]), receive, self._max_body, by_python=self._by_python)
        await self.app(scope, body, send)

    async def _admit(self, scope: Scope) -> None:
        principal = await self._authentication.principal(scope)
        if self._needs is not None:
            self._needs.check(principal)
        scope["principal"] = principal
        scope["authentication"] = self._authentication

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._admit(scope)
        except MonjoloError as error:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": error.title})
            return
        await self.app(scope, receive, send)


def gated(
    routers: Iterable[tuple[str, APIRouter]],
    authentication: Authentication,
    *,
    public: frozenset[tuple[str, str]] = PUBLIC,
    body_limits: Mapping[str, int] | None = None,
) -> tuple[list[BaseRoute], list[RouteContext]]:
    """Every route of the routers under its prefix, each behind its gate; and the contexts for OpenAPI.

    The routes are flat: a request is matched once, not once for each nested router. Raw routes come first.
    """
    limits = body_limits or {}
    routes: list[BaseRoute] = []
    contexts: list[RouteContext] = []
    for prefix, router in routers:
        assembly = APIRouter()
        assembly.include_router(router, prefix=prefix)
        for context in iter_route_contexts(assembly.routes):
            contexts.append(context)
            routes.append(_behind_gate(context, prefix, authentication, public, limits))
    routes.sort(key=lambda route: not isinstance(getattr(route, "raw", None), RawRoute))
    return routes, contexts


def _behind_gate(
    context: RouteContext,
    prefix: str,
    authentication: Authentication,
    public: frozenset[tuple[str, str]],
    limits: Mapping[str, int],
) -> BaseRoute:
    route = context.original_route
    template = context.path or ""
    methods = context.methods or set()
    open_methods = {method for method in methods or {"GET"} if (method, template) in public}
    if "GET" in open_methods:
        open_methods.add("HEAD")
    gate = Gate(
        AsyncExitStackMiddleware(context.app) if isinstance(route, APIRoute) else context.app,
        template,
        authentication,
        public=frozenset(open_methods),
        needs=getattr(route, "needs", None),
        max_body=limits.get(template, MAX_BODY),
        by_python=isinstance(route, APIRoute),
    )
    if isinstance(route, WebSocketRoute):
        return WebSocketRoute(template, gate, name=context.name)
    if isinstance(route, Mount):
        return Mount(template, gate, name=context.name)
    if isinstance(route, Route) and methods:
        sealed = Route(template, gate, methods=sorted(methods), name=context.name)
        sealed.raw = route  # type: ignore[attr-defined]
        return sealed
    raise TypeError(f"a {type(route).__name__} at {template!r} has no gate; use a route or a mount")


def walk(app: Starlette) -> Iterator[tuple[str, str, bool]]:
    """(method, template, open to strangers) of every route of the app, mounts and sockets included.

    Raises TypeError for a route that stands behind no gate. A socket's method is `WEBSOCKET`, a mount's `GET`.
    """
    for route in app.routes:
        gate = route.app if isinstance(route, Mount | WebSocketRoute) else getattr(route, "endpoint", None)
        if not isinstance(gate, Gate):
            raise TypeError(f"{route!r} stands behind no gate")
        methods = getattr(route, "methods", None) or {"GET" if isinstance(route, Mount) else "WEBSOCKET"}
        for method in sorted(methods):
            yield method, gate.template, method in gate.public
