"""Which events anybody waits for: one that nobody hears need not be written."""

from __future__ import annotations

import asyncio

from monjolo.domains.triggers import repository
from monjolo.storage.port import Database


class EventListeners:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: frozenset[tuple[str, str]] | None = None
        self.stale = asyncio.Event()
        self.stale.set()

    async def load(self) -> None:
        self.stale.clear()
        self._known = await self._database.read(repository.listened_events)

    def forget(self) -> None:
        """Triggers and versions may have changed: until they are read again, every event counts as wanted."""
        self._known = None
        self.stale.set()

    def wants(self, workspace_id: str, event: str) -> bool:
        return self._known is None or (workspace_id, event) in self._known
