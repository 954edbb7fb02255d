"""Who is asking. Authentication hangs on the matched route (S4): every route of the app is wrapped by a
`Gate` when the app is made, and only the routes named in `PUBLIC` let a stranger through.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from monjolo.kit.errors import Forbidden, Unauthenticated
from monjolo.kit.time import SECOND, Clock

SCOPES = frozenset(
    {
        "flows:read", "flows:write", "runs:read", "runs:write", "modules:read", "modules:write",
        "connections:read", "connections:write", "users:admin", "events:write", "system:read",
    }
)  # fmt: skip

# The whole list of what a stranger may ask for: (method, template of the route), compared with `==`.
PUBLIC: frozenset[tuple[str, str]] = frozenset(
    {
        ("GET", "/"),
        ("GET", "/assets/home.js"),
        ("GET", "/assets/page.css"),
        ("GET", "/docs"),
        ("GET", "/docs/page.js"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/api/v1/health/live"),
        ("GET", "/api/v1/health/ready"),
        ("GET", "/.well-known/jwks.json"),
        ("GET", "/api/v1/openapi.json"),
        ("GET", "/api/v1/schemas/flow.json"),
        ("GET", "/api/v1/setup/state"),
        ("POST", "/api/v1/setup"),
        ("POST", "/api/v1/auth/token"),
        ("POST", "/api/v1/auth/session"),
        ("POST", "/api/v1/auth/refresh"),
        # Authenticated by the rule of the trigger they belong to, in the triggers domain.
        ("GET", "/api/v1/hooks/{path:path}"),
        ("POST", "/api/v1/hooks/{path:path}"),
        ("PUT", "/api/v1/hooks/{path:path}"),
        ("PATCH", "/api/v1/hooks/{path:path}"),
        ("DELETE", "/api/v1/hooks/{path:path}"),
    }
)

COOKIE_HTTPS = "__Host-monjolo_session"
COOKIE_HTTP = "monjolo_session"
CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CACHE_SECONDS = 3.0  # with a stream's own check every 1.5 s, a revoked session ends within 5 s
CACHE_ENTRIES = 10_000
LONGEST_TOKEN = 8_192


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what they may do. `kind`: access | cookie | api_token | task | system."""

    user_id: str
    workspace_id: str
    role: str
    scopes: frozenset[str]
    session_id: str | None = None
    kind: str = "access"
    token_id: str | None = None  # of an API token

    def may(self, scope: str) -> bool:
        return scope in self.scopes


@dataclass(frozen=True, slots=True)
class Verified:
    """A credential that holds now, and until `expires_at` at the latest. `csrf` only for a cookie."""

    principal: Principal
    expires_at: int
    csrf: str | None = field(default=None, repr=False)


class Verifier(Protocol):
    """Judges credentials against the keys and the rows. Both raise Unauthenticated."""

    async def verify_bearer(self, token: str) -> Verified: ...

    async def verify_cookie(self, token: str) -> Verified: ...


class Authentication:
    """Reads the credential of a request and has it verified, with a short memory of what held."""

    def __init__(
        self,
        verifier: Verifier,
        clock: Clock,
        *,
        allow_http: bool = False,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verifier, self._clock, self._ticks = verifier, clock, ticks
        self._allow_http = allow_http
        self._known: dict[tuple[str, bytes], tuple[float, Verified]] = {}

    async def principal(self, scope: Any) -> Principal:
        """The principal of an ASGI scope. Raises Unauthenticated, or Forbidden for a forged request."""
        headers = dict(scope["headers"])
        authorization = headers.get(b"authorization")
        if authorization is not None:
            scheme, _, token = authorization.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthenticated("Send the token as `Authorization: Bearer TOKEN`.")
            return (await self._verified("bearer", token.strip())).principal
        cookie = self._cookie(scope)
        if cookie is None:
            raise Unauthenticated("Send `Authorization: Bearer TOKEN`, or sign in: POST /api/v1/auth/token.")
        verified = await self._verified("cookie", cookie)
        _refuse_forgery(scope, headers, verified.csrf or "")
        return verified.principal

    def forget(self) -> None:
        """Called after a sign-out or a change of rights, so that it acts at once in this process."""
        self._known.clear()

    def _cookie(self, scope: Any) -> str | None:
        connection = HTTPConnection(scope)
        if scope["scheme"] in ("https", "wss"):
            return connection.cookies.get(COOKIE_HTTPS)
        cookie = connection.cookies.get(COOKIE_HTTP)
        if cookie is not None and not cookie_allowed(scope, allow_http=self._allow_http):
            raise Unauthenticated("A session cookie is taken over HTTPS only, or from this machine itself.")
        return cookie

    async def _verified(self, kind: str, token: str) -> Verified:
        if not token or len(token) > LONGEST_TOKEN:
            raise Unauthenticated("The token is empty or too long.")
        key = (kind, hashlib.sha256(token.encode()).digest())
        now = self._ticks()
        known = self._known.get(key)
        if known is not None and known[0] > now:
            return known[1]
        verify = self._verifier.verify_bearer if kind == "bearer" else self._verifier.verify_cookie
        verified = await verify(token)
        left = (verified.expires_at - self._clock.now()) / SECOND
        if len(self._known) >= CACHE_ENTRIES:
            self._known.clear()
        self._known[key] = (now + min(CACHE_SECONDS, left), verified)
        return verified


def cookie_allowed(scope: Any, *, allow_http: bool) -> bool:
    """Whether a session cookie may travel on this connection (S11)."""
    if scope["scheme"] in ("https", "wss") or allow_http:
        return True
    client = scope.get("client")
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


def same_origin(scope: Any, headers: dict[bytes, bytes]) -> bool | None:
    """Whether the browser says the request comes from our own page; None when it says nothing."""
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site == b"same-origin"
    origin = headers.get(b"origin")
    if origin is None:
        return None
    return urlsplit(origin.decode("latin-1")).netloc == headers.get(b"host", b"").decode("latin-1")


def _refuse_forgery(scope: Any, headers: dict[bytes, bytes], csrf: str) -> None:
    websocket = scope["type"] == "websocket"
    if not websocket and scope["method"] in SAFE_METHODS:
        return
    if not same_origin(scope, headers):
        raise Forbidden("A request with a session cookie must come from this very site.", code="cross_origin")
    sent = headers.get(CSRF_HEADER.encode(), b"")
    if not websocket and not (csrf and hmac.compare_digest(sent, csrf.encode())):
        raise Forbidden(f"Send the session's CSRF token in the header {CSRF_HEADER}.", code="csrf")


def principal_of(connection: HTTPConnection) -> Principal:
    principal = connection.scope.get("principal")
    if not isinstance(principal, Principal):
        raise Unauthenticated
    return principal


async def current(connection: HTTPConnection) -> Principal:
    """The principal of this request: `Depends(current)`. A coroutine, so that FastAPI uses no thread."""
    return principal_of(connection)


class Require:
    """A dependency that answers the principal if it has `scope`; else 403."""

    def __init__(self, scope: str) -> None:
        if scope not in SCOPES:
            raise ValueError(f"{scope!r} is no scope; there are {', '.join(sorted(SCOPES))}")
        self.scope = scope

    async def __call__(self, connection: HTTPConnection) -> Principal:
        return self.check(principal_of(connection))

    def check(self, principal: Principal) -> Principal:
        if self.scope not in principal.scopes:
            raise Forbidden(f"This needs the scope {self.scope}, which your role or token lacks.")
        return principal


def require(scope: str) -> Require:
    """`principal: Principal = Depends(require("flows:write"))`."""
    return Require(scope)
