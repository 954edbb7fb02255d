"""gzip for large answers of text, to those who take it. Pure ASGI; streams of events pass untouched."""

from __future__ import annotations

import zlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALLEST = 2_048
_LEVEL = 5
_KINDS = (b"application/json", b"application/problem+json", b"application/x-ndjson", b"text/", b"image/svg")
_NEVER = b"text/event-stream"


class Compression:
    """Compresses whole answers of `SMALLEST` bytes and more, and streamed ones chunk by chunk."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _accepts_gzip(scope):
            await self.app(scope, receive, _Gzip(send))
        else:
            await self.app(scope, receive, send)


def _accepts_gzip(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            return any(_takes_gzip(part) for part in value.split(b","))
    return False


def _takes_gzip(part: bytes) -> bool:
    coding, _, quality = part.replace(b" ", b"").partition(b";q=")
    return coding == b"gzip" and quality.strip(b"0.") != b"" if quality else coding == b"gzip"


class _Gzip:
    """A `send` that holds the start back until the first chunk tells whether compressing is worth it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._packer: zlib._Compress | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _compressible(message):
            self._start = message
        elif message["type"] == "http.response.body" and (self._start or self._packer):
            await self._body(message)
        else:
            await self._send(message)

    async def _body(self, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._start is not None:
            start, self._start = self._start, None
            if not more and len(body) < SMALLEST:
                await self._send(start)
                await self._send(message)
                return
            self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
            await self._send({**start, "headers": _compressed(start["headers"])})
        assert self._packer is not None
        packed = self._packer.compress(body)
        packed += self._packer.flush(zlib.Z_SYNC_FLUSH if more else zlib.Z_FINISH)
        await self._send({**message, "body": packed, "more_body": more})


def _compressible(start: Message) -> bool:
    headers = dict(start["headers"])
    kind = headers.get(b"content-type", b"")
    return (
        start["status"] not in (204, 206, 304)
        and b"content-encoding" not in headers
        and kind.startswith(_KINDS)
        and not kind.startswith(_NEVER)
    )


def _compressed(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name != b"content-length"]
    return [*kept, (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
