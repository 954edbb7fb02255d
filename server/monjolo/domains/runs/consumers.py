"""The orchestrator's ears: reports, heartbeats, logs, timers and inboxes become facts for the gate."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import structlog

from monjolo.broker.port import OrchestratorBroker
from monjolo.domains.runs import codec, repository, waits
from monjolo.domains.runs.advance import Advance, Fact
from monjolo.domains.runs.dispatch import Dispatcher, TaskName
from monjolo.domains.runs.leases import Leases
from monjolo.domains.runs.logs import LogStore
from monjolo.domains.runs.repair import Repair
from monjolo.domains.runs.restored import InDoubt
from monjolo.domains.runs.workers import WorkersBook
from monjolo.engine import events as facts
from monjolo.engine.types import Error
from monjolo.kit.errors import MonjoloError, Unavailable
from monjolo.kit.time import SECOND, Clock
from monjolo.storage.port import Connection, Database
from monjolo_sdk import wire

log = structlog.get_logger()
T = TypeVar("T")
TIMERS_AT_ONCE = 500
INBOX_AT_ONCE = 1_000
_TROUBLE_SECONDS = 1.0
_LAST = (wire.Finished, wire.Released, wire.Redelivered)  # after it the worker has nothing of the task in hand


class Consumers:
    def __init__(
        self,
        database: Database,
        advance: Advance,
        dispatcher: Dispatcher,
        leases: Leases,
        logs: LogStore,
        workers: WorkersBook,
        broker: OrchestratorBroker,
        clock: Clock,
        repair: Repair,
    ) -> None:
        self._database = database
        self._advance = advance
        self._dispatcher = dispatcher
        self._leases = leases
        self._logs = logs
        self._workers = workers
        self._broker = broker
        self._clock = clock
        self._repair = repair

    async def run(self) -> None:
        """Everything that listens, until cancelled; one that fails brings all down, loudly."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._advance.run())
            group.create_task(self._dispatcher.run())
            group.create_task(self._hear_reports())
            group.create_task(self._hear_logs())
            group.create_task(self._hear_heartbeats())
            group.create_task(self._read_inbox())
            group.create_task(self._watch_timers())
            group.create_task(self._repair.run())

    # --- what workers say -----------------------------------------------------------------------------------

    async def _hear_reports(self) -> None:
        while True:
            reports, receipt = await self._broker.next_reports()
            try:
                happened = [fact for report in reports if (fact := self._fact(report)) is not None]
                if happened:
                    await self._advance.submit(happened)
                    self._dispatcher.heard_of(
                        (report.run_id, report.key, report.token) for report in reports if isinstance(report, _LAST)
                    )
                receipt.done()
            except BaseException:
                receipt.failed(Unavailable("The platform stops; say it again when it is up.", code="stopping"))
                raise

    def _fact(self, report: wire.Report) -> Fact | None:
        event: facts.Event
        match report:
            case wire.Started(run_id, key, token):
                event = facts.TaskStarted(report.at, key, token)
            case wire.Claim(run_id, key, token, worker):
                event = facts.TaskClaimed(report.at, key, token, worker)
            case wire.Finished(run_id, key, token):
                event = self._finished(report)
            case wire.Released(run_id, key, token):
                event = facts.TaskReleased(report.at, key, token, report.reason == "too_late", report.worker)
            case wire.Redelivered(run_id, key, token):
                event = facts.TaskRedelivered(report.at, key, token)
            case wire.Progress(run_id):
                self._workers.progress(report)
                return None
        return Fact(run_id, event, report)

    def _finished(self, report: wire.Finished) -> facts.TaskFinished:
        error = report.error
        return facts.TaskFinished(
            report.at,
            report.key,
            report.token,
            report.status,
            report.started_at,
            report.output,
            None if error is None else Error(error.type, error.message, error.traceback, report.key, error.details),
            None if error is None else error.retry_after,
            error is None or error.retryable,
        )

    async def _hear_heartbeats(self) -> None:
        """A database that is slow or full must not make workers look silent: leases are renewed at once."""
        async with asyncio.TaskGroup() as writing:
            noted: asyncio.Task[None] | None = None
            while True:
                beats = await self._broker.next_heartbeats()
                now = self._clock.now()
                for beat in beats:
                    self._leases.renew(beat.held, now)
                if noted is None or noted.done():
                    noted = writing.create_task(self._note(beats, now))

    async def _note(self, beats: Sequence[wire.Heartbeat], now: int) -> None:
        try:
            await self._workers.beat(beats, now)
        except MonjoloError as error:
            log.error("heartbeats cannot be stored", code=error.code, detail=error.detail)

    async def _hear_logs(self) -> None:
        while True:
            batches, receipt = await self._broker.next_logs()
            try:
                await self._logs.store(batches)
                receipt.done()
            except MonjoloError as error:
                log.error("log lines cannot be stored", code=error.code, detail=error.detail)
                receipt.failed(error)
            except BaseException:
                receipt.failed(Unavailable("The platform stops; say it again when it is up.", code="stopping"))
                raise

    # --- what the database says -----------------------------------------------------------------------------

    async def _read(self, query: Callable[[Connection], T]) -> T:
        """A database that cannot be read at this moment is asked again."""
        while True:
            try:
                return await self._database.read(query)
            except Unavailable as error:
                log.error("the database cannot be read; trying again", code=error.code, detail=error.detail)
                await asyncio.sleep(_TROUBLE_SECONDS)

    async def _read_inbox(self) -> None:
        while True:
            await self._advance.inbox_has_news.wait()
            self._advance.inbox_has_news.clear()
            while rows := await self._read(lambda c: repository.list_inbox(c, INBOX_AT_ONCE)):
                events = [codec.event_from_text(row["event"]) for row in rows]
                if any(isinstance(event, facts.EventArrived) for event in events):
                    events = await self._read(partial(waits.read, events=events, now=self._clock.now()))
                await self._advance.submit(
                    [Fact(row["run_id"], event, inbox_id=row["id"]) for row, event in zip(rows, events, strict=True)]
                )

    async def _watch_timers(self) -> None:
        advance = self._advance
        while True:
            advance.next_timer = None  # first: what is set while the database is asked must count as well
            advance.timer_was_set.clear()
            advance.timer_is(await self._read(repository.next_timer))
            now = self._clock.now()
            due: int | None = advance.next_timer
            if due is not None and due <= now:
                rows = await self._read(partial(repository.due_timers, now=now, limit=TIMERS_AT_ONCE))
                if not rows:
                    advance.inbox_has_news.set()
                await advance.submit(
                    [
                        Fact(
                            row["run_id"],
                            facts.TimerFired(now, row["key"], row["kind"], row["token"]),
                            timer=(row["run_id"], row["key"], row["kind"], row["token"]),
                        )
                        for row in rows
                    ]
                )
                continue
            pause = None if due is None else min(60.0, (due - now) / SECOND)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(advance.timer_was_set.wait(), pause)


def refusals(refused: Sequence[tuple[TaskName, MonjoloError]], now: int) -> list[Fact]:
    """Tasks that may not leave: a secret they name is not there, or nobody knows whether they ran before."""
    return [
        Fact(run_id, facts.TaskRefused(now, key, token, _refusal(error, key), unknown=isinstance(error, InDoubt)))
        for (run_id, key, token), error in refused
    ]


def _refusal(error: MonjoloError, key: str) -> Error:
    return Error("InDoubt" if isinstance(error, InDoubt) else "NotDispatchable", error.detail, step=key)
