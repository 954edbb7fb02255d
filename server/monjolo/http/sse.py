"""Server-sent events: heartbeats, Last-Event-ID, an end when the session ends or the process stops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from monjolo.kit import json
from monjolo.kit.errors import InvalidInput, MonjoloError

HEARTBEAT_SECONDS = 15.0
CHECK_SECONDS = 1.5  # with the memory of http/auth.py, a revoked session's stream ends within 5 s
LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is sent as JSON. `id` is what the client sends back as Last-Event-ID."""

    data: Any
    event: str | None = None
    id: str | None = None


def encode_event(event: Event) -> bytes:
    lines = [f"id: {event.id}"] if event.id is not None else []
    if event.event is not None:
        lines.append(f"event: {event.event}")
    if any("\n" in line or "\r" in line or "\0" in line for line in lines):
        raise ValueError("an event's id and name are one line")
    lines.append(f"data: {json.dumps(event.data)}")  # JSON never holds a raw line break
    return "\n".join(lines).encode() + b"\n\n"


def last_event_id(request: Request) -> str | None:
    """Where the client wants to go on: the header, or `?last_event_id=` at a first connection."""
    value = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
    if value is not None and len(value) > LONGEST_ID:
        raise InvalidInput("Last-Event-ID is longer than any that was sent.", code="bad_event_id")
    return value or None


class EventStream(Response):
    """Streams `events` until they end, the client leaves, its session is revoked, or the process stops.

    The iterator is closed in every case, so it may hold a subscription in a `try … finally`.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncIterator[Event],
        *,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(None, 200, headers, self.media_type)
        del self.headers["content-length"]
        self._events = events
        self._heartbeat, self._check = heartbeat_seconds, check_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        watchers = [
            asyncio.create_task(_left(receive)),
            asyncio.create_task(_revoked(scope, self._check)),
            asyncio.create_task(_stopping(scope)),
        ]
        try:
            await self._pump(send, watchers)
        finally:
            await _ended(watchers)
            close = getattr(self._events, "aclose", None)
            if close is not None:
                await close()
        with contextlib.suppress(OSError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send, watchers: list[asyncio.Task[None]]) -> None:
        pending: asyncio.Task[Event] | None = None
        try:
            await send({"type": "http.response.body", "body": b"retry: 2000\n\n", "more_body": True})
            while True:
                pending = pending or asyncio.ensure_future(anext(self._events))
                done, _ = await asyncio.wait(
                    [pending, *watchers], timeout=self._heartbeat, return_when=asyncio.FIRST_COMPLETED
                )
                if any(watcher in done for watcher in watchers):
                    return
                body = b": still here\n\n"
                if pending in done:
                    finished, pending = pending, None
                    body = encode_event(finished.result())
                await send({"type": "http.response.body", "body": body, "more_body": True})
        except StopAsyncIteration:
            return
        finally:
            await _ended([pending] if pending is not None else [])


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _revoked(scope: Scope, seconds: float) -> None:
    authentication = scope.get("authentication")
    while True:
        await asyncio.sleep(seconds)
        if authentication is not None:
            try:
                await authentication.principal(scope)
            except MonjoloError:
                return


async def _stopping(scope: Scope) -> None:
    await scope["app"].state.stopping.wait()


async def _ended(tasks: list[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
