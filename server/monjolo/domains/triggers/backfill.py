"""Backfills: runs for every instant of a schedule in a span of the past, so many at a time, through restarts.

Where a backfill stands, the ticks, the runs and which of them are live are written in one transaction: whoever
goes on after a `kill -9` finds each instant either dealt with or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from monjolo.domains.audit.repository import record
from monjolo.domains.flows import repository as flows_repository
from monjolo.domains.flows.models import FlowHead
from monjolo.domains.runs.changes import Changes
from monjolo.domains.triggers import repository
from monjolo.domains.triggers.instants import runs_of_instants
from monjolo.domains.triggers.models import SECONDS_REMEMBERED, Backfill, Flows, Runs, TickRow, Trigger
from monjolo.domains.triggers.timetable import TIMED, Timetable, timetable
from monjolo.domains.triggers.wishes import Declined, Wishes
from monjolo.engine.schedule import ascending, descending
from monjolo.engine.transitions import RUN_ENDED
from monjolo.kit.errors import Conflict, InvalidInput, NotFound
from monjolo.kit.ids import new_id
from monjolo.kit.time import SECOND, Clock, to_rfc3339
from monjolo.storage.port import Connection, Database

_log = structlog.get_logger("monjolo.triggers")
CHUNK = 100  # instants of one transaction, or of one moment in which nobody else gets on
MOST_INSTANTS = 200_000
MOST_OPEN = 20
_FAILED = frozenset({"failed", "timed_out", "crashed"})


@dataclass(frozen=True, slots=True)
class Asked:
    low: int
    high: int
    trigger: str | None = None
    reprocess: str = "none"
    direction: str = "asc"
    max_active: int = 10
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a backfill would do. `runs`: instants that would get a run."""

    trigger: str
    instants: int
    runs: int
    first: int | None
    last: int | None


@dataclass(slots=True)
class _Part:
    """The next instants of a backfill: those to run, with the run that each has now, and where it stands after them."""

    wanted: list[tuple[int, str | None]]
    passed: int
    place: int
    done: bool


class BackfillService:
    def __init__(self, database: Database, runs: Runs, flows: Flows, wishes: Wishes, clock: Clock) -> None:
        self._database = database
        self._runs = runs
        self._flows = flows
        self._wishes = wishes
        self._clock = clock
        self._tables: dict[str, Timetable] = {}
        self._live: set[str] = set()
        self.moved: Callable[[], None] = lambda: None  # after a start, a cancel, and the end of one of its runs

    # --- asking ---------------------------------------------------------------------------------------------

    async def plan(self, workspace_id: str, slug: str, asked: Asked) -> Plan:
        """Raises NotFound, InvalidInput for a span or a trigger that cannot be."""
        _, trigger = await self._database.read(lambda c: self._find(c, workspace_id, slug, asked))
        return await self._counted(trigger, asked, look_at_runs=True)

    async def start(self, workspace_id: str, slug: str, asked: Asked, *, actor: str) -> Backfill:
        """Durable when it returns. The same idempotency key gives the same backfill for a day."""
        head, trigger = await self._database.read(lambda c: self._find(c, workspace_id, slug, asked))
        plan = await self._counted(trigger, asked, look_at_runs=False)
        now = self._clock.now()
        backfill = Backfill(
            id=new_id(), workspace_id=workspace_id, flow_id=head.id, trigger_id=trigger.id, trigger_name=trigger.name,
            config=trigger.config, since=trigger.since, low=asked.low, high=asked.high,
            place=asked.low if asked.direction == "asc" else asked.high, reprocess=asked.reprocess,
            direction=asked.direction, max_active=asked.max_active, instants=plan.instants, actor=actor, created_at=now,
        )  # fmt: skip

        def work(connection: Connection) -> str:
            if asked.idempotency_key is not None:
                earlier = repository.claim_delivery(
                    connection, workspace_id, f"backfill:{head.id}", asked.idempotency_key, backfill.id, now,
                    now + SECONDS_REMEMBERED * SECOND,
                )  # fmt: skip
                if earlier is not None:
                    return earlier
            unfinished = [each for each in repository.list_open_backfills(connection) if each.finished_at is None]
            if len(unfinished) >= MOST_OPEN:
                detail = f"{MOST_OPEN} backfills are not finished yet: wait for one of them, or cancel one."
                raise Conflict(detail, code="too_many_backfills")
            repository.insert_backfill(connection, backfill)
            self._record(connection, backfill, slug, "backfill.started", actor, now)
            return backfill.id

        stored = await self._database.write(work)
        self.moved()
        return await self.get(workspace_id, slug, stored)

    async def get(self, workspace_id: str, slug: str, backfill_id: str) -> Backfill:
        def read(connection: Connection) -> Backfill:
            return _get(connection, flows_repository.get(connection, workspace_id, slug), backfill_id)

        return await self._database.read(read)

    async def backfills(self, workspace_id: str, slug: str, before: str | None, limit: int) -> list[Backfill]:
        """The newest first."""

        def read(connection: Connection) -> list[Backfill]:
            head = flows_repository.get(connection, workspace_id, slug)
            return repository.list_backfills(connection, head.id, before, limit)

        return await self._database.read(read)

    async def cancel(self, workspace_id: str, slug: str, backfill_id: str, *, actor: str) -> Backfill:
        """It starts no further run; those that it started go on. One that is finished stays as it is."""
        now = self._clock.now()

        def work(connection: Connection) -> None:
            head = flows_repository.get(connection, workspace_id, slug)
            backfill = _get(connection, head, backfill_id)
            if backfill.finished_at is None:
                ended = replace(backfill, state="cancelled", reason="asked", finished_at=now)
                repository.move_backfill(connection, ended)
                self._record(connection, ended, slug, "backfill.cancelled", actor, now)

        await self._database.write(work)
        self.moved()
        return await self.get(workspace_id, slug, backfill_id)

    def _find(self, connection: Connection, workspace_id: str, slug: str, asked: Asked) -> tuple[FlowHead, Trigger]:
        head = flows_repository.get(connection, workspace_id, slug)
        if asked.high > self._clock.now():
            detail = "`to` lies in the future: a backfill is about the past, what is to come the schedule does itself."
            raise InvalidInput(detail, code="not_past")
        if asked.low >= asked.high:
            raise InvalidInput("`from` must come before `to`.", code="bad_span")
        timed = {t.name: t for t in repository.list_of_flow(connection, head.id) if t.type in TIMED}
        names = ", ".join(timed) or "none"
        if asked.trigger is None and len(timed) > 1:
            raise InvalidInput(f"Name one `trigger`; the flow has {names}.", code="which_trigger")
        trigger = next(iter(timed.values()), None) if asked.trigger is None else timed.get(asked.trigger)
        if trigger is None:
            detail = f"The flow has no such schedule or interval; it has {names}."
            raise InvalidInput(detail, code="unknown_trigger")
        return head, trigger

    async def _counted(self, trigger: Trigger, asked: Asked, *, look_at_runs: bool) -> Plan:
        """Walks the whole span in small pieces, so that others get on meanwhile."""
        try:
            table = timetable(trigger.id, trigger.config, trigger.since)
        except ValueError as error:
            raise InvalidInput(str(error), code="bad_schedule") from error
        count = runs = 0
        first = last = None
        low = asked.low
        while instants := ascending(table.following, low, asked.high, CHUNK):
            if look_at_runs:
                part = await self._part(trigger.id, instants, asked.reprocess, "asc", CHUNK)
                runs += len(part.wanted)
            count += len(instants)
            if count > MOST_INSTANTS:
                detail = f"There are more than {MOST_INSTANTS} instants in this span: take a shorter one."
                raise InvalidInput(detail, code="too_many_instants")
            first = instants[0] if first is None else first
            last = instants[-1]
            low = last + 1
            await asyncio.sleep(0)
        return Plan(trigger.name, count, runs, first, last)

    def _record(self, connection: Connection, backfill: Backfill, slug: str, action: str, actor: str, now: int) -> None:
        detail = {
            "backfill": backfill.id,
            "trigger": backfill.trigger_name,
            "from": to_rfc3339(backfill.low),
            "to": to_rfc3339(backfill.high),
            "reprocess": backfill.reprocess,
            "started": backfill.started,
        }
        record(connection, workspace_id=backfill.workspace_id, actor=actor, action=action, object=f"flow:{slug}",
               detail=detail, at=now)  # fmt: skip

    # --- going on -------------------------------------------------------------------------------------------

    def run_changed(self, changes: Changes) -> None:
        """One of our runs has ended: there is room for another."""
        if changes.ended and changes.entry.state.run_id in self._live:
            self.moved()

    async def go_on(self) -> bool:
        """Some steps of every open backfill, until none gets on; answers whether any is open."""
        got_on = True
        while got_on:
            backfills = await self._database.read(repository.list_open_backfills)
            self._tables = {each.id: self._tables[each.id] for each in backfills if each.id in self._tables}
            got_on = False
            live: set[str] = set()
            for backfill in backfills:
                moved, of_it = await self._step(backfill)
                got_on = got_on or moved
                live |= of_it
            self._live = live
        return bool(backfills)

    async def _step(self, backfill: Backfill) -> tuple[bool, set[str]]:
        """Settles runs that have ended and starts some; (whether that changed anything, the runs that are live)."""
        statuses = await self._database.read(lambda c: repository.runs_of_backfill(c, backfill.id))
        ended = {run_id: status for run_id, status in statuses.items() if status is None or status in RUN_ENDED}
        live = statuses.keys() - ended.keys()
        moved = replace(
            backfill,
            succeeded=backfill.succeeded + sum(status == "succeeded" for status in ended.values()),
            failed=backfill.failed + sum(status not in ("succeeded", None) for status in ended.values()),
        )
        part: _Part | None = None
        if backfill.finished_at is None:
            state = await self._state_of(backfill)
            if state is not None:
                moved = replace(moved, state="cancelled", reason=state, finished_at=self._clock.now())
            elif (room := min(backfill.max_active - len(live), CHUNK)) > 0:
                part = await self._next_part(backfill, room)
        if part is not None and part.done and not live:
            moved = replace(moved, state="done", finished_at=self._clock.now())
        if not ended and moved == backfill and (part is None or part.done):
            return False, set(live)
        try:
            begun = await self._store(backfill, moved, part, list(ended))
        except Conflict:  # paused at this very moment: it goes on when the flow is resumed
            return False, set(live)
        return begun is not None, live | (begun or set())

    async def _state_of(self, backfill: Backfill) -> str | None:
        """Why it cannot go on for good; None when it can."""
        try:
            await self._flows.compiled(backfill.flow_id)
        except NotFound:
            return "flow_gone"
        if await self._database.read(lambda c: repository.find_trigger(c, backfill.trigger_id)) is None:
            return "trigger_gone"
        if backfill.id not in self._tables:
            try:
                self._tables[backfill.id] = timetable(backfill.trigger_id, backfill.config, backfill.since)
            except ValueError as error:  # an IANA zone that is gone
                _log.error("backfill_not_understood", backfill=backfill.id, why=str(error))
                return "trigger_not_understood"
        return None

    async def _next_part(self, backfill: Backfill, room: int) -> _Part | None:
        if (await self._flows.compiled(backfill.flow_id)).state == "paused":
            return None
        take = ascending if backfill.direction == "asc" else descending
        instants = take(self._tables[backfill.id].following, *backfill.left, CHUNK)
        if not instants:
            return _Part([], 0, backfill.place, done=True)
        return await self._part(backfill.trigger_id, instants, backfill.reprocess, backfill.direction, room)

    async def _part(self, trigger_id: str, instants: Sequence[int], reprocess: str, direction: str, room: int) -> _Part:
        low, high = min(instants), max(instants)
        known = await self._database.read(lambda c: repository.runs_of_ticks(c, trigger_id, low, high))
        part = _Part([], 0, 0, done=False)
        for instant in instants:
            run_id, status = known.get(instant, (None, None))
            if run_id is None or reprocess == "all" or (reprocess == "failed" and status in _FAILED):
                if len(part.wanted) == room:
                    break
                part.wanted.append((instant, run_id))
            else:
                part.passed += 1
            part.place = instant + 1 if direction == "asc" else instant
        return part

    async def _store(
        self, backfill: Backfill, moved: Backfill, part: _Part | None, ended: list[str]
    ) -> set[str] | None:
        """The runs that were begun; None when another has moved the backfill. Raises Conflict when paused."""
        wanted = part.wanted if part is not None else []
        made: list[Any] = []
        if wanted:
            trigger = Trigger(
                id=backfill.trigger_id, workspace_id=backfill.workspace_id, flow_id=backfill.flow_id,
                name=backfill.trigger_name, type=backfill.config["type"], config=backfill.config, enabled=True,
                path=None, event=None, next_at=None, instant=None, since=backfill.since,
            )  # fmt: skip
            asked = [(trigger, instant) for instant, _ in wanted]
            labels = {"backfill": backfill.id}
            made = await runs_of_instants(self._runs, self._wishes, asked, backfill.actor, labels)

        def work(connection: Connection) -> list[Any] | None:
            begun, declined, passed = self._write(connection, backfill, wanted, made)
            after = moved if part is None else replace(
                moved, place=part.place, passed=moved.passed + part.passed + passed, started=moved.started + len(begun),
                declined=moved.declined + declined,
            )  # fmt: skip
            if not repository.move_backfill(connection, after):
                raise _Overtaken
            repository.put_backfill_runs(connection, backfill.id, [run.id for run in begun], ended)
            return begun

        try:
            begun = await self._database.write(work)
        except _Overtaken:
            return None
        if begun:
            self._runs.committed(begun)
        return {run.id for run in begun or ()}

    def _write(
        self, connection: Connection, backfill: Backfill, wanted: Sequence[tuple[int, str | None]], made: Sequence[Any]
    ) -> tuple[list[Any], int, int]:
        """(runs begun, instants declined, instants that others gave a run meanwhile)."""
        if not wanted:
            return [], 0, 0
        instants = [instant for instant, _ in wanted]
        known = repository.runs_of_ticks(connection, backfill.trigger_id, min(instants), max(instants))
        begun: list[Any] = []
        declined = passed = 0
        for (instant, seen), what in zip(wanted, made, strict=True):
            run_id, _ = known.get(instant, (None, None))
            if run_id != seen:
                passed += 1
                continue
            refused = isinstance(what, Declined)
            if refused:
                declined += 1
            else:
                self._runs.insert(connection, [what])
                begun.append(what)
            if not refused or run_id is None:
                status, reason = ("skipped", what.reason) if refused else ("ran", "backfill")
                repository.put_tick(connection, TickRow(
                    trigger_id=backfill.trigger_id, instant=instant, flow_id=backfill.flow_id, status=status, late=True,
                    run_id=None if refused else what.id, reason=reason, decided_at=self._clock.now(),
                ))  # fmt: skip
        return begun, declined, passed


class _Overtaken(Exception):
    """Another has moved the backfill, or cancelled it: nothing of this step is stored."""


def _get(connection: Connection, head: FlowHead, backfill_id: str) -> Backfill:
    backfill = repository.find_backfill(connection, head.id, backfill_id)
    if backfill is None:
        raise NotFound("The flow has no such backfill.", code="backfill_not_found")
    return backfill
