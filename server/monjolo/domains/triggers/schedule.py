"""The schedule: due instants become ticks and runs. Tick, run and next instant are one transaction.

A tick's row is unique by (trigger, instant), and the next instant is set only by who still finds the old one:
so an instant makes at most one run, however many orchestrators look at once and wherever the clock jumps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from monjolo.domains.runs.models import NewRun
from monjolo.domains.triggers import repository
from monjolo.domains.triggers.instants import facts_of, prepare_each
from monjolo.domains.triggers.models import Runs, TickRow, Trigger
from monjolo.domains.triggers.pace import Pace
from monjolo.domains.triggers.timetable import Timetables
from monjolo.domains.triggers.wishes import Declined, Wishes
from monjolo.engine.schedule import LISTED, Due, Tick, TickStatus, due
from monjolo.kit.errors import MonjoloError
from monjolo.kit.time import SECOND
from monjolo.storage.port import Connection, Database

_log = structlog.get_logger("monjolo.triggers")
FRESH = 60 * SECOND  # what is due for longer is caught up, at the configured pace
JUMP_BACK = 60 * SECOND


@dataclass(slots=True)
class _Decided:
    """A trigger, what becomes of its due instants, and the runs that were prepared for some of them."""

    trigger: Trigger
    ticks: list[Tick]
    next_at: int | None
    next_instant: int | None
    runs: dict[int, Any] = field(default_factory=dict)

    @property
    def wanted(self) -> list[int]:
        return [tick.instant for tick in self.ticks if tick.status is TickStatus.RAN]

    def skip(self, instant: int, reason: str) -> None:
        self.ticks = [
            Tick(t.instant, TickStatus.SKIPPED, t.late, reason) if t.instant == instant else t for t in self.ticks
        ]


class ScheduleService:
    def __init__(
        self,
        database: Database,
        runs: Runs,
        wishes: Wishes,
        *,
        batch: int = 500,
        catch_up_per_second: float = 200.0,
    ) -> None:
        self._database = database
        self._runs = runs
        self._wishes = wishes
        self._batch = batch
        self._pace = Pace(catch_up_per_second)
        self._timetables = Timetables()
        self._last_now: int | None = None

    async def fire_due(self, now: int) -> int | None:
        """Start what is due; answers when to come again, None when nothing waits for a time.

        What is due since a moment ago all starts at once. What was missed for longer is released at the
        configured pace, so that a start after an outage does not drown the platform.
        """
        if self._last_now is None or now < self._last_now - JUMP_BACK:
            await self._set_right(now)
        self._last_now = now
        while await self._fire(now, now - FRESH, now, self._batch) == self._batch:
            pass
        while (allowed := self._pace.allowed(now)) >= 1:
            if await self._fire(now, 0, now - FRESH, min(self._batch, allowed), paced=True) == 0:
                break
        wake = await self._database.read(repository.next_wake)
        return self._pace.ready_at(now) if wake is not None and wake <= now else wake

    async def _fire(self, now: int, low: int, high: int, limit: int, *, paced: bool = False) -> int:
        """Deal with at most `limit` triggers to wake in (low, high]; answers how many there were."""
        found = await self._database.read(lambda c: repository.list_due(c, low, high, limit))
        pending = list(found)
        while pending:
            decided = self._decide(pending, now)
            del pending[: len(decided)]
            await self._prepare(decided)
            made = await self._database.write(lambda c, d=decided: self._write(c, d, now))  # type: ignore[misc]
            self._runs.committed(made)
            if paced:
                self._pace.spend(len(made), now)
        return len(found)

    def _decide(self, triggers: Sequence[Trigger], now: int) -> list[_Decided]:
        """As many as make one transaction of bearable size, at least one."""
        decided: list[_Decided] = []
        ticks = 0
        for trigger in triggers:
            table = self._timetables.of(trigger)
            instant = trigger.next_at if trigger.instant is None else trigger.instant
            what = due(table.following, instant or now, now, table.policy, table.jitter) if table else Due((), None)
            upcoming = what.next_instant
            next_at = None if upcoming is None or table is None else table.jitter.fires_at(upcoming)
            decided.append(_Decided(trigger, list(what.ticks), next_at, upcoming))
            ticks += len(what.ticks)
            if ticks >= LISTED:
                break
        return decided

    async def _prepare(self, decided: Sequence[_Decided]) -> None:
        """Decide the runs before the transaction; a trigger whose run cannot be made loses its tick only."""
        await self._wishes.at_hand(each.trigger for each in decided if each.wanted)
        asked: list[tuple[_Decided, int, NewRun]] = []
        for each in decided:
            for instant in each.wanted:
                new = await self._wish(each, instant)
                if new is not None:
                    asked.append((each, instant, new))
        if not asked:
            return
        workspaces = {each.trigger.workspace_id for each, _, _ in asked}
        for workspace_id in workspaces:
            group = [item for item in asked if item[0].trigger.workspace_id == workspace_id]
            await self._prepare_group(workspace_id, group)

    async def _prepare_group(self, workspace_id: str, group: Sequence[tuple[_Decided, int, NewRun]]) -> None:
        prepared = await prepare_each(self._runs, workspace_id, [new for _, _, new in group])
        for (each, instant, _), run in zip(group, prepared, strict=True):
            if isinstance(run, MonjoloError):
                each.skip(instant, run.code)
                _log.warning("tick_skipped", trigger=each.trigger.name, flow_id=each.trigger.flow_id, code=run.code)
            else:
                each.runs[instant] = run

    async def _wish(self, each: _Decided, instant: int) -> NewRun | None:
        trigger = each.trigger
        try:
            wish = await self._wishes.of(trigger, facts_of(trigger, instant))
        except MonjoloError as error:
            wish = Declined(error.code)
        if isinstance(wish, Declined):
            each.skip(instant, wish.reason)
            return None
        return wish

    def _write(self, connection: Connection, decided: Sequence[_Decided], now: int) -> list[Any]:
        """Who moves the next instant makes the ticks and the runs. Answers the runs that were made."""
        rows: list[TickRow] = []
        made: list[Any] = []
        for each in decided:
            trigger = each.trigger
            if not repository.move(connection, trigger, each.next_at, each.next_instant) or not each.ticks:
                continue
            low, high = each.ticks[0].instant, each.ticks[-1].instant
            known = repository.ticked_instants(connection, trigger.id, low, high)
            for tick in each.ticks:
                if tick.instant in known:
                    continue
                run = each.runs.get(tick.instant)
                if run is not None:
                    made.append(run)
                rows.append(_row(trigger, tick, None if run is None else run.id, now))
        self._runs.insert(connection, made)
        repository.insert_ticks(connection, rows)
        return made

    # --- a clock that was set back --------------------------------------------------------------------------

    async def _set_right(self, now: int) -> None:
        """After a start, or a jump back: no trigger may wait for an instant beyond its next one.

        A clock that stood years ahead has moved instants there. Those that had their tick stay as they are.
        """
        after = ""
        while True:
            page = await self._database.read(lambda c, a=after: repository.list_waiting(c, a, self._batch))  # type: ignore[misc]
            moves = [move for trigger in page if (move := self._nearer(trigger, now)) is not None]
            if moves:
                await self._database.write(lambda c, m=moves: [repository.move(c, *each) for each in m])  # type: ignore[misc]
                _log.warning("schedule_set_right", triggers=len(moves))
            if len(page) < self._batch:
                return
            after = page[-1].id

    def _nearer(self, trigger: Trigger, now: int) -> tuple[Trigger, int, int] | None:
        table = self._timetables.of(trigger)
        if table is None or trigger.instant is None or trigger.instant <= now:
            return None
        first = table.following(now)
        if first is None or first >= trigger.instant:
            return None
        return trigger, table.jitter.fires_at(first), first


def _row(trigger: Trigger, tick: Tick, run_id: str | None, now: int) -> TickRow:
    return TickRow(
        trigger_id=trigger.id,
        instant=tick.instant,
        flow_id=trigger.flow_id,
        status=str(tick.status),
        late=tick.late,
        run_id=run_id,
        reason=tick.reason,
        decided_at=now,
    )
