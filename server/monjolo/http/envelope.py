"""What is around every answer: a request id, the security headers, a measurement, and the last catch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monjolo.http.limits import rate_limit_headers
from monjolo.http.problems import internal_problem
from monjolo.kit.ids import new_id

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_DEFAULTS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

Measure = Callable[[str, str, int, float], None]  # method, template of the route, status, seconds

log = structlog.get_logger("monjolo.http")


class Envelope:
    """Pure ASGI. A caller's X-Request-ID is kept when it is plain; an answer's own headers win over ours."""

    def __init__(self, app: ASGIApp, measure: Measure | None = None) -> None:
        self.app, self._measure = app, measure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def send_enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_ours(message["headers"], request_id, scope)
            await send(message)

        try:
            await self.app(scope, receive, send_enveloped)
        except Exception:
            log.exception("request failed", request_id=request_id, route=scope.get("template", ""))
            if status:  # too late to say so: closing the connection tells the client that the answer is cut
                raise
            await internal_problem(request_id)(scope, receive, send_enveloped)
        finally:
            if self._measure is not None:
                seconds = time.perf_counter() - started
                self._measure(scope["method"], scope.get("template", "unmatched"), status or 499, seconds)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return new_id()


Headers = list[tuple[bytes, bytes]]


def _with_ours(headers: Headers, request_id: str, scope: Scope) -> Headers:
    named = {name for name, _ in headers}
    ours = [pair for pair in _DEFAULTS if pair[0] not in named]
    if scope["scheme"] == "https":
        ours.append(_HSTS)
    return [*headers, *ours, *rate_limit_headers(scope), (b"x-request-id", request_id.encode())]
