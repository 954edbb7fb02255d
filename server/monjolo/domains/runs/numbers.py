"""The numbers people call runs by: they grow within a flow, gaps allowed."""

from __future__ import annotations

from monjolo.domains.runs import repository
from monjolo.storage.port import Database


class Numbers:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._next: dict[str, int] = {}

    async def next(self, flow_id: str) -> int:
        number = self._next.get(flow_id)
        if number is None:
            number = await self._database.read(lambda c: repository.next_number(c, flow_id))
            number = max(number, self._next.get(flow_id, 1))
        self._next[flow_id] = number + 1
        return number
