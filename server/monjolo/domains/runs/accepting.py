"""Requests that arrive together are written together: who comes while a write is under way joins the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from monjolo.domains.runs import writing
from monjolo.domains.runs.advance import Advance, write_beginning
from monjolo.domains.runs.changes import Changes
from monjolo.domains.runs.models import PreparedRun
from monjolo.storage.port import Connection, Database


@dataclass(slots=True)
class _Request:
    prepared: Sequence[PreparedRun]
    changed: Sequence[Changes]
    stored: asyncio.Future[None]


class Accepting:
    """For runs without an idempotency key: nothing about one request can undo another's."""

    def __init__(
        self, database: Database, advance: Advance, give_up: Callable[[Sequence[Changes]], None], *, group: str
    ) -> None:
        """`give_up` is told of runs that could not be written."""
        self._database = database
        self._advance = advance
        self._give_up = give_up
        self._group = group
        self._waiting: list[_Request] = []
        self._writer: asyncio.Task[None] | None = None

    async def store(self, prepared: Sequence[PreparedRun], changed: Sequence[Changes]) -> None:
        """Returns after the commit, with the tasks on their way."""
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(prepared, changed, stored))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await stored

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                requests, self._waiting = self._waiting, []
                await self._write_some(requests)
        finally:
            self._writer = None

    async def _write_some(self, requests: Sequence[_Request]) -> None:
        changed = [changes for request in requests for changes in request.changed]
        prepared = [run for request in requests for run in request.prepared]

        def work(connection: Connection) -> bool:
            _, told = writing.write(connection, changed, self._group)
            told = self._advance.put_events(connection, changed) or told
            begun = [write_beginning(connection, run) for run in prepared]
            return told or any(begun)

        try:
            try:
                told = await self._database.write(work)
            except BaseException:
                self._give_up(changed)
                raise
            await self._advance.publish(changed)
        except BaseException as error:
            for request in requests:
                if not request.stored.done():
                    request.stored.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for request in requests:
            if not request.stored.done():
                request.stored.set_result(None)
        if told:
            self._advance.inbox_has_news.set()
