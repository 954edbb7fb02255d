"""What drives schedules, backfills and events: it sleeps until something is due and wakes when a flow has changed."""

from __future__ import annotations

import asyncio

import structlog

from monjolo.domains.triggers.backfill import BackfillService
from monjolo.domains.triggers.events import EventService
from monjolo.domains.triggers.schedule import ScheduleService
from monjolo.kit.errors import MonjoloError
from monjolo.kit.time import SECOND, Clock

log = structlog.get_logger()
_AFTER_TROUBLE = 5.0  # seconds
_BACKFILL_LOOK = 5.0  # seconds: a run that ended unheard, by force or before a restart, is noticed within this time
_LONGEST_SLEEP = 60.0  # seconds: a clock that was set back or ahead is noticed within this time


class Clockwork:
    def __init__(
        self, schedules: ScheduleService, backfills: BackfillService, events: EventService, clock: Clock
    ) -> None:
        self._schedules = schedules
        self._backfills = backfills
        self._events = events
        self._clock = clock
        self._moved = asyncio.Event()
        self._told = asyncio.Event()
        self._backfill_moved = asyncio.Event()

    def schedules_moved(self) -> None:
        """A flow was published, paused or resumed."""
        self._moved.set()
        self._backfill_moved.set()

    def backfill_moved(self) -> None:
        """One was asked for or cancelled, or a run of one has ended."""
        self._backfill_moved.set()

    def event_told(self) -> None:
        """A row was added to the events."""
        self._told.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._fire())
            group.create_task(self._dispatch())
            group.create_task(self._backfill())

    async def _fire(self) -> None:
        while True:
            self._moved.clear()
            try:
                wake = await self._schedules.fire_due(self._clock.now())
            except MonjoloError as error:
                log.error("schedules could not be looked at; trying again", code=error.code, detail=error.detail)
                await asyncio.sleep(_AFTER_TROUBLE)
                continue
            pause = None
            if wake is not None:
                pause = min(_LONGEST_SLEEP, max(0.0, (wake - self._clock.now()) / SECOND))
            try:
                await asyncio.wait_for(self._moved.wait(), pause)
            except TimeoutError:
                continue

    async def _backfill(self) -> None:
        while True:
            self._backfill_moved.clear()
            try:
                pause = _BACKFILL_LOOK if await self._backfills.go_on() else None
            except MonjoloError as error:
                log.error("backfills could not go on; trying again", code=error.code, detail=error.detail)
                await asyncio.sleep(_AFTER_TROUBLE)
                continue
            try:
                await asyncio.wait_for(self._backfill_moved.wait(), pause)
            except TimeoutError:
                continue

    async def _dispatch(self) -> None:
        self._told.set()  # events may have been left by an earlier process
        while True:
            await self._told.wait()
            self._told.clear()
            try:
                while await self._events.dispatch_events(self._clock.now()):
                    pass
            except MonjoloError as error:
                log.error("events could not be dispatched; trying again", code=error.code, detail=error.detail)
                await asyncio.sleep(_AFTER_TROUBLE)
                self._told.set()
