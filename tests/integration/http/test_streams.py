"""Streams of events: what they send, and everything that ends them."""

from __future__ import annotations

import asyncio
import typing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from monjolo.http.sse import Event
from monjolo.processes.api import bind, serve, url_of

if typing.TYPE_CHECKING:
    from .conftest import House

STREAM = "/api/v1/trial/stream"


@asynccontextmanager
async def served(house: House) -> AsyncIterator[tuple[httpx2.AsyncClient, asyncio.Event, asyncio.Task[None]]]:
    """The application behind the real server, on a free port."""
    listener, stop, started = bind("127.0.0.1", 0), asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(serve(house.app, listener, stop=stop, on_started=lambda url: started.set()))
    async with asyncio.timeout(10), httpx2.AsyncClient(base_url=url_of(listener)) as client:
        await started.wait()
        yield client, stop, task
        stop.set()
        await task


async def lines_until(lines: AsyncIterator[str], wanted: str) -> list[str]:
    seen = []
    async for line in lines:
        seen.append(line)
        if line == wanted:
            return seen
    raise AssertionError(f"{wanted!r} never came: {seen}")


async def test_events_arrive_with_heartbeats_between_them(house: House) -> None:
    async with served(house) as (client, _, _):
        admin = await house.signed_in(client)
        async with client.stream("GET", STREAM, headers=admin) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.aiter_lines()
            await lines_until(lines, ": still here")
            house.events.put_nowait(Event({"text": "two\nlines"}, event="run", id="7"))
            seen = await lines_until(lines, 'data: {"text":"two\\nlines"}')
            assert seen[-3:-1] == ["id: 7", "event: run"]
        assert await asyncio.wait_for(house.closed_streams.get(), 5) == "closed"


async def test_a_stream_ends_when_its_session_is_revoked(house: House) -> None:
    async with served(house) as (client, _, _):
        admin = await house.signed_in(client)
        async with client.stream("GET", STREAM, headers=admin) as stream:
            assert (await client.post("/api/v1/auth/logout", headers=admin)).status_code == 204
            async for _line in stream.aiter_lines():
                pass
        assert house.closed_streams.get_nowait() == "closed"


async def test_a_stream_ends_when_the_process_stops(house: House) -> None:
    async with served(house) as (client, stop, task):
        admin = await house.signed_in(client)
        async with client.stream("GET", STREAM, headers=admin) as stream:
            stop.set()
            async for _line in stream.aiter_lines():
                pass
        await task
        assert house.closed_streams.get_nowait() == "closed"


def test_a_port_in_use_is_said_clearly() -> None:
    taken = bind("127.0.0.1", 0)
    try:
        with pytest.raises(Exception, match="is in use") as refused:
            bind("127.0.0.1", taken.getsockname()[1])
        assert refused.value.code == "port_in_use"
        assert "MONJOLO_PORT" in refused.value.detail
    finally:
        taken.close()
    for host in ("203.0.113.7", "no.such.host.invalid"):
        with pytest.raises(Exception, match="MONJOLO_HOST"):
            bind(host, 0)
