"""The one gate through which a run changes: load, decide, evolve, save, publish. It takes a batch.

Whatever happened to any run is a `Fact`; facts that wait together are decided together and written in one
transaction. A run whose decision raises is quarantined alone. Effects on other runs go through their inbox.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import structlog

from monjolo.broker.port import OrchestratorBroker
from monjolo.domains.runs import codec, giving_up, repository, writing
from monjolo.domains.runs.acceptance import Acceptance, changes_of
from monjolo.domains.runs.cache import RunCache
from monjolo.domains.runs.changes import Changes
from monjolo.domains.runs.dispatch import Dispatcher, Pending, TaskName
from monjolo.domains.runs.evaluation import Evaluators
from monjolo.domains.runs.leases import Leases
from monjolo.domains.runs.logs import Chunk, LogStore, chunk_of
from monjolo.domains.runs.models import Entry, NewRun, ParentStep, PreparedRun
from monjolo.domains.runs.records import note_cut_short, note_fact
from monjolo.engine import commands as orders
from monjolo.engine import events as facts
from monjolo.engine import graph
from monjolo.engine.decide import decide
from monjolo.engine.evolve import evolve
from monjolo.engine.types import Error, StepStatus
from monjolo.kit.errors import MonjoloError, Unavailable
from monjolo.kit.time import SECOND, Clock
from monjolo.storage.port import Connection, Database
from monjolo_sdk.wire import Cancel, Control, Finished, Permit, Report

log = structlog.get_logger()

FACTS_AT_ONCE = 1_000
PERMIT_DEADLINE = 10 * SECOND
_OUT = frozenset({StepStatus.QUEUED, StepStatus.RUNNING})  # of these a task may be in somebody's hands


class Fact(NamedTuple):
    """Something that happened to a run, and the row or report it came from."""

    run_id: str
    event: facts.Event
    report: Report | None = None
    inbox_id: int | None = None
    timer: tuple[str, str, str, int] | None = None


class Listener(Protocol):
    """Told after the commit; must not fail and must not wait."""

    def run_changed(self, changes: Changes) -> None: ...


@dataclass(slots=True)
class _Batch:
    facts: Sequence[Fact]
    changed: dict[str, Changes] = field(default_factory=dict)
    children: list[PreparedRun] = field(default_factory=list)
    quarantined: dict[str, str] = field(default_factory=dict)
    logs: dict[str, list[Chunk]] = field(default_factory=dict)  # what came with the end of steps, by run


@dataclass(slots=True)
class _Waiting:
    facts: list[Fact]
    done: asyncio.Future[None] | None


class Advance:
    def __init__(
        self,
        database: Database,
        acceptance: Acceptance,
        cache: RunCache,
        evaluators: Evaluators,
        dispatcher: Dispatcher,
        leases: Leases,
        logs: LogStore,
        broker: OrchestratorBroker,
        clock: Clock,
        *,
        group: str,
        find_flow: Callable[[str, str], Awaitable[str]],
        wants_event: Callable[[str, str], bool],
    ) -> None:
        self._database = database
        self._acceptance = acceptance
        self._cache = cache
        self._evaluators = evaluators
        self._dispatcher = dispatcher
        self._leases = leases
        self._logs = logs
        self._broker = broker
        self._clock = clock
        self._group = group
        self._find_flow = find_flow
        self._wants_event = wants_event
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self.listeners: list[Listener] = []
        self.inbox_has_news = asyncio.Event()
        self.timer_was_set = asyncio.Event()
        self.next_timer: int | None = None
        self.event_was_put: Callable[[], None] = lambda: None

    # --- the way in -----------------------------------------------------------------------------------------

    async def submit(self, happened: Sequence[Fact]) -> None:
        """Returns once the consequences are durable."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(list(happened), future))
        self._arrived.set()
        await future

    def post(self, happened: Iterable[Fact]) -> None:
        """The same without waiting; for what would be found again if it were lost."""
        self._waiting.append(_Waiting(list(happened), None))
        self._arrived.set()

    async def run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            waiting, self._waiting = self._waiting, []
            happened = [fact for entry in waiting for fact in entry.facts]
            for start in range(0, len(happened), FACTS_AT_ONCE):
                await self._apply_until_stored(happened[start : start + FACTS_AT_ONCE])
            for entry in waiting:
                if entry.done is not None and not entry.done.done():
                    entry.done.set_result(None)

    async def _apply_until_stored(self, happened: Sequence[Fact], set_aside: str | None = None) -> None:
        """A database that cannot write at this moment delays what happened; it does not lose it.

        What fails otherwise is a fault of ours about one of these runs: each is tried by itself, and the one
        that fails alone is set aside.
        """
        pause = 0.05
        while happened:
            try:
                happened = await self._apply(happened, set_aside)
            except Unavailable as error:
                log.error("the outcome of steps cannot be stored; trying again", code=error.code, detail=error.detail)
                await asyncio.sleep(pause)
                pause = min(5.0, pause * 2)
            except Exception:
                if set_aside is not None:
                    raise
                why, runs = traceback.format_exc(), dict.fromkeys(fact.run_id for fact in happened)
                for run_id in runs:
                    own = [fact for fact in happened if fact.run_id == run_id]
                    await self._apply_until_stored(own, why if len(runs) == 1 else None)
                return

    # --- one batch ------------------------------------------------------------------------------------------

    async def _apply(self, happened: Sequence[Fact], set_aside: str | None) -> list[Fact]:
        """Returns the facts of runs that somebody else changed meanwhile: they are decided again."""
        batch = _Batch(happened)
        try:
            for fact in happened:
                if isinstance(fact.report, Finished) and fact.report.log is not None:
                    batch.logs.setdefault(fact.run_id, []).append(chunk_of(fact.report.log))
            if set_aside is None:
                await self._decide_all(batch, await self._cache.get_many(fact.run_id for fact in happened))
            else:
                self._quarantine(batch, happened[0], set_aside)
            self._reserve(batch)
            losers, told = await self._database.write(lambda c: self._write(c, batch))
        except BaseException:
            self._forget(batch)
            raise
        await self._committed(batch, losers)
        if told:
            self.inbox_has_news.set()
        return [fact for fact in happened if fact.run_id in losers]

    async def _decide_all(self, batch: _Batch, entries: dict[str, Entry]) -> None:
        todo = deque(batch.facts)
        while todo:
            fact = todo.popleft()
            entry = entries.get(fact.run_id)
            if entry is None or fact.run_id in batch.quarantined:
                continue
            changes = batch.changed.get(fact.run_id)
            if changes is None:
                changes = batch.changed[fact.run_id] = Changes(entry, entry.revision)
            try:
                children = self._decide_one(changes, fact)
            except Exception:
                self._quarantine(batch, fact, traceback.format_exc())
                continue
            for order in children:
                todo.appendleft(await self._start_child(batch, entry, order, fact.event.at))

    def _quarantine(self, batch: _Batch, fact: Fact, why: str) -> None:
        log.error("a run was quarantined", run=fact.run_id, fact=type(fact.event).__name__, error=why)
        batch.quarantined[fact.run_id] = why
        batch.changed.pop(fact.run_id, None)
        batch.children = [child for child in batch.children if not _is_below(child, {fact.run_id})]
        self._cache.drop(fact.run_id)

    def _note_duration(self, entry: Entry, report: Report | None) -> None:
        """Actions that are short of late travel together."""
        if isinstance(report, Finished):
            action = entry.state.plan.steps[graph.path_of(report.key)].action
            if action is not None:
                self._dispatcher.took(action.digest, action.action, report.at - report.started_at)

    def _decide_one(self, changes: Changes, fact: Fact) -> list[orders.StartChild]:
        entry = changes.entry
        evaluate = self._evaluators.of(entry.flow.compiled)
        decision = decide(entry.state, fact.event, evaluate)
        if decision.changes_nothing:
            return []
        self._note_duration(entry, fact.report)
        note_fact(changes, fact.event, fact.report, self._leases, self._clock.now())
        if isinstance(fact.event, facts.TimerFired | facts.CancelRequested):
            note_cut_short(changes, decision, fact.event.at)
        evolve(entry.state, decision)
        changes.add(decision, fact.event.at)
        children, changes.children = changes.children, []
        return children

    async def _start_child(self, batch: _Batch, parent: Entry, order: orders.StartChild, at: int) -> Fact:
        """The child's rows go into the parent's transaction; a child that cannot be is an error of the step."""
        run_id = parent.state.run_id
        try:
            flow_id = await self._find_flow(parent.workspace_id, order.flow)
            depth = (parent.parent.depth if parent.parent else 0) + 1
            new = NewRun(
                flow_id=flow_id,
                inputs=order.inputs or {},
                trigger={"type": "subflow", "run": run_id, "step": order.key},
                version=order.version,
                event=parent.state.context.get("event"),
                parent=ParentStep(run_id, order.key, order.token, parent.root_run_id, depth, parent.priority),
            )
            child = await self._acceptance.prepare(new)
        except Unavailable:
            raise
        except MonjoloError as error:
            problems = "; ".join(f"{problem.path}: {problem.message}" for problem in error.errors)
            message = f"{order.flow}: {error.detail}" + (f" ({problems})" if problems else "")
            return Fact(run_id, facts.ChildRefused(at, order.key, order.token, Error("SubflowRefused", message)))
        batch.children.append(child)
        return Fact(run_id, facts.ChildAccepted(at, order.key, order.token, child.id))

    def _reserve(self, batch: _Batch) -> None:
        for changes in self._all(batch):
            for key in changes.dispatches:
                if changes.steps[key].status is StepStatus.QUEUED and self._dispatcher.reserve():
                    changes.direct.add(key)

    def _all(self, batch: _Batch) -> Iterable[Changes]:
        for child in batch.children:
            if child.id not in batch.changed:
                batch.changed[child.id] = changes_of(child)
        return batch.changed.values()

    def _write(self, connection: Connection, batch: _Batch) -> tuple[set[str], bool]:
        moved = [changes for changes in batch.changed.values() if _moved(changes)]
        losers, told = writing.write(connection, [c for c in moved if c.row is None], self._group)
        if batch.children:  # of a run that lost there are none: it will be decided again
            losers |= {child.id for child in batch.children if _is_below(child, losers)}
            rows = [changes for changes in moved if changes.row is not None and changes.run_id not in losers]
            told = writing.write(connection, rows, self._group)[1] or told
            for child in batch.children:
                told = (child.id not in losers and write_beginning(connection, child)) or told
        told = self.put_events(connection, [changes for changes in moved if changes.run_id not in losers]) or told
        kept = [fact for fact in batch.facts if fact.run_id not in losers]
        self._logs.insert(connection, _kept_logs(batch, losers))
        repository.delete_inbox(connection, [f.inbox_id for f in kept if f.inbox_id is not None])
        repository.take_timers(connection, [f.timer for f in kept if f.timer is not None])
        for run_id, why in batch.quarantined.items():
            repository.quarantine(connection, run_id, why)
            if any(fact.run_id == run_id and _is_forced(fact.event) for fact in batch.facts):
                giving_up.give_up(connection, run_id, self._clock.now())
                told = True
        return losers, told

    def put_events(self, connection: Connection, stored: Iterable[Changes]) -> bool:
        """That a run has ended, for who waits for it; in the transaction that ends it. True when a run was told."""
        told = False
        for changes in stored:
            if changes.ended and changes.head is not None:
                entry = changes.entry
                if self._wants_event(entry.workspace_id, f"run.{changes.head.status}"):
                    told = writing.put_run_event(connection, entry, changes.head, changes.at) or told
        return told

    def _forget(self, batch: _Batch) -> None:
        """The commit failed: what is in memory is not what is in the database."""
        for fact in batch.facts:
            self._cache.drop(fact.run_id)
        self._dispatcher.unreserve(sum(len(changes.direct) for changes in batch.changed.values()))

    async def _committed(self, batch: _Batch, losers: set[str]) -> None:
        moved = [changes for changes in batch.changed.values() if _moved(changes)]
        for changes in moved:
            run_id = changes.run_id
            if run_id in losers:
                self._cache.drop(run_id)
                self._dispatcher.unreserve(len(changes.direct))
            elif changes.row is None:
                changes.entry.revision += 1
            else:
                self._cache.put(changes.entry)
        self._logs.announce(_kept_logs(batch, losers))
        await self.publish([c for c in moved if c.run_id not in losers])

    async def publish(self, stored: Sequence[Changes]) -> None:
        """After the commit: tasks leave, workers are told, whoever looks on sees it."""
        pending: list[Pending] = []
        controls: list[Control] = []
        over: list[TaskName] = []
        for changes in stored:
            run_id = changes.run_id
            over += [
                (run_id, key, step.token)
                for key, step in changes.steps.items()
                if step.token and step.status not in _OUT
            ]
            over += [(run_id, key, order.token - 1) for key, order in changes.dispatches.items() if order.token > 1]
            pending += [
                pending_of(changes, order) for key, order in changes.dispatches.items() if key in changes.direct
            ]
            controls += [Cancel(run_id, order.key, order.token) for order in changes.cancels]
            deadline = changes.at + PERMIT_DEADLINE
            controls += [Permit(run_id, o.key, o.token, o.worker, deadline) for o in changes.permits]
            self.keep(changes)
        self.settled(over)
        if any(len(changes.dispatches) > len(changes.direct) for changes in stored):
            self._dispatcher.has_backlog()
        if controls:
            await self._broker.control(controls)
        if pending:
            await self._dispatcher.send(pending)
        self.announce(stored)

    def settled(self, names: Sequence[TaskName]) -> None:
        """These tasks are in nobody's hands any more."""
        self._dispatcher.settled(names)
        self._leases.end(names)

    def announce(self, stored: Sequence[Changes]) -> None:
        for listener in self.listeners:
            for changes in stored:
                listener.run_changed(changes)

    def expect(self, changed: Iterable[Changes]) -> None:
        """New runs, known before their commit: whatever happens to them after it finds this very entry.

        Put there later it could take the place of one that has moved on, and what happens next would be lost.
        """
        for changes in changed:
            if changes.direct or not self._cache.full:  # one whose turn is far must not push out those that are at work
                self._cache.put(changes.entry)

    def forget(self, changed: Iterable[Changes]) -> None:
        """They were not written after all."""
        for changes in changed:
            self._cache.drop(changes.run_id)

    def keep(self, changes: Changes) -> None:
        """In memory after the commit: what goes on, and the next timer."""
        if changes.ended:
            self._cache.drop(changes.run_id)
            if self._wants_event(changes.entry.workspace_id, f"run.{changes.entry.state.head.status}"):
                self.event_was_put()
        else:
            self._cache.shrink()
        for timer in changes.timers.values():
            if self.timer_is(timer.due_at):
                self.timer_was_set.set()

    def timer_is(self, due_at: int | None) -> bool:
        """True when it is now the next."""
        sooner = due_at is not None and (self.next_timer is None or due_at < self.next_timer)
        if sooner:
            self.next_timer = due_at
        return sooner


def _kept_logs(batch: _Batch, losers: Container[str]) -> list[Chunk]:
    return [chunk for run_id, chunks in batch.logs.items() if run_id not in losers for chunk in chunks]


def _is_forced(event: facts.Event) -> bool:
    return isinstance(event, facts.CancelRequested) and event.force


def _is_below(child: PreparedRun, run_ids: Container[str]) -> bool:
    return child.entry.parent is not None and child.entry.parent.run_id in run_ids


def _moved(changes: Changes) -> bool:
    return bool(changes.row or changes.head or changes.steps or changes.dispatches or changes.started)


def pending_of(changes: Changes, order: orders.Dispatch) -> Pending:
    entry = changes.entry
    return Pending(
        entry.state.run_id,
        order.key,
        order.token,
        order.attempt,
        order.inputs,
        order.alone,
        order.not_after,
        entry.flow,
        entry.number,
        entry.trigger_type,
    )


def write_beginning(connection: Connection, prepared: PreparedRun) -> bool:
    """For a run that could not be decided when it was accepted: the orchestrator finds it in the inbox."""
    if prepared.entry.state.steps or prepared.entry.state.head.slot or prepared.entry.state.head.finished_at:
        return False
    begun = codec.event_to_text(facts.RunCreated(prepared.row["created_at"]))
    repository.put_inbox(connection, [(prepared.id, begun, prepared.row["created_at"])])
    return True
