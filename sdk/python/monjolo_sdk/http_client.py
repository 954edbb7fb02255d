"""`ctx.http`: httpx2 behind the egress guard. Loaded when an action first uses it.

Every address is judged at the moment of connecting (egress.py), so redirects, retries and authentication flows
pass the same door. Proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

import httpcore2
import httpx2

from monjolo_sdk.egress import Policy
from monjolo_sdk.errors import EgressRefused, PermanentError
from monjolo_sdk.fields import Connection
from monjolo_sdk.version import SDK_VERSION

MAX_RESPONSE_BYTES = 64 << 20
MAX_REDIRECTS = 10
MAX_RETRY_WAIT_SECONDS = 30.0
TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
_TRY_AGAIN_STATUS = frozenset({429, 502, 503, 504})
_SENSITIVE = ("authorization", "cookie", "proxy-authorization", "x-api-key", "x-auth-token", "private-token")


class ResponseTooLarge(PermanentError):
    """The answer has more bytes than the action allowed (`max_bytes`)."""


def open_client(
    *, is_async: bool, net: Iterable[str], allow: Iterable[str] = (), connections: Sequence[Connection] = ()
) -> AsyncHttp | SyncHttp:
    """The client of one task."""
    policy = Policy(net, allow, connections)
    return AsyncHttp(policy) if is_async else SyncHttp(policy)


class AsyncHttp:
    """For async actions: `await ctx.http.get(url, …)` with the arguments of httpx2, and three of our own.

    `retries`: how often an idempotent call is repeated after a network error, 429, 502, 503 or 504;
    `max_bytes`: of the answer, decompressed; `follow_redirects`: off unless asked for, each hop checked again.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.client = httpx2.AsyncClient(transport=_AsyncTransport(policy), **_client_options())

    async def connect(self, host: str, port: int, *, timeout: float = 10.0) -> httpcore2.AsyncNetworkStream:
        """A bare TCP connection behind the same guard, such as for a look at a certificate. Close it yourself."""
        self._policy.check_url("https", host, port)
        return await _AsyncBackend(self._policy).connect_tcp(host, port, timeout)

    async def request(
        self,
        method: str,
        url: str,
        *,
        retries: int = 2,
        max_bytes: int = MAX_RESPONSE_BYTES,
        follow_redirects: bool = False,
        **options: Any,
    ) -> httpx2.Response:
        """One call; gives the response with its body read, whatever its status."""
        sending = _split(options)
        request = self.client.build_request(method, url, **options)
        left = retries if _may_repeat(request) else 0
        while True:
            try:
                response = await self._follow(request, max_bytes, follow_redirects, sending)
            except (httpx2.NetworkError, httpx2.TimeoutException, httpx2.RemoteProtocolError):
                if left <= 0:
                    raise
                wait = _back_off(retries - left)
            else:
                told = _wait_told(response, retries - left) if left > 0 else None
                if told is None:
                    return response
                wait = told
            left -= 1
            await asyncio.sleep(wait)

    async def _follow(
        self, request: httpx2.Request, max_bytes: int, follow: bool, sending: dict[str, Any]
    ) -> httpx2.Response:
        history: list[httpx2.Response] = []
        while True:
            response = await self.client.send(request, stream=True, follow_redirects=False, **sending)
            try:
                body = _Body(response, max_bytes)
                async for part in response.aiter_bytes():
                    body.add(part)
                body.keep()
            finally:
                await response.aclose()
            response.history = list(history)
            if not follow or response.next_request is None:
                return response
            request = _next_hop(response, history)

    @contextlib.asynccontextmanager
    async def stream(self, method: str, url: str, **options: Any) -> AsyncIterator[httpx2.Response]:
        """A response whose body is read piece by piece: `async with ctx.http.stream("GET", url) as response`."""
        async with self.client.stream(method, url, **options) as response:
            yield response

    async def get(self, url: str, **options: Any) -> httpx2.Response:
        """GET."""
        return await self.request("GET", url, **options)

    async def head(self, url: str, **options: Any) -> httpx2.Response:
        """HEAD."""
        return await self.request("HEAD", url, **options)

    async def post(self, url: str, **options: Any) -> httpx2.Response:
        """POST; repeated after a failure only with a header `Idempotency-Key`."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Any) -> httpx2.Response:
        """PUT."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Any) -> httpx2.Response:
        """PATCH."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Any) -> httpx2.Response:
        """DELETE."""
        return await self.request("DELETE", url, **options)

    async def aclose(self) -> None:
        """Close its connections."""
        await self.client.aclose()


class SyncHttp:
    """For sync actions: `ctx.http.get(url, …)`; as AsyncHttp, without `await`."""

    def __init__(self, policy: Policy) -> None:
        self.client = httpx2.Client(transport=_SyncTransport(policy), **_client_options())

    def request(
        self,
        method: str,
        url: str,
        *,
        retries: int = 2,
        max_bytes: int = MAX_RESPONSE_BYTES,
        follow_redirects: bool = False,
        **options: Any,
    ) -> httpx2.Response:
        """One call; gives the response with its body read, whatever its status."""
        sending = _split(options)
        request = self.client.build_request(method, url, **options)
        left = retries if _may_repeat(request) else 0
        while True:
            try:
                response = self._follow(request, max_bytes, follow_redirects, sending)
            except (httpx2.NetworkError, httpx2.TimeoutException, httpx2.RemoteProtocolError):
                if left <= 0:
                    raise
                wait = _back_off(retries - left)
            else:
                told = _wait_told(response, retries - left) if left > 0 else None
                if told is None:
                    return response
                wait = told
            left -= 1
            time.sleep(wait)

    def _follow(
        self, request: httpx2.Request, max_bytes: int, follow: bool, sending: dict[str, Any]
    ) -> httpx2.Response:
        history: list[httpx2.Response] = []
        while True:
            response = self.client.send(request, stream=True, follow_redirects=False, **sending)
            try:
                body = _Body(response, max_bytes)
                for part in response.iter_bytes():
                    body.add(part)
                body.keep()
            finally:
                response.close()
            response.history = list(history)
            if not follow or response.next_request is None:
                return response
            request = _next_hop(response, history)

    @contextlib.contextmanager
    def stream(self, method: str, url: str, **options: Any) -> Iterator[httpx2.Response]:
        """A response whose body is read piece by piece: `with ctx.http.stream("GET", url) as response`."""
        with self.client.stream(method, url, **options) as response:
            yield response

    def get(self, url: str, **options: Any) -> httpx2.Response:
        """GET."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Any) -> httpx2.Response:
        """HEAD."""
        return self.request("HEAD", url, **options)

    def post(self, url: str, **options: Any) -> httpx2.Response:
        """POST; repeated after a failure only with a header `Idempotency-Key`."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> httpx2.Response:
        """PUT."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> httpx2.Response:
        """PATCH."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Any) -> httpx2.Response:
        """DELETE."""
        return self.request("DELETE", url, **options)

    def close(self) -> None:
        """Close its connections."""
        self.client.close()


class _AsyncTransport(httpx2.AsyncHTTPTransport):
    def __init__(self, policy: Policy) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        self._policy = policy
        self._pool = httpcore2.AsyncConnectionPool(ssl_context=_tls(), network_backend=_AsyncBackend(policy))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        _check(self._policy, request)
        return await super().handle_async_request(request)


class _SyncTransport(httpx2.HTTPTransport):
    def __init__(self, policy: Policy) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        self._policy = policy
        self._pool = httpcore2.ConnectionPool(ssl_context=_tls(), network_backend=_SyncBackend(policy))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        _check(self._policy, request)
        return super().handle_request(request)


class _AsyncBackend(httpcore2.AnyIOBackend):
    """Connects to addresses that were judged; the name goes on in Host and SNI."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *arguments: Any, **options: Any
    ) -> httpcore2.AsyncNetworkStream:
        try:
            asking = asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers = await asyncio.wait_for(asking, timeout)
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"the name {host} was not resolved in time") from None
        except (OSError, UnicodeError) as problem:
            raise httpcore2.ConnectError(f"the name {host} is not known: {problem}") from None
        failed: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in self._policy.check_addresses(host, port, (str(answer[4][0]) for answer in answers)):
            try:
                stream = await super().connect_tcp(address, port, timeout, *arguments, **options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as problem:
                failed = problem
                continue
            if not _same_peer(stream.get_extra_info("server_addr"), address):
                await stream.aclose()
                raise EgressRefused(f"the connection to {host} did not reach {address}")
            return stream
        raise failed

    async def connect_unix_socket(self, *arguments: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        raise EgressRefused("local sockets are not reached by HTTP")


class _SyncBackend(httpcore2.SyncBackend):
    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *arguments: Any, **options: Any
    ) -> httpcore2.NetworkStream:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as problem:
            raise httpcore2.ConnectError(f"the name {host} is not known: {problem}") from None
        failed: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in self._policy.check_addresses(host, port, (str(answer[4][0]) for answer in answers)):
            try:
                stream = super().connect_tcp(address, port, timeout, *arguments, **options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as problem:
                failed = problem
                continue
            if not _same_peer(stream.get_extra_info("server_addr"), address):
                stream.close()
                raise EgressRefused(f"the connection to {host} did not reach {address}")
            return stream
        raise failed

    def connect_unix_socket(self, *arguments: Any, **options: Any) -> httpcore2.NetworkStream:
        raise EgressRefused("local sockets are not reached by HTTP")


class _Body:
    """Collects the body of a response, up to a limit."""

    def __init__(self, response: httpx2.Response, max_bytes: int) -> None:
        self._response = response
        self._parts: list[bytes] = []
        self._left = max_bytes
        declared = response.headers.get("content-length", "")
        if response.request.method != "HEAD" and declared.isdigit() and int(declared) > max_bytes:
            self._refuse(max_bytes)
        self._most = max_bytes

    def add(self, part: bytes) -> None:
        self._left -= len(part)
        if self._left < 0:
            self._refuse(self._most)
        self._parts.append(part)

    def keep(self) -> None:
        # What Response.read() does, with our limit between.
        self._response._content = b"".join(self._parts)

    def _refuse(self, most: int) -> None:
        raise ResponseTooLarge(f"the answer of {self._response.url.host} has more than {most} bytes (max_bytes)")


def _client_options() -> dict[str, Any]:
    agent = {"User-Agent": f"monjolo/{SDK_VERSION}"}
    return {"trust_env": False, "timeout": TIMEOUT, "headers": agent, "follow_redirects": False}


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def _split(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options.pop(name) for name in ("auth",) if name in options}


def _check(policy: Policy, request: httpx2.Request) -> None:
    url = request.url
    port = _origin(url)[2]
    policy.check_url(url.scheme, url.host, port)
    if policy.guards_credentials:
        texts = [str(url), *request.headers.values()]
        with contextlib.suppress(httpx2.RequestNotRead):
            texts.append(request.content.decode("utf-8", "replace"))
        policy.check_credentials(url.host, port, texts)


def _may_repeat(request: httpx2.Request) -> bool:
    if request.method not in _IDEMPOTENT and "idempotency-key" not in request.headers:
        return False
    try:
        return request.content is not None
    except httpx2.RequestNotRead:  # a body that streams can be sent once
        return False


def _wait_told(response: httpx2.Response, tried: int) -> float | None:
    """Seconds to wait before the next try, or None when the response stands."""
    if response.status_code not in _TRY_AGAIN_STATUS:
        return None
    told = response.headers.get("retry-after", "")
    if told.isdigit():
        return float(told) if float(told) <= MAX_RETRY_WAIT_SECONDS else None
    return _back_off(tried)


def _back_off(tried: int) -> float:
    return float(0.2 * 2**tried * random.uniform(0.5, 1.5))  # noqa: S311 (jitter, not a secret)


def _next_hop(response: httpx2.Response, history: list[httpx2.Response]) -> httpx2.Request:
    request = response.next_request
    if request is None or len(history) >= MAX_REDIRECTS:
        raise httpx2.TooManyRedirects(f"more than {MAX_REDIRECTS} redirects", request=response.request)
    history.append(response)
    if _origin(request.url) != _origin(response.url):
        for name in _SENSITIVE:
            request.headers.pop(name, None)
    return request


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _same_peer(peer: Any, address: str) -> bool:
    return isinstance(peer, tuple) and str(peer[0]).partition("%")[0] == address.partition("%")[0]
