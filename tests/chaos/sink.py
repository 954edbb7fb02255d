"""A small HTTP server outside the platform that counts what steps do: the truth the platform is held to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@dataclass(frozen=True, slots=True)
class Told:
    """One thing an attempt said about itself: `start`, `effect`, `failed` (on purpose) or `beat`."""

    at: float  # seconds since the epoch, by this process's clock
    what: str
    run: str
    step: str
    attempt: int
    key: str  # the idempotency key the attempt was given


class Sink:
    def __init__(self) -> None:
        self.records: list[Told] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def of(self, flow_runs: set[str]) -> list[Told]:
        return [told for told in self.records if told.run in flow_runs]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection: a caller that dies in the middle has said nothing."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            body = json.loads(await reader.readexactly(length))
            self.records.append(
                Told(time.time(), body["what"], body["run"], body["step"], int(body["attempt"]), body["key"])
            )
            writer.write(ANSWER)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()
            await writer.wait_closed()
