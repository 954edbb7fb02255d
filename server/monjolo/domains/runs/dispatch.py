"""Tasks on their way to workers: a bounded window at the broker, the backlog in the database.

Refills take the highest priority first and go round by flow, so that one flow's hundred thousand runs do not starve
another's one. A minute of waiting makes up for a point of priority, so that nobody is starved by others' priority.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from monjolo.broker.port import OrchestratorBroker
from monjolo.domains.flows.models import CompiledFlow
from monjolo.domains.flows.service import FlowsService
from monjolo.domains.runs import repository
from monjolo.domains.runs.restored import InDoubt
from monjolo.engine import graph
from monjolo.engine.admission import Head, whose_turn
from monjolo.kit import json
from monjolo.kit.errors import MonjoloError, Unavailable
from monjolo.kit.ids import new_id
from monjolo.kit.time import MILLISECOND, Clock
from monjolo.storage.port import Connection, Database
from monjolo_sdk.wire import Limits, Task, TaskMessage

log = structlog.get_logger()

TASKS_PER_MESSAGE = 32
SHORT = 100 * MILLISECOND
_REMEMBERED = 100
_EARLY = 10_000
_TROUBLE_SECONDS = 1.0

TaskName = tuple[str, str, int]  # run id, key, token


class Sealer(Protocol):
    """Puts secrets and connections into a task's inputs, as late as possible."""

    async def fill(
        self, workspace_id: str, digest: str, action: str, inputs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]], tuple[str, ...]]:
        """(inputs, connections by input, values to mask). Raises MonjoloError when one is not there."""

    def needs(self, digest: str, action: str, inputs: Mapping[str, Any]) -> bool: ...


@dataclass(slots=True)
class Pending:
    """A task that will leave: what of its run and flow it needs to be told."""

    run_id: str
    key: str
    token: int
    attempt: int
    inputs: Any
    alone: bool
    not_after: int | None
    flow: CompiledFlow
    number: int
    trigger_type: str

    @property
    def name(self) -> TaskName:
        return (self.run_id, self.key, self.token)


@dataclass(slots=True)
class Durations:
    """The last hundred attempts of an action: short ones may travel together."""

    seen: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    short: bool = False
    _since: int = 0

    def add(self, duration: int) -> None:
        self.seen.append(duration)
        self._since += 1
        if self._since >= 10 or len(self.seen) <= 10:
            self._since = 0
            ordered = sorted(self.seen)
            self.short = ordered[int(len(ordered) * 0.95)] < SHORT


class Dispatcher:
    def __init__(
        self,
        database: Database,
        flows: FlowsService,
        broker: OrchestratorBroker,
        sealer: Sealer,
        clock: Clock,
        *,
        group: str,
        window: int,
        limits: Limits,
        refused: Callable[[Sequence[tuple[TaskName, MonjoloError]]], Awaitable[None]],
        in_doubt_until: int = 0,
    ) -> None:
        self._database = database
        self._flows = flows
        self._broker = broker
        self._sealer = sealer
        self._clock = clock
        self._group = group
        self._window = window
        self._limits = limits
        self._refused = refused
        self._in_doubt_until = in_doubt_until
        self._out: set[TaskName] = set()
        self._reserved = 0
        self._early: set[TaskName] = set()  # settled before they had left
        self._closed = False
        self._backlog = True  # there may be ready tasks in the database
        self._turn = ""  # the flow that was served last
        self._durations: dict[tuple[str, str], Durations] = {}
        self._wake = asyncio.Event()

    @property
    def outstanding(self) -> int:
        return len(self._out)

    def reserve(self) -> bool:
        """A place in the window, for a task that may leave right after its commit."""
        if self._closed or self._backlog or len(self._out) + self._reserved >= self._window:
            self._backlog = True
            return False
        self._reserved += 1
        return True

    def unreserve(self, count: int) -> None:
        self._reserved -= count

    def settled(self, names: Iterable[TaskName]) -> None:
        """These tasks ended, or their token is worth nothing any more.

        One that was committed and has not left yet (a cancel came in between) must not leave after all.
        """
        for name in names:
            if name in self._out:
                self._out.discard(name)
            elif self._reserved:
                if len(self._early) >= _EARLY:
                    self._early.clear()
                self._early.add(name)
        if self._backlog and len(self._out) <= self._window // 2:
            self._wake.set()

    def heard_of(self, names: Iterable[TaskName]) -> None:
        """A worker has said its last word on these, whatever it was worth."""
        self._out.difference_update(names)

    def holds(self, name: TaskName) -> bool:
        return name in self._out

    def close(self) -> list[TaskName]:
        """Nothing leaves any more: what is ready waits for the next process. Returns what is out there."""
        self._closed = True
        return list(self._out)

    def took(self, digest: str, action: str, duration: int) -> None:
        durations = self._durations.get((digest, action))
        if durations is None:
            durations = self._durations[digest, action] = Durations()
        durations.add(duration)

    def has_backlog(self) -> None:
        self._backlog = True
        if len(self._out) <= self._window // 2:
            self._wake.set()

    async def send(self, pending: Sequence[Pending]) -> None:
        """Hands tasks to the broker whose rows say `dispatched`; they were reserved before."""
        self._reserved -= len(pending)
        await self._send(pending)

    async def _send(self, pending: Sequence[Pending]) -> None:
        """Never fails: what cannot leave now is not held, and so found by whoever looks for lost tasks."""
        pending = [task for task in pending if task.name not in self._early]
        if not self._reserved:
            self._early.clear()
        self._out.update(task.name for task in pending)
        tasks, refused = [], []
        for task in pending:
            try:
                tasks.append(await self._sealed(task))
            except Unavailable as error:
                self._out.discard(task.name)
                log.warning("a task cannot leave yet", run=task.run_id, step=task.key, detail=error.detail)
            except MonjoloError as error:
                self._out.discard(task.name)
                refused.append((task.name, error))
            except Exception as error:
                self._out.discard(task.name)
                log.exception("a task could not be made ready", run=task.run_id, step=task.key)
                refused.append((task.name, MonjoloError(f"It could not be made ready to leave: {error!r}")))
        await self._publish([task for task in tasks if (task.run_id, task.key, task.token) in self._out])
        if refused:
            await self._refused(refused)

    async def _publish(self, tasks: Sequence[Task]) -> None:
        if not tasks:
            return
        try:
            await self._broker.publish(self._packed(tasks))
        except Exception as error:
            log.error("the broker takes no tasks; they are sent again later", tasks=len(tasks), error=repr(error))
            self._out.difference_update((task.run_id, task.key, task.token) for task in tasks)

    def _packed(self, tasks: Sequence[Task]) -> list[TaskMessage]:
        """Short tasks travel together, the others by themselves."""
        messages, together = [], []
        for task in tasks:
            if task.alone or not task.short:
                messages.append(TaskMessage(new_id(), self._group, (task,)))
                continue
            together.append(task)
            if len(together) == TASKS_PER_MESSAGE:
                messages.append(TaskMessage(new_id(), self._group, tuple(together)))
                together = []
        if together:
            messages.append(TaskMessage(new_id(), self._group, tuple(together)))
        return messages

    async def _sealed(self, pending: Pending) -> Task:
        plan = pending.flow.compiled.plan.steps[graph.path_of(pending.key)]
        action = plan.action
        assert action is not None
        durations = self._durations.get((action.digest, action.action))
        if plan.at_most_once and self._in_doubt_until:
            await self._doubt(pending.run_id)
        inputs: dict[str, Any] = pending.inputs
        connections: Mapping[str, dict[str, Any]] = {}
        masks: tuple[str, ...] = ()
        if self._sealer.needs(action.digest, action.action, inputs):
            inputs, connections, masks = await self._sealer.fill(
                pending.flow.workspace_id, action.digest, action.action, inputs
            )
        context = {
            "id": pending.run_id,
            "number": pending.number,
            "flow": pending.flow.slug,
            "flow_id": pending.flow.flow_id,
            "version": pending.flow.version,
            "step": pending.key,
            "attempt": pending.attempt,
            "trigger": pending.trigger_type,
        }
        return Task(
            run_id=pending.run_id,
            key=pending.key,
            token=pending.token,
            attempt=pending.attempt,
            module=action.module,
            version=action.version,
            digest=action.digest,
            action=action.action,
            inputs=inputs,
            secrets=masks,
            connections=dict(connections),
            flow=pending.flow.slug,
            run_number=pending.number,
            idempotency_key=f"{pending.run_id}:{pending.key}",
            at_most_once=plan.at_most_once,
            alone=pending.alone,
            short=durations is not None and durations.short,
            timeout=plan.timeout,
            not_after=pending.not_after,
            limits=self._limits,
            context=context,
        )

    async def _doubt(self, run_id: str) -> None:
        """Raises InDoubt when the run, or the one it came from, is of before a restore."""
        accepted_at = await self._database.read(lambda c: repository.root_accepted_at(c, run_id))
        if accepted_at <= self._in_doubt_until:
            raise InDoubt

    # --- the backlog ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Refills the window from the backlog whenever there is room."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._backlog and not self._closed and len(self._out) + self._reserved <= self._window // 2:
                try:
                    await self._refill()
                except Unavailable as error:
                    self._backlog = True
                    log.error("the backlog cannot be read; trying again", code=error.code, detail=error.detail)
                    await asyncio.sleep(_TROUBLE_SECONDS)

    async def _refill(self) -> None:
        room = self._window - len(self._out) - self._reserved
        now = self._clock.now()
        turn, group = self._turn, self._group

        self._reserved += room
        self._backlog = False
        try:
            rows, left, self._turn = await self._database.write(lambda c: _next_round(c, group, turn, room, now))
            self._backlog = self._backlog or left
            await self._flows.at_hand((row["flow_id"], row["version"]) for row in rows)
            pending = [task for row in rows if (task := await self._pending(row)) is not None]
        finally:
            self._reserved -= room
        await self._send(pending)

    async def _pending(self, row: Any) -> Pending | None:
        try:
            flow = await self._flows.compiled(row["flow_id"], row["version"])
        except Exception as error:  # its run meets the same error at the gate, which sets it aside
            log.error("a task's flow cannot be loaded", run=row["run_id"], step=row["key"], error=repr(error))
            return None
        return Pending(
            row["run_id"],
            row["key"],
            row["token"],
            row["attempt"],
            json.loads(row["inputs"]),
            bool(row["alone"]),
            row["not_after"],
            flow,
            row["number"],
            row["trigger_type"],
        )


def _next_round(connection: Connection, group: str, turn: str, room: int, now: int) -> tuple[list[Any], bool, str]:
    """Up to `room` ready tasks, now dispatched: those of the highest priority that waits, and whatever made up for
    it by waiting; in equal shares of each flow, beginning after the flow `turn`. Then those below.
    """
    rows: list[Any] = []
    while len(rows) < room:
        heads = repository.ready_flows(connection, group)
        if not heads:
            return rows, False, turn
        flows, until = whose_turn([Head(*head) for head in heads], turn, now)
        found, turn = _shares(connection, group, flows, turn, until, room - len(rows), now)
        rows += found
    return rows, True, turn


def _shares(
    connection: Connection, group: str, flows: list[str], turn: str, until: int, room: int, now: int
) -> tuple[list[Any], str]:
    """An equal share of each; what one flow leaves of it is for the others."""
    rows: list[Any] = []
    while flows and len(rows) < room:
        share, more, taken = max(1, (room - len(rows)) // len(flows)), [], []
        for flow in flows[: room - len(rows)]:
            found = repository.ready_tasks(connection, group, flow, until, share)
            taken += found
            if found:
                turn = flow
            if len(found) == share:
                more.append(flow)
        repository.mark_dispatched(connection, now, [(row["run_id"], row["key"], row["token"]) for row in taken])
        rows += taken
        flows = more
    return rows, turn
