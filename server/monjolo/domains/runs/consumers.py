"""The orchestrator's ears: reports, heartbeats, logs, timers and inboxes become facts for the gate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from monjolo.broker.port import OrchestratorBroker
from monjolo.domains.runs import codec, repository
from monjolo.domains.runs.advance import Advance, Fact
from monjolo.domains.runs.dispatch import Dispatcher, TaskName
from monjolo.domains.runs.leases import JUDGE_EVERY, Leases
from monjolo.domains.runs.logs import LogStore
from monjolo.domains.runs.workers import WorkersBook
from monjolo.engine import events as facts
from monjolo.engine.types import Error
from monjolo.kit.errors import MonjoloError
from monjolo.kit.time import SECOND, Clock
from monjolo.storage.port import Database
from monjolo_sdk import wire

log = structlog.get_logger()
TIMERS_AT_ONCE = 500
INBOX_AT_ONCE = 1_000


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
    ) -> None:
        self._database = database
        self._advance = advance
        self._dispatcher = dispatcher
        self._leases = leases
        self._logs = logs
        self._workers = workers
        self._broker = broker
        self._clock = clock

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
            group.create_task(self._judge_leases())

    # --- what workers say -----------------------------------------------------------------------------------

    async def _hear_reports(self) -> None:
        while True:
            reports, receipt = await self._broker.next_reports()
            try:
                happened = [fact for report in reports if (fact := self._fact(report)) is not None]
                if happened:
                    await self._advance.submit(happened)
                receipt.done()
            except BaseException as error:
                receipt.failed(error)
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
        while True:
            beats = await self._broker.next_heartbeats()
            now = self._clock.now()
            for beat in beats:
                self._leases.renew(beat.held, now)
            await self._workers.beat(beats, now)

    async def _hear_logs(self) -> None:
        while True:
            batches, receipt = await self._broker.next_logs()
            try:
                await self._logs.store(batches)
                receipt.done()
            except MonjoloError as error:
                log.error("log lines cannot be stored", code=error.code, detail=error.detail)
                receipt.failed(error)
            except BaseException as error:
                receipt.failed(error)
                raise

    # --- what the database says -----------------------------------------------------------------------------

    async def _read_inbox(self) -> None:
        while True:
            await self._advance.inbox_has_news.wait()
            self._advance.inbox_has_news.clear()
            while rows := await self._database.read(lambda c: repository.list_inbox(c, INBOX_AT_ONCE)):
                happened = [
                    Fact(row["run_id"], codec.event_from_text(row["event"]), inbox_id=row["id"]) for row in rows
                ]
                await self._advance.submit(happened)

    async def _watch_timers(self) -> None:
        advance = self._advance
        advance.next_timer = await self._database.read(repository.next_timer)
        while True:
            now = self._clock.now()
            if advance.next_timer is not None and advance.next_timer <= now:
                rows = await self._database.read(lambda c, t=now: repository.due_timers(c, t, TIMERS_AT_ONCE))  # type: ignore[misc]
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
                advance.next_timer = await self._database.read(repository.next_timer)
                continue
            pause = None if advance.next_timer is None else min(60.0, (advance.next_timer - now) / SECOND)
            advance.timer_was_set.clear()
            try:
                await asyncio.wait_for(advance.timer_was_set.wait(), pause)
            except TimeoutError:
                continue

    # --- repair ---------------------------------------------------------------------------------------------

    async def _judge_leases(self) -> None:
        """Looks only while something is held, and only with all heartbeats heard."""
        while True:
            await asyncio.sleep(JUDGE_EVERY / SECOND)
            now = self._clock.now()
            lost = self._leases.expired(now)
            if lost:
                self._leases.end(lost)
                log.warning("workers went silent; their steps are taken over", steps=len(lost))
                await self._advance.submit([_lease_expired(name, now) for name in lost])

    async def recover(self) -> None:
        """After a start, when no worker of before can be alive: what was out there is settled or sent again."""
        rows = await self._database.read(repository.outstanding_tasks)
        now = self._clock.now()
        happened = [
            _lease_expired((row["run_id"], row["key"], row["token"]), now)
            if row["state"] == "started"
            else Fact(row["run_id"], facts.TaskRedelivered(now, row["key"], row["token"]))
            for row in rows
        ]
        if happened:
            log.info("taking up what was running before the restart", steps=len(happened))
            self._advance.post(happened)
        self._advance.inbox_has_news.set()
        self._dispatcher.has_backlog()


def _lease_expired(name: TaskName, now: int) -> Fact:
    run_id, key, token = name
    return Fact(run_id, facts.LeaseExpired(now, key, token))


def refusals(refused: Sequence[tuple[TaskName, MonjoloError]], now: int) -> list[Fact]:
    """Tasks that could not be sealed: a secret or connection they name is not there."""
    return [
        Fact(run_id, facts.TaskRefused(now, key, token, Error("NotDispatchable", error.detail, step=key)))
        for (run_id, key, token), error in refused
    ]
