"""The numbers people call runs by: they grow within a flow, gaps allowed."""

from __future__ import annotations

from collections.abc import Iterable

from monjolo.domains.runs import repository
from monjolo.storage.port import Database


class Numbers:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._next: dict[str, int] = {}

    async def learn(self, flow_id: str) -> None:
        """Must come before `take`: finds where the flow's numbers stand."""
        await self.learn_many([flow_id])

    async def learn_many(self, flow_ids: Iterable[str]) -> None:
        unknown = [flow_id for flow_id in dict.fromkeys(flow_ids) if flow_id not in self._next]
        if unknown:
            found = await self._database.read(lambda c: [repository.next_number(c, flow_id) for flow_id in unknown])
            for flow_id, number in zip(unknown, found, strict=True):
                self._next.setdefault(flow_id, number)

    def take(self, flow_id: str) -> int:
        number = self._next[flow_id]
        self._next[flow_id] = number + 1
        return number
