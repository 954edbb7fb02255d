"""Events: what happened in the platform, or was told to it, starts the flows that wait for it, once each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from monjolo.domains.runs import waits
from monjolo.domains.runs.evaluation import event_names
from monjolo.domains.runs.models import NewRun
from monjolo.domains.runs.writing import SOURCE
from monjolo.domains.triggers import repository
from monjolo.domains.triggers.models import SECONDS_REMEMBERED, InternalEvent, Runs, Trigger
from monjolo.domains.triggers.wishes import Declined, Wishes
from monjolo.kit.errors import MonjoloError
from monjolo.kit.ids import new_id
from monjolo.kit.time import SECOND, Clock
from monjolo.storage.port import Connection, Database

_log = structlog.get_logger("monjolo.triggers")
DEEPEST = 16  # events that follow from one another; a flow that starts itself by its own event ends here


@dataclass(slots=True)
class _Decided:
    event: InternalEvent
    runs: list[Any] = field(default_factory=list)


class EventService:
    def __init__(self, database: Database, runs: Runs, wishes: Wishes, clock: Clock, *, batch: int = 200) -> None:
        self._database = database
        self._runs = runs
        self._wishes = wishes
        self._clock = clock
        self._batch = batch
        self.told: Callable[[], None] = lambda: None  # after each event that was stored

    async def post(
        self, workspace_id: str, type_: str, data: Mapping[str, Any], *, id_: str | None, actor: str
    ) -> tuple[str, bool]:
        """Store an event; answers its id, and whether the same `id_` was told within the last 24 hours."""
        now = self._clock.now()
        event = InternalEvent(new_id(), workspace_id, type_, dict(data), f"api:{actor}", now)

        def work(connection: Connection) -> str | None:
            if id_ is not None:
                expires = now + SECONDS_REMEMBERED * SECOND
                earlier = repository.claim_delivery(connection, workspace_id, "event", id_, event.id, now, expires)
                if earlier is not None:
                    return earlier
            repository.insert_event(connection, event)
            waits.tell(connection, workspace_id, event.id, event.type, event.at)
            return None

        earlier = await self._database.write(work)
        self.told()
        return (event.id, False) if earlier is None else (earlier, True)

    async def dispatch_events(self, now: int) -> int:
        """Start what open events ask for; answers how many were dealt with. More may wait: call it again."""
        events = await self._database.read(lambda c: repository.list_open_events(c, self._batch))
        if not events:
            return 0
        decided = [await self._decide(event) for event in events]
        made = await self._database.write(lambda c: self._write(c, decided, now))
        self._runs.committed(made)
        return len(events)

    async def _decide(self, event: InternalEvent) -> _Decided:
        decided = _Decided(event)
        if _depth(event) >= DEEPEST:
            _log.warning("event_chain_stopped", event_type=event.type, event_id=event.id, depth=_depth(event))
            return decided
        triggers = await self._database.read(lambda c: repository.list_for_event(c, event.workspace_id, [event.type]))
        wishes = [wish for trigger in triggers if (wish := await self._wish(trigger, event)) is not None]
        decided.runs = await self._prepared(event.workspace_id, wishes)
        return decided

    async def _wish(self, trigger: Trigger, event: InternalEvent) -> NewRun | None:
        facts = {"type": "event", "id": trigger.name, "event": event.type, "event_id": event.id}
        try:
            wish = await self._wishes.of(trigger, facts, event_names(_as_told(event)))
        except MonjoloError as error:
            wish = Declined(error.code, error.detail)
        if not isinstance(wish, Declined):
            return wish
        if wish.reason != "when":
            _log.warning(
                "event_declined", trigger=trigger.name, flow_id=trigger.flow_id, event_id=event.id,
                reason=wish.reason, detail=wish.detail,
            )  # fmt: skip
        return None

    async def _prepared(self, workspace_id: str, wishes: Sequence[NewRun]) -> list[Any]:
        """One that cannot be made (inputs that do not fit, a flow just paused) must not stop the others."""
        prepared: list[Any] = []
        for wish in wishes:
            try:
                prepared += await self._runs.prepare(workspace_id, [wish])
            except MonjoloError as error:
                _log.warning("event_declined", flow_id=wish.flow_id, reason=error.code, detail=error.detail)
        return prepared

    def _write(self, connection: Connection, decided: Sequence[_Decided], now: int) -> list[Any]:
        made: list[Any] = []
        for each in decided:
            if repository.close_event(connection, each.event.id, now):
                for run in each.runs:
                    self._runs.insert(connection, [run])
                made += each.runs
        return made


def _depth(event: InternalEvent) -> int:
    depth = event.data.get("depth", 0) if event.source == SOURCE else 0
    return depth if isinstance(depth, int) else 0


def _as_told(event: InternalEvent) -> dict[str, Any]:
    return waits.event_of(event.id, event.type, event.source, event.at, event.data)
