"""What was lost on the way is found and done again: leases that ran out, tasks that nobody holds.

It repairs nothing that is merely slow: a task is lost when its row says it left over 30 seconds ago and nobody
here knows of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog

from monjolo.domains.runs import repository
from monjolo.domains.runs.advance import Advance, Fact
from monjolo.domains.runs.dispatch import Dispatcher, TaskName
from monjolo.domains.runs.leases import JUDGE_EVERY, Leases
from monjolo.engine import events as facts
from monjolo.kit.errors import MonjoloError
from monjolo.kit.time import SECOND, Clock
from monjolo.storage.port import Database

log = structlog.get_logger()
SWEEP_EVERY = 30 * SECOND
LOST_AFTER = 30 * SECOND


class Repair:
    def __init__(
        self, database: Database, advance: Advance, dispatcher: Dispatcher, leases: Leases, clock: Clock
    ) -> None:
        self._database = database
        self._advance = advance
        self._dispatcher = dispatcher
        self._leases = leases
        self._clock = clock
        self._suspects: set[TaskName] = set()  # nobody held them at the last look

    async def run(self) -> None:
        """Looks every few seconds, at the database every half minute."""
        looks = 0
        while True:
            await asyncio.sleep(JUDGE_EVERY / SECOND)
            await self.judge_leases()
            looks += 1
            if looks * JUDGE_EVERY >= SWEEP_EVERY or self._suspects:
                looks = 0
                try:
                    await self.sweep()
                except MonjoloError as error:
                    log.error("lost tasks cannot be looked for", code=error.code, detail=error.detail)

    async def judge_leases(self) -> None:
        now = self._clock.now()
        lost = self._leases.expired(now)
        if lost:
            self._leases.end(lost)
            log.warning("workers went silent; their steps are taken over", steps=len(lost))
            await self._advance.submit([_lease_expired(name, now) for name in lost])

    async def sweep(self) -> None:
        """Tasks that left and are in nobody's hands at two looks, and what waits without anybody knowing of it."""
        now = self._clock.now()
        left, leased, ready = await self._database.read(
            lambda c: (repository.left_before(c, now - LOST_AFTER), repository.leased(c), repository.any_ready(c))
        )
        missing = {name for name in left if not self._dispatcher.holds(name)}
        lost, self._suspects = missing & self._suspects, missing - self._suspects
        if lost:
            log.warning("tasks were lost on their way; they are sent again", steps=len(lost))
            await self._advance.submit(_dispatch_lost(sorted(lost), now))
        for name in leased:
            if not self._leases.knows(name):  # one full period to be heard of
                self._leases.grant(name, now)
        if ready:
            self._dispatcher.has_backlog()
        self._advance.inbox_has_news.set()
        self._advance.timer_was_set.set()

    async def recover(self) -> None:
        """After a start, when no worker of before can be alive: what was out there is settled or sent again."""
        rows = await self._database.read(repository.outstanding_tasks)
        now = self._clock.now()
        happened = [_found(row, now) for row in rows]
        if happened:
            log.info("taking up what was running before the restart", steps=len(happened))
            self._advance.post(happened)
        self._advance.inbox_has_news.set()
        self._dispatcher.has_backlog()

    async def put_back(self) -> None:
        """At a stop, with every worker gone: what never began waits in the database, for the next start."""
        out = self._dispatcher.close()
        if out:
            await self._advance.submit(_dispatch_lost(out, self._clock.now()))


def _found(row: Any, now: int) -> Fact:
    """What a restart makes of a task that was out there.

    A lone one says durably that it begins before it does: one that has not said so has not begun, and is no crash.
    """
    name = (row["run_id"], row["key"], row["token"])
    if row["state"] == "started":
        return _lease_expired(name, now)
    if row["alone"]:
        return _dispatch_lost([name], now)[0]
    return Fact(row["run_id"], facts.TaskRedelivered(now, row["key"], row["token"]))


def _lease_expired(name: TaskName, now: int) -> Fact:
    run_id, key, token = name
    return Fact(run_id, facts.LeaseExpired(now, key, token))


def _dispatch_lost(names: Iterable[TaskName], now: int) -> list[Fact]:
    return [Fact(run_id, facts.DispatchLost(now, key, token)) for run_id, key, token in names]
