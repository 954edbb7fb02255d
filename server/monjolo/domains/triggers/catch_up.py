"""Catching up: ticks that made no run are run on demand, once each, however often it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monjolo.domains.audit.repository import record
from monjolo.domains.flows import repository as flows_repository
from monjolo.domains.triggers import repository
from monjolo.domains.triggers.instants import runs_of_instants
from monjolo.domains.triggers.models import Runs, TickRow, Trigger
from monjolo.domains.triggers.timetable import TIMED
from monjolo.domains.triggers.wishes import Declined, Wishes
from monjolo.kit.errors import Conflict, InvalidInput, Problem
from monjolo.kit.time import Clock, to_rfc3339
from monjolo.storage.port import Connection, Database

AT_ONCE = 100  # ticks of one transaction


@dataclass(frozen=True, slots=True)
class Asked:
    """Which ticks: those that are named (trigger, instant), or those of a span that have such a status."""

    limit: int
    named: Sequence[tuple[str, int]] = ()
    trigger: str | None = None
    low: int | None = None
    high: int | None = None
    statuses: Sequence[str] = ()
    after: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """A tick as it is now; `new` when this call made its run."""

    tick: TickRow
    trigger: str
    new: bool


class CatchUpService:
    def __init__(self, database: Database, runs: Runs, wishes: Wishes, clock: Clock) -> None:
        self._database = database
        self._runs = runs
        self._wishes = wishes
        self._clock = clock

    async def catch_up(
        self, workspace_id: str, slug: str, asked: Asked, *, actor: str
    ) -> tuple[list[CaughtUp], tuple[int, str] | None]:
        """The ticks that were dealt with, the oldest first, and where to go on when there are more.

        Raises NotFound, Conflict for a paused flow, InvalidInput for a trigger or a tick that is not there.
        """

        def find(connection: Connection) -> tuple[dict[str, Trigger], list[TickRow]]:
            head = flows_repository.get(connection, workspace_id, slug)
            if head.state == "paused":
                raise Conflict("The flow is paused; resume it first.", code="flow_paused")
            triggers = {t.name: t for t in repository.list_of_flow(connection, head.id) if t.type in TIMED}
            return {t.id: t for t in triggers.values()}, _ticks(connection, triggers, asked)

        triggers, ticks = await self._database.read(find)
        following = (
            (ticks[asked.limit - 1].instant, ticks[asked.limit - 1].trigger_id) if len(ticks) > asked.limit else None
        )
        ticks = ticks[: asked.limit]
        done: list[CaughtUp] = []
        for start in range(0, len(ticks), AT_ONCE):
            part = [(triggers[tick.trigger_id], tick) for tick in ticks[start : start + AT_ONCE]]
            # Who leaves now must not leave runs behind whose tasks nobody sends.
            done += await asyncio.shield(asyncio.create_task(self._run(workspace_id, slug, part, actor)))
        return done, following

    async def _run(
        self, workspace_id: str, slug: str, part: Sequence[tuple[Trigger, TickRow]], actor: str
    ) -> list[CaughtUp]:
        todo = [(trigger, tick.instant) for trigger, tick in part if tick.run_id is None]
        made = await runs_of_instants(self._runs, self._wishes, todo, actor, {}) if todo else []
        decided = dict(zip(((trigger.id, instant) for trigger, instant in todo), made, strict=True))
        now = self._clock.now()

        def work(connection: Connection) -> list[Any]:
            stored = []
            for (trigger_id, instant), what in decided.items():
                declined = isinstance(what, Declined)
                status, reason = ("skipped", what.reason) if declined else ("ran", "caught_up")
                row = (status, None if declined else what.id, reason, now)
                if repository.catch_up_tick(connection, trigger_id, instant, row) and not declined:
                    self._runs.insert(connection, [what])
                    stored.append(what)
            if stored:
                instants = [tick.instant for _, tick in part]
                detail = {"runs": len(stored), "from": to_rfc3339(instants[0]), "to": to_rfc3339(instants[-1])}
                record(connection, workspace_id=workspace_id, actor=actor, action="ticks.caught_up",
                       object=f"flow:{slug}", detail=detail, at=now)  # fmt: skip
            return stored

        stored = await self._database.write(work)
        self._runs.committed(stored)
        new = {run.id for run in stored}
        names = {trigger.id: trigger.name for trigger, _ in part}
        keys = [(tick.trigger_id, tick.instant) for _, tick in part]
        rows = await self._database.read(lambda c: [repository.find_tick(c, *key) for key in keys])
        return [CaughtUp(row, names[row.trigger_id], row.run_id in new) for row in rows if row is not None]


def _ticks(connection: Connection, triggers: dict[str, Trigger], asked: Asked) -> list[TickRow]:
    if not asked.named:
        names = triggers if asked.trigger is None else [asked.trigger]
        chosen = [_trigger(triggers, name, "trigger").id for name in names]
        return repository.list_runless_ticks(
            connection, chosen, low=asked.low, high=asked.high, statuses=asked.statuses, after=asked.after,
            limit=asked.limit + 1,
        )  # fmt: skip
    found: dict[tuple[int, str], TickRow] = {}
    for place, (name, instant) in enumerate(asked.named):
        tick = repository.find_tick(connection, _trigger(triggers, name, f"ticks[{place}].trigger").id, instant)
        if tick is None:
            detail = f"{name!r} has no tick at {to_rfc3339(instant)}; GET /flows/…/ticks lists them."
            problem = Problem(f"ticks[{place}]", "unknown_tick", detail)
            raise InvalidInput(detail, code="unknown_tick", errors=[problem])
        found[tick.instant, tick.trigger_id] = tick
    return [found[key] for key in sorted(found)]


def _trigger(triggers: dict[str, Trigger], name: str, place: str) -> Trigger:
    trigger = triggers.get(name)
    if trigger is None:
        detail = f"The flow has no schedule or interval {name!r}; it has {', '.join(triggers) or 'none'}."
        raise InvalidInput(detail, code="unknown_trigger", errors=[Problem(place, "unknown_trigger", detail)])
    return trigger
