"""The HTTP server inside one of our processes: bound early, stopped gently, signals left to the process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.applications import Starlette

from monjolo.kit.errors import Unavailable

BACKLOG = 2_048
KEEP_ALIVE_SECONDS = 30
STOP_SECONDS = 5


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises Unavailable, saying what to do."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise Unavailable(f"{host!r} is no address of this machine. Set MONJOLO_HOST.", code="bad_host") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _refused(error, host, port) from error
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a browser on this machine finds the listener."""
    host, port = listener.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (read, not bound)
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


async def serve(
    app: Starlette,
    listener: socket.socket,
    *,
    stop: asyncio.Event,
    trusted_proxies: str = "",
    on_started: Callable[[str], None] = lambda url: None,
) -> None:
    """Answers on `listener` until `stop` is set; then requests in flight have 5 s, and streams end.

    `trusted_proxies`: whose X-Forwarded-For and X-Forwarded-Proto count; nobody's, when it is empty.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = _Server(config, lambda: on_started(url_of(listener)))
    stopper = asyncio.create_task(_stop_when(stop, server, app))
    try:
        await server.serve(sockets=[listener])
    finally:
        stopper.cancel()
        await asyncio.gather(stopper, return_exceptions=True)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone: the process around us decides in which order its parts stop."""
        yield


async def _stop_when(stop: asyncio.Event, server: uvicorn.Server, app: Starlette) -> None:
    await stop.wait()
    app.state.stopping.set()
    server.should_exit = True


def _refused(error: OSError, host: str, port: int) -> Unavailable:
    if error.errno == errno.EADDRINUSE:
        detail = (
            f"Port {port} on {host} is in use, by another Monjolo or another program. "
            "Stop that one, or choose another port with MONJOLO_PORT."
        )
        return Unavailable(detail, code="port_in_use")
    if error.errno == errno.EACCES:
        detail = f"Port {port} needs rights that this user lacks. Choose one above 1023 with MONJOLO_PORT."
        return Unavailable(detail, code="port_forbidden")
    return Unavailable(f"{host} is no address of this machine. Set MONJOLO_HOST.", code="bad_host")
