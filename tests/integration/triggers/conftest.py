"""Flows and triggers over a real database, with a clock that is moved and runs that are only noted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monjolo.domains.audit.repository import record
from monjolo.domains.flows.service import FlowsService
from monjolo.domains.runs.models import NewRun
from monjolo.domains.triggers.backfill import BackfillService
from monjolo.domains.triggers.catch_up import CatchUpService
from monjolo.domains.triggers.events import EventService
from monjolo.domains.triggers.registry import TriggerRegistry
from monjolo.domains.triggers.schedule import ScheduleService
from monjolo.domains.triggers.service import TriggersService
from monjolo.domains.triggers.webhooks import WebhookService
from monjolo.domains.triggers.wishes import Wishes
from monjolo.flow_document import ResolvedAction
from monjolo.kit.errors import Conflict, InvalidInput
from monjolo.kit.ids import new_id
from monjolo.kit.time import from_rfc3339
from monjolo.storage.migrate import prepare, workspace_id
from monjolo.storage.port import Connection
from monjolo.storage.sqlite import SqliteDatabase

START = from_rfc3339("2026-01-01T00:00:00Z")


class MovedClock:
    def __init__(self, now: int = START) -> None:
        self.at = now

    def now(self) -> int:
        return self.at


class Catalogue:
    def resolve(self, uses: str) -> ResolvedAction | None:
        module, _, action = uses.partition("/")
        if module.partition("@")[0] != "core":
            return None
        return ResolvedAction("core", "1.0.0", "sha256:abc", action, {"type": "object"}, {"type": "object"})


@dataclass
class NotedRun:
    id: str
    new: NewRun
    number: int


@dataclass
class NotedRuns:
    """The runs domain as triggers see it: it refuses what it is told to refuse, and keeps a row of each run."""

    flows: FlowsService
    made: list[NotedRun] = field(default_factory=list)
    prepared: int = 0
    lasts: int = 0  # how long each run takes to its end, and how it ends
    ends: str = "succeeded"

    async def prepare(self, workspace_id: str, new: Sequence[NewRun]) -> list[NotedRun]:
        for wish in new:
            if (await self.flows.compiled(wish.flow_id)).state == "paused":
                raise Conflict("paused", code="flow_paused")
            if wish.inputs.get("refuse"):
                raise InvalidInput("no", code="invalid_inputs")
        self.prepared += len(new)
        return [NotedRun(new_id(), wish, 7) for wish in new]

    def insert(self, connection: Connection, prepared: Sequence[NotedRun]) -> None:
        connection.executemany(
            "INSERT INTO runs (id, workspace_id, number, flow_id, flow, version, status, seed, trigger_type,"
            ' "trigger", inputs, labels, context, head, root_run_id, created_at) VALUES'
            " (?, (SELECT value FROM meta WHERE key = 'workspace_id'), 7, ?, '', 1, 'queued', 0, 'x', '{}',"
            " '{}', '{}', '{}', '{}', ?, 0)",
            [(run.id, run.new.flow_id, run.id) for run in prepared],
        )

    def committed(self, prepared: Sequence[NotedRun]) -> None:
        self.made += prepared

    async def result(self, workspace_id: str, run_id: str, wait: int) -> tuple[dict[str, Any], bool]:
        ended = self.lasts <= wait
        outputs = {"sum": 3} if ended and self.ends == "succeeded" else None
        return {"id": run_id, "number": 7, "status": self.ends if ended else "running", "outputs": outputs}, ended

    @property
    def instants(self) -> list[int]:
        return [from_rfc3339(run.new.trigger["instant"]) for run in self.made]


@dataclass
class Platform:
    workspace: str
    database: SqliteDatabase
    clock: MovedClock
    flows: FlowsService
    runs: NotedRuns
    wishes: Wishes
    schedule: ScheduleService
    webhooks: WebhookService
    events: EventService
    triggers: TriggersService
    catch_up: CatchUpService
    backfills: BackfillService
    secrets: dict[str, str]

    async def publish(self, slug: str, triggers: str, inputs: str = "") -> None:
        source = (
            f"schema: monjolo/flow/v1\nid: {slug}\nname: {slug}\n{inputs}triggers:\n{triggers}\n"
            "steps:\n  - {id: a, uses: core/log, with: {message: hi}}\n"
        )
        await self.flows.publish(self.workspace, source=source, actor="test")

    def another_orchestrator(self, **options: Any) -> ScheduleService:
        return ScheduleService(self.database, self.runs, self.wishes, **options)

    async def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        return await self.database.read(lambda c: [dict(row) for row in c.execute(sql, values).fetchall()])

    async def tick_counts(self) -> dict[str, int]:
        rows = await self.rows("SELECT status, COUNT(*) AS n FROM ticks GROUP BY status")
        return {row["status"]: row["n"] for row in rows}


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    path = tmp_path / "monjolo.db"
    prepare(path, START)
    database = SqliteDatabase(path)
    workspace = await database.read(workspace_id)
    clock, secrets = MovedClock(), {}
    flows = FlowsService(database, clock, Catalogue(), TriggerRegistry(), record)
    runs = NotedRuns(flows)
    variables = SimpleNamespace(values={"region": "sul"})

    async def variables_of(_: str, names: Sequence[str]) -> dict[str, Any]:
        return {name: variables.values.get(name) for name in names}

    async def secret(_: str, name: str) -> str | None:
        return secrets.get(name)

    wishes = Wishes(flows, variables_of)
    yield Platform(
        workspace, database, clock, flows, runs, wishes,
        ScheduleService(database, runs, wishes),
        WebhookService(database, runs, wishes, secret, clock),
        EventService(database, runs, wishes, clock),
        TriggersService(database, clock),
        CatchUpService(database, runs, wishes, clock),
        BackfillService(database, runs, flows, wishes, clock), secrets,
    )  # fmt: skip
    await asyncio.to_thread(database.close)
