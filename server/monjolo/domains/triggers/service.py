"""What people ask about a flow's triggers: which there are, when they come next, what became of each instant."""

from __future__ import annotations

from dataclasses import dataclass

from monjolo.domains.flows import repository as flows_repository
from monjolo.domains.triggers import repository
from monjolo.domains.triggers.models import TickRow, Trigger
from monjolo.domains.triggers.timetable import Timetables
from monjolo.kit.time import Clock
from monjolo.storage.port import Connection, Database


@dataclass(frozen=True, slots=True)
class Upcoming:
    trigger: str
    instant: int


class TriggersService:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._timetables = Timetables()

    async def triggers(self, workspace_id: str, slug: str) -> list[Trigger]:
        return await self._database.read(lambda c: _of_flow(c, workspace_id, slug))

    async def upcoming(self, workspace_id: str, slug: str, count: int) -> list[Upcoming]:
        """The next nominal instants of all triggers together; none while the flow is paused."""
        found: list[Upcoming] = []
        for trigger in await self.triggers(workspace_id, slug):
            table = self._timetables.of(trigger) if trigger.instant is not None and trigger.enabled else None
            if table is not None:
                instants = table.upcoming(self._clock.now(), count)
                found += [Upcoming(trigger.name, instant) for instant in instants]
        return sorted(found, key=lambda each: (each.instant, each.trigger))[:count]

    async def ticks(
        self, workspace_id: str, slug: str, *, before: tuple[int, str] | None, status: str | None, limit: int
    ) -> list[tuple[TickRow, str]]:
        """Newest first, each with its trigger's name."""

        def query(connection: Connection) -> list[tuple[TickRow, str]]:
            head = flows_repository.get(connection, workspace_id, slug)
            return repository.list_ticks(connection, head.id, before=before, status=status, limit=limit)

        return await self._database.read(query)


def _of_flow(connection: Connection, workspace_id: str, slug: str) -> list[Trigger]:
    return repository.list_of_flow(connection, flows_repository.get(connection, workspace_id, slug).id)
