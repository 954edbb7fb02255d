"""Simulated worlds of schedules, catch-up and backfills: the real services and the real SQL, in virtual time.

Each call of the database waits at a gate before it is done and again before it is answered. The world opens gates
in an order drawn from the seed, and kills orchestrators that stand at one: before the commit, or after it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any, TypeVar

import sqlalchemy as sa
from tests.simulation.invariants import Violation

from monjolo.domains.flows.models import CompiledFlow
from monjolo.domains.runs.models import NewRun
from monjolo.domains.triggers import backfill, catch_up, repository
from monjolo.domains.triggers.models import Trigger
from monjolo.domains.triggers.schedule import ScheduleService
from monjolo.domains.triggers.wishes import Wishes
from monjolo.flow_document import compile_plan, parse
from monjolo.kit.errors import MonjoloError
from monjolo.kit.ids import new_id
from monjolo.kit.time import HOUR
from monjolo.storage.schema import metadata

T = TypeVar("T")
START = 480_000 * HOUR
HOSTILE, CALM = 250, 4_000
STATUSES = ("missed", "coalesced", "skipped")
_SOURCE = """
schema: monjolo/flow/v1
id: f
triggers: [{id: t, type: schedule, cron: "0 * * * *"}]
steps: [{id: s, sleep: 1s}]
"""


@cache
def _empty() -> bytes:
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        tables: bytes = raw.serialize()
    return tables


@cache
def _flow() -> CompiledFlow:
    document = parse(_SOURCE).document
    assert document is not None
    return CompiledFlow("flow", "w", "f", "f", 1, "active", compile_plan(document, "f", 1, {}))


class _Flows:
    async def compiled(self, flow_id: str, version: int | None = None) -> CompiledFlow:
        return _flow()

    async def at_hand(self, wanted: Iterable[tuple[str, int | None]]) -> None:
        """There is one, and it is."""


@dataclass(slots=True)
class _Run:
    id: str
    new: NewRun


class _Runs:
    """The runs domain as triggers see it: rows that the world ends when it likes."""

    async def prepare(self, workspace_id: str, new: Sequence[NewRun]) -> list[_Run]:
        return [_Run(new_id(), wish) for wish in new]

    def insert(self, connection: Any, prepared: Sequence[_Run]) -> None:
        connection.executemany(
            "INSERT INTO runs (id, workspace_id, number, flow_id, flow, version, status, seed, trigger_type,"
            ' "trigger", inputs, labels, context, head, root_run_id, created_at) VALUES'
            " (?, 'w', 1, 'flow', 'f', 1, 'queued', 0, 'schedule', ?, '{}', ?, '{}', '{}', '', 0)",
            [(run.id, run.new.trigger["instant"], run.new.labels.get("backfill", "")) for run in prepared],
        )

    def committed(self, prepared: Sequence[_Run]) -> None:
        pass

    async def result(self, workspace_id: str, run_id: str, wait: int) -> Any:
        raise AssertionError("nobody waits here")


class Node:
    """An orchestrator with the real services; it is also the database as these services see it."""

    def __init__(self, world: Past) -> None:
        self.world = world
        self.tasks: dict[str, asyncio.Task[Any]] = {}
        wishes = Wishes(_Flows(), _no_variables)
        self.schedule = ScheduleService(self, world.runs, wishes, catch_up_per_second=10_000)
        self.backfills = backfill.BackfillService(self, world.runs, _Flows(), wishes, world)
        self.catch_up = catch_up.CatchUpService(self, world.runs, wishes, world)

    async def read(self, query: Callable[[Any], T]) -> T:
        await self.world.gate(self)
        found = query(self.world.connection)
        await self.world.gate(self)
        return found

    async def write(self, work: Callable[[Any], T]) -> T:
        await self.world.gate(self)
        self.world.connection.execute("BEGIN")
        try:
            result = work(self.world.connection)
        except BaseException:
            self.world.connection.execute("ROLLBACK")
            raise
        self.world.connection.execute("COMMIT")
        self.world.watch()
        await self.world.gate(self)
        return result

    def begin(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        if name in self.tasks and not self.tasks[name].done():
            work.close()
            return
        self.tasks[name] = asyncio.ensure_future(work)


async def _no_variables(_: str, names: Sequence[str]) -> dict[str, Any]:
    return {}


class Past:
    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.at = START
        self.runs = _Runs()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.deserialize(_empty())
        self.connection.row_factory = sqlite3.Row
        self.gates: list[tuple[Node, asyncio.Future[None]]] = []
        self.violation: str | None = None
        self.crash = random.choice((0, 0.02, 0.05, 0.15))
        self.again = random.random() < 0.3  # some backfills run what had a run
        self._insert_flow(random.choice(("last", "skip", "all")))
        self.nodes = [Node(self) for _ in range(2)]

    def now(self) -> int:
        return self.at

    def _insert_flow(self, misfire: str) -> None:
        self.connection.execute(
            "INSERT INTO flows (id, workspace_id, slug, name, state, labels, version, created_at, updated_at)"
            " VALUES ('flow', 'w', 'f', 'f', 'active', '{}', 1, 0, 0)"
        )
        config = {"id": "t", "type": "schedule", "cron": "0 * * * *", "misfire": misfire, "misfire_max": 3}
        repository.put(self.connection, Trigger(
            "trigger", "w", "flow", "t", "schedule", config, True, None, None, START + HOUR, START + HOUR, START
        ))  # type: ignore[arg-type]  # fmt: skip

    # --- gates ----------------------------------------------------------------------------------------------

    async def gate(self, node: Node) -> None:
        future = asyncio.get_running_loop().create_future()
        self.gates.append((node, future))
        await future

    async def _open(self) -> None:
        """One gate, and whoever stood there goes on to the next."""
        _, future = self.gates.pop(int(self.random.random() * len(self.gates)))
        if not future.done():
            future.set_result(None)
        await self._quiet()

    async def _quiet(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)
        for task in [task for node in self.nodes for task in node.tasks.values() if task.done()]:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _kill(self) -> None:
        place = self.random.randrange(len(self.nodes))
        node, self.nodes[place] = self.nodes[place], Node(self)
        mine = [future for owner, future in self.gates if owner is node]
        self.gates = [(owner, future) for owner, future in self.gates if owner is not node]
        for task in node.tasks.values():
            task.cancel()
        for future in mine:
            future.cancel()
        await self._quiet()

    # --- the course of the world -----------------------------------------------------------------------------

    async def run(self) -> None:
        random = self.random
        for _ in range(HOSTILE):
            chance = random.random()
            if chance < self.crash:
                await self._kill()
            elif self.gates and chance < 0.75:
                await self._open()
            elif chance < 0.85:
                self._end_runs(random.randint(1, 4))
            elif chance < 0.9:
                self.at += random.choice((HOUR // 2, HOUR, 5 * HOUR))
            else:
                self._ask(random.choice(self.nodes))
                await self._quiet()
        await self._calm()
        self._at_rest()

    def _ask(self, node: Node) -> None:
        random = self.random
        match random.choice(("fire", "fire", "go on", "go on", "go on", "catch up", "start", "cancel")):
            case "fire":
                node.begin("fire", node.schedule.fire_due(self.at))
            case "go on":
                node.begin("go on", node.backfills.go_on())
            case "catch up":
                node.begin(f"catch up {random.randint(1, 2)}", self._catch_up(node))
            case "start":
                node.begin("start", self._start(node))
            case _:
                found = self.connection.execute("SELECT id FROM backfills ORDER BY id LIMIT 1").fetchone()
                if found is not None and random.random() < 0.1:
                    node.begin("cancel", node.backfills.cancel("w", "f", found[0], actor="a"))

    async def _catch_up(self, node: Node) -> None:
        asked = catch_up.Asked(limit=self.random.randint(1, 5), statuses=STATUSES)
        while asked is not None:
            _, after = await node.catch_up.catch_up("w", "f", asked, actor="a")
            if after is None:
                return
            asked = replace(asked, after=after)

    async def _start(self, node: Node) -> None:
        random = self.random
        high = self.at - random.choice((0, 0, 3, 10)) * HOUR
        asked = backfill.Asked(
            high - random.randint(1, 20) * HOUR,
            high,
            direction=random.choice(("asc", "desc")),
            max_active=random.randint(1, 4),
            reprocess=random.choice(("none", "failed", "all")) if self.again else "none",
        )
        await node.backfills.start("w", "f", asked, actor="a")

    def _end_runs(self, count: int) -> None:
        status = self.random.choice(("succeeded", "succeeded", "failed"))
        self.connection.execute(
            "UPDATE runs SET status = ?, finished_at = 1 WHERE id IN"
            " (SELECT id FROM runs WHERE finished_at IS NULL ORDER BY id LIMIT ?)",
            (status, count),
        )

    async def _calm(self) -> None:
        """Nobody dies any more; what was begun comes to its end, and everything missed is caught up."""
        caught_up = False
        for _ in range(CALM):
            if self.gates:
                await self._open()
                continue
            self._end_runs(1_000)
            busy = self.connection.execute(
                "SELECT 1 FROM backfills WHERE finished_at IS NULL UNION SELECT 1 FROM backfill_runs"
            ).fetchone()
            if caught_up and busy is None:
                return
            node = self.nodes[0]
            node.begin("fire", node.schedule.fire_due(self.at))
            node.begin("go on", node.backfills.go_on())
            await self._quiet()
            if busy is None and not self.gates:
                continue
            while self.gates:
                await self._open()
            node.begin("last catch up", self._catch_up(node))
            await self._quiet()
            while self.gates:
                await self._open()
            caught_up = busy is None
        raise Violation("I1 the backfills did not come to their end")

    # --- what must hold -------------------------------------------------------------------------------------

    def watch(self) -> None:
        """After each commit: no backfill has more live runs than it may."""
        rows = self.connection.execute(
            "SELECT b.id, b.max_active, COUNT(*) AS live FROM runs r JOIN backfills b ON b.id = r.labels"
            " WHERE r.finished_at IS NULL GROUP BY b.id HAVING COUNT(*) > b.max_active"
        ).fetchall()
        if rows:
            self.violation = self.violation or f"I8 {rows[0]['live']} runs live, {rows[0]['max_active']} may be"

    def _at_rest(self) -> None:
        if self.violation:
            raise Violation(self.violation)
        runs = self.connection.execute('SELECT id, "trigger" AS instant, labels FROM runs').fetchall()
        for (instant, by), count in Counter((row["instant"], row["labels"]) for row in runs).items():
            if count > 1:
                raise Violation(f"I4 instant {instant} was run {count} times by {by or 'the schedule or a catch-up'}")
        if not self.again and len({row["instant"] for row in runs}) < len(runs):
            raise Violation("I4 an instant was run twice")
        ticks = self.connection.execute("SELECT instant, status, run_id FROM ticks").fetchall()
        known = {row["id"] for row in runs}
        for tick in ticks:
            if tick["run_id"] not in known:
                raise Violation(f"I4 tick {tick['instant']} is {tick['status']} and was never caught up")
        if not self.again and len(ticks) != len(runs):
            raise Violation(f"I4 {len(runs)} runs for {len(ticks)} ticks")
        self._backfills({tick["instant"] for tick in ticks}, Counter(row["labels"] for row in runs))

    def _backfills(self, ticked: set[int], by: Counter[str]) -> None:
        for row in self.connection.execute("SELECT * FROM backfills").fetchall():
            if row["started"] != by[row["id"]]:
                raise Violation(f"I5 a backfill says it started {row['started']} runs; it started {by[row['id']]}")
            if row["state"] != "done":
                continue
            if row["started"] + row["passed"] != row["instants"]:
                raise Violation(f"I4 {row['started']} started and {row['passed']} passed of {row['instants']} instants")
            for instant in range(-(-row["low"] // HOUR) * HOUR, row["high"], HOUR):
                if instant not in ticked:
                    raise Violation(f"I4 instant {instant} of a backfill never ran")


def explore_past(seed: int, bug: str | None = None) -> str | None:
    """What the world of a seed violated."""

    async def course() -> None:
        await Past(seed).run()

    with planted(bug):
        try:
            asyncio.run(course())
        except Violation as violation:
            return str(violation)
        except (MonjoloError, sqlite3.Error) as error:
            return f"{type(error).__name__} {error}"
    return None


# --- bugs ---------------------------------------------------------------------------------------------------


def _moved_without_compare(connection: Any, each: Any) -> bool:
    """Two orchestrators go on from one place."""
    found = connection.execute("SELECT revision FROM backfills WHERE id = ?", (each.id,)).fetchone()
    return _move(connection, replace(each, revision=found[0]))


async def _place_first(service: Any, each: Any, moved: Any, part: Any, ended: Any) -> Any:
    """Where it stands is stored, and then, in another transaction, its runs."""
    if part is not None and part.wanted:
        ahead = replace(moved, place=part.place, passed=moved.passed + part.passed)
        await service._database.write(lambda c: repository.move_backfill(c, ahead))
        part.passed, moved, each = 0, replace(ahead, revision=ahead.revision + 1), each
    return await _store(service, each, moved, part, ended)


def _caught_without_compare(connection: Any, trigger_id: str, instant: int, row: Any) -> bool:
    """Asked for twice at once, a tick runs twice."""
    connection.execute(
        "UPDATE ticks SET status = ?, late = 1, run_id = ?, reason = ?, decided_at = ? WHERE trigger_id = ?"
        " AND instant = ?",
        (*row, trigger_id, instant),
    )
    return True


def _not_looked_again(service: Any, connection: Any, each: Any, wanted: Any, made: Any) -> Any:
    """A tick that came between the look and the transaction gets a second run."""
    known = {instant: (seen, None) for instant, seen in wanted}
    with _spoilt(repository, "runs_of_ticks", lambda *_: known):
        return _write(service, connection, each, wanted, made)


def _forgotten(connection: Any, backfill_id: str, begun: Any, ended: Any) -> None:
    """Which of its runs are live stood in memory only."""
    _put(connection, backfill_id, [], ended)


_move, _put = repository.move_backfill, repository.put_backfill_runs
_store, _write = backfill.BackfillService._store, backfill.BackfillService._write
PAST_MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "backfill moved without compare": (repository, "move_backfill", _moved_without_compare),
    "backfill moves on before its runs are stored": (backfill.BackfillService, "_store", _place_first),
    "tick caught up without compare": (repository, "catch_up_tick", _caught_without_compare),
    "backfill does not look at the ticks again": (backfill.BackfillService, "_write", _not_looked_again),
    "live runs of a backfill kept in memory": (repository, "put_backfill_runs", _forgotten),
}


@contextmanager
def _spoilt(owner: Any, name: str, careless: Any) -> Iterator[None]:
    healthy = getattr(owner, name)
    setattr(owner, name, careless)
    try:
        yield
    finally:
        setattr(owner, name, healthy)


@contextmanager
def planted(bug: str | None) -> Iterator[None]:
    if bug is None:
        yield
        return
    with _spoilt(*PAST_MUTANTS[bug]):
        yield
