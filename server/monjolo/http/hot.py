"""Routes for hot paths: a plain Starlette route, behind the same gate as all others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from monjolo.kit import json
from monjolo.kit.errors import InvalidInput, MonjoloError

Endpoint = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")


class RawRoute(Route):
    """No dependency tree and no model between the gate and `endpoint(request) -> Response`.

    `needs` is the scope that the principal must have; `openapi` describes the operation for the document.
    """

    def __init__(
        self, path: str, endpoint: Endpoint, *, method: str, needs: str | None, openapi: dict[str, Any] | None
    ) -> None:
        super().__init__(path, endpoint, methods=[method], include_in_schema=False)
        self.needs, self.openapi = needs, openapi

        async def answered(scope: Scope, receive: Receive, send: Send) -> None:
            """Errors go up to the application's handlers; Starlette would catch them here, and there again."""
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = answered


def add_hot_route(
    router: APIRouter,
    method: str,
    path: str,
    endpoint: Endpoint,
    *,
    needs: str | None,
    openapi: dict[str, Any] | None = None,
) -> None:
    """Registers `endpoint` on `router`. `principal_of(request)` tells who asks, `read_json` the body."""
    router.routes.append(RawRoute(router.prefix + path, endpoint, method=method, needs=needs, openapi=openapi))


async def read_json(request: Request) -> Any:
    """The body as JSON, None when there is none. Raises a 400 that says where it is no JSON."""
    body = await request.body()
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError as error:
        raise invalid_json(str(error)) from error


async def unless_gone(request: Request, waited_for: Coroutine[Any, Any, T]) -> T | None:
    """What is waited for; None when the client went away before. Its body must have been read."""
    waiting = asyncio.ensure_future(waited_for)
    gone = asyncio.ensure_future(request.receive())  # after the body there comes only `http.disconnect`
    try:
        await asyncio.wait((waiting, gone), return_when=asyncio.FIRST_COMPLETED)
        return await waiting if waiting.done() else None
    finally:
        for task in (waiting, gone):
            task.cancel()


def invalid_json(reason: str) -> MonjoloError:
    error = InvalidInput(f"The body is not JSON: {reason}", code="invalid_json")
    error.status = 400
    return error


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """`value` as JSON, without a response model: for hot and large answers."""
    return Response(json.dumpb(value), status, headers, "application/json")
