"""The runs domain on a real database, with the broker in memory, a clock that is moved and a scripted worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monjolo.broker.memory import MemoryBroker
from monjolo.bus.memory import MemoryBus
from monjolo.domains.audit.repository import record
from monjolo.domains.flows.service import FlowsService
from monjolo.domains.runs import queries, why
from monjolo.domains.runs.acceptance import Acceptance
from monjolo.domains.runs.advance import Advance
from monjolo.domains.runs.cache import RunCache
from monjolo.domains.runs.consumers import Consumers, refusals
from monjolo.domains.runs.dispatch import Dispatcher, TaskName
from monjolo.domains.runs.evaluation import Evaluators
from monjolo.domains.runs.leases import Leases
from monjolo.domains.runs.live import LiveRuns
from monjolo.domains.runs.logs import LogStore
from monjolo.domains.runs.models import NewRun, PreparedRun
from monjolo.domains.runs.numbers import Numbers
from monjolo.domains.runs.repair import Repair
from monjolo.domains.runs.service import RunsService
from monjolo.domains.runs.workers import WorkersBook
from monjolo.domains.triggers.registry import TriggerRegistry
from monjolo.flow_document import ResolvedAction
from monjolo.kit.errors import MonjoloError
from monjolo.kit.time import SECOND, from_rfc3339
from monjolo.storage.migrate import prepare, workspace_id
from monjolo.storage.sqlite import SqliteDatabase
from monjolo_sdk.wire import Claim, Finished, Limits, Redelivered, Released, Report, Started, Task, TaskError

START = from_rfc3339("2026-01-01T00:00:00Z")
PATIENCE = 20.0
GROUP = "default"

Script = Callable[[Task], "Finished | None"]


class MovedClock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> int:
        return self.at


class Catalogue:
    """Knows every action of `core`, and takes any inputs."""

    def resolve(self, uses: str) -> ResolvedAction | None:
        module, _, action = uses.partition("/")
        if module.partition("@")[0] != "core":
            return None
        return ResolvedAction("core", "1.0.0", "sha256:abc", action, {"type": "object"}, {})


class Sealer:
    """Has nothing to put in; refuses a task whose inputs ask for it."""

    def __init__(self) -> None:
        self.fault: Exception | None = None

    def needs(self, digest: str, action: str, inputs: Mapping[str, Any]) -> bool:
        return self.fault is not None

    async def fill(
        self, workspace_id: str, digest: str, action: str, inputs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]], tuple[str, ...]]:
        assert self.fault is not None
        raise self.fault


class FaultyDatabase:
    """The database, which fails its next writes when it is told to."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self.fault: BaseException | None = None
        self.failed = 0

    async def read(self, query: Callable[[Any], Any]) -> Any:
        return await self._database.read(query)

    async def write(self, work: Callable[[Any], Any]) -> Any:
        if self.fault is not None:
            self.failed += 1
            raise self.fault
        return await self._database.write(work)


class House:
    """One process of the platform, as far as runs go. Open another on the same file for a restart."""

    def __init__(
        self, path: Path, clock: MovedClock | None = None, window: int = 2_000, kept_runs: int = 5_000
    ) -> None:
        prepare(path, START)
        self.path = path
        self.clock = clock or MovedClock()
        self.sqlite = SqliteDatabase(path)
        self.database: Any = FaultyDatabase(self.sqlite)
        self.window = window
        self.kept_runs = kept_runs
        self.events: set[str] = set()
        self._parts: list[asyncio.Task[Any]] = []

    async def open(self) -> House:
        self.workspace = await self.sqlite.read(workspace_id)
        self.broker, self.bus = MemoryBroker(), MemoryBus()
        self.flows = FlowsService(self.sqlite, self.clock, Catalogue(), TriggerRegistry(), record)
        self.evaluators, self.leases = Evaluators(), Leases()
        self.acceptance = Acceptance(
            self.flows, self.evaluators, Numbers(self.sqlite), self._variables, self.clock, 65_536
        )
        self.sealer = Sealer()
        self.dispatcher = Dispatcher(
            self.database, self.flows, self.broker, self.sealer, self.clock,
            group=GROUP, window=self.window, limits=Limits(), refused=self._refused,
        )  # fmt: skip
        self.cache = RunCache(self.sqlite, self.flows, self.kept_runs)
        self.logs = LogStore(self.database, self.bus, self.clock)
        self.advance = Advance(
            self.database, self.acceptance, self.cache, self.evaluators, self.dispatcher, self.leases, self.logs,
            self.broker, self.clock, group=GROUP, find_flow=self.flows.id_of,
            wants_event=lambda _, kind: kind in self.events,
        )  # fmt: skip
        self.runs = RunsService(
            self.database, self.flows, self.acceptance, self.advance, self.dispatcher, self.clock, group=GROUP
        )
        self.advance.listeners.append(LiveRuns(self.bus))
        self.workers = WorkersBook(self.database, self.bus)
        self.repair = Repair(self.database, self.advance, self.dispatcher, self.leases, self.clock)
        self.consumers = Consumers(
            self.database, self.advance, self.dispatcher, self.leases, self.logs, self.workers, self.broker, self.clock,
            self.repair,
        )  # fmt: skip
        return self

    async def start(self) -> House:
        """Recovers, as a process does, and listens."""
        await self.repair.recover()
        self._parts.append(asyncio.create_task(self.consumers.run()))
        await asyncio.sleep(0)
        return self

    async def kill(self) -> None:
        """Everything in memory is gone; what was committed stays."""
        parts, self._parts = self._parts, []
        for part in parts:
            part.cancel()
        for outcome in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
                raise outcome
        await asyncio.to_thread(self.sqlite.close)

    async def _variables(self, _: str, names: Sequence[str]) -> dict[str, Any]:
        return dict.fromkeys(names, "value")

    async def _refused(self, refused: Sequence[tuple[TaskName, MonjoloError]]) -> None:
        self.advance.post(refusals(refused, self.clock.now()))

    # --- flows and runs -------------------------------------------------------------------------------------

    async def publish(self, slug: str, steps: str, more: str = "") -> str:
        source = f"schema: monjolo/flow/v1\nid: {slug}\nname: {slug}\n{more}\nsteps:\n{steps}\n"
        await self.flows.publish(self.workspace, source=source, actor="test")
        return await self.flows.id_of(self.workspace, slug)

    async def begin(self, slug: str, inputs: Mapping[str, Any] | None = None, **more: Any) -> PreparedRun:
        return (await self.runs.accept([await self.wish(slug, inputs, **more)]))[0]

    async def wish(self, slug: str, inputs: Mapping[str, Any] | None = None, **more: Any) -> NewRun:
        flow_id = await self.flows.id_of(self.workspace, slug)
        return NewRun(flow_id, inputs or {}, {"type": "manual"}, **more)

    async def ended(self, run_id: str) -> dict[str, Any]:
        if not await self.runs.wait(run_id, PATIENCE):
            raise AssertionError(f"{run_id} has not ended: {await self.why(run_id)}")
        return await self.run(run_id)

    async def run(self, run_id: str) -> dict[str, Any]:
        return await self.sqlite.read(lambda c: queries.get(c, self.workspace, run_id))

    async def why(self, run_id: str) -> dict[str, Any]:
        return await self.sqlite.read(lambda c: why.explain(c, self.workspace, run_id))

    async def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        return await self.sqlite.read(lambda c: [dict(row) for row in c.execute(sql, values).fetchall()])

    async def status_of(self, run_id: str, key: str) -> str | None:
        rows = await self.rows("SELECT status FROM steps WHERE run_id = ? AND key = ?", run_id, key)
        return rows[0]["status"] if rows else None

    async def until(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Waits until the question has an answer."""
        async with asyncio.timeout(PATIENCE):
            while not (rows := await self.rows(sql, *values)):  # noqa: ASYNC110  (the database tells nobody)
                await asyncio.sleep(0.002)
            return rows

    async def cancel(self, run_id: str, *, force: bool = False) -> None:
        await self.runs.cancel(self.workspace, run_id, reason="cancelled", force=force, actor="test")

    def move(self, seconds: float) -> None:
        self.clock.at += round(seconds * SECOND)
        self.advance.timer_was_set.set()

    # --- the worker's side ----------------------------------------------------------------------------------

    async def tasks(self) -> tuple[Task, ...]:
        """The tasks of the next message."""
        async with asyncio.timeout(PATIENCE):
            return (await self.broker.next_message(GROUP)).message.tasks

    async def task(self) -> Task:
        (task,) = await self.tasks()
        return task

    async def no_task(self) -> None:
        """Nothing is there to do, once what happened so far has had its consequences."""
        await self.advance.submit([])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                raise AssertionError(f"{(await self.broker.next_message(GROUP)).message.tasks} came")

    async def report(self, *reports: Report) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.broker.report(reports)

    async def finish(self, task: Task, output: Any = None, **more: Any) -> None:
        await self.report(self.finished(task, output, **more))

    def finished(self, task: Task, output: Any = None, **more: Any) -> Finished:
        now = self.clock.now()
        values: dict[str, Any] = {"status": "succeeded", "at": now, "started_at": now, "output": output, **more}
        return Finished(task.run_id, task.key, task.token, "w1", **values)

    def failed(self, task: Task, message: str = "no", **more: Any) -> Finished:
        return self.finished(task, status="failed", error=TaskError("Boom", message, **more))

    def started(self, task: Task) -> Started:
        return Started(task.run_id, task.key, task.token, "w1", self.clock.now())

    def claim(self, task: Task, worker: str = "w1") -> Claim:
        return Claim(task.run_id, task.key, task.token, worker, self.clock.now())

    def released(self, task: Task, reason: str = "behind_a_long_task") -> Released:
        return Released(task.run_id, task.key, task.token, "w1", self.clock.now(), reason)

    def redelivered(self, task: Task) -> Redelivered:
        return Redelivered(task.run_id, task.key, task.token, "w1", self.clock.now())

    def work(self, script: Script | None = None) -> list[Task]:
        """A worker that does whatever comes; returns the list of what it took, which grows."""
        taken: list[Task] = []

        async def work() -> None:
            while True:
                tasks = (await self.broker.next_message(GROUP)).message.tasks
                taken.extend(tasks)
                answers = [self.finished(task, task.inputs) if script is None else script(task) for task in tasks]
                reports = [answer for answer in answers if answer is not None]
                if reports:
                    await self.broker.report(reports)

        self._parts.append(asyncio.create_task(work()))
        return taken
