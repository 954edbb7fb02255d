"""Which runner runs what. Warm runners per bundle and limits, within a budget of memory and a number of slots.

A slot is a sync action that is running: a worker has `slots` of them, and one runner gives at most one.
Tasks known to be short queue behind each other in a runner; a task that travels alone gets a free one.
Async actions run side by side and take no slot.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from monjolo.worker.attempt import Attempt
from monjolo.worker.port import Bundle, WorkerDoor
from monjolo.worker.runner import Runner, RunnerEvents, RunnerFailed, RunnerPlace, RunnerState, limits_key
from monjolo_sdk.wire import Limits, TaskError

logger = structlog.get_logger(__name__)

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """`slots`: sync actions at once; `side`: async ones at once in a runner; `depth`: short ones in a queue."""

    slots: int
    side: int = 256
    depth: int = 64
    crowded: int = 16  # waiting in each runner before one more is started for short tasks
    memory_bytes: int = 1024 * 1024 * 1024  # of warm runners together; idle ones go first
    idle_seconds: float = 600.0
    limits: Limits = field(default_factory=Limits)


class PoolEvents(RunnerEvents, Protocol):
    def run(self, attempt: Attempt, runner: Runner) -> None:
        """The attempt has its runner: send it there (or claim it first)."""

    def not_startable(self, attempt: Attempt, error: TaskError, crashed: bool) -> None: ...
    def room(self) -> None:
        """Something ended: there may be room for more."""


class Crew:
    """The runners of one bundle under one set of limits, and the attempts that wait for one."""

    def __init__(self, digest: str, limits: Limits) -> None:
        self.digest = digest
        self.limits = limits
        self.bundle: Bundle | None = None
        self.preparing = False
        self.starting = 0
        self.runners: list[Runner] = []
        self.waiting: deque[Attempt] = deque()  # for a slot, or until it is known which actions are async
        self.waiting_side: deque[Attempt] = deque()
        self.actions: dict[str, bool] = {}

    def ready(self) -> Iterator[Runner]:
        return (runner for runner in self.runners if runner.state is RunnerState.READY)

    def enqueue(self, attempt: Attempt) -> None:
        (self.waiting_side if self.actions.get(attempt.task.action) else self.waiting).append(attempt)

    def learn(self, actions: dict[str, bool]) -> None:
        self.actions = actions
        for attempt in self.take_all():
            self.enqueue(attempt)

    def take_all(self) -> list[Attempt]:
        taken = [*self.waiting, *self.waiting_side]
        self.waiting.clear()
        self.waiting_side.clear()
        return taken


class Pool:
    def __init__(self, settings: PoolSettings, place: RunnerPlace, door: WorkerDoor, events: PoolEvents) -> None:
        self.settings = settings
        self._place, self._door, self._events = place, door, events
        self._crews: dict[Key, Crew] = {}
        self._known: dict[tuple[str, Limits], Crew] = {}  # the same by what tasks ask for
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._closing = False

    # --- what the worker asks

    def add(self, attempt: Attempt) -> None:
        task = attempt.task
        crew = self._known.get((task.digest, task.limits))
        if crew is None:
            crew = self._crew(task.digest, self._limits(task.limits))
            self._known[(task.digest, task.limits)] = crew
        crew.enqueue(attempt)
        self._serve(crew)

    def withdraw(self, attempt: Attempt) -> None:
        """The attempt waits no more."""
        for crew in self._crews.values():
            for queue in (crew.waiting, crew.waiting_side):
                if attempt in queue:
                    queue.remove(attempt)
        for runner in self.runners():
            if runner.reserved is attempt:
                runner.reserved = None
                self.changed(runner)

    async def warm(self, digest: str) -> None:
        """Starts a runner for `digest`, unless there is one."""
        crew = self._crew(digest, self._limits(Limits()))
        if not crew.runners and not crew.starting:
            self._start(crew)
        await asyncio.gather(*self._tasks)

    def runners(self) -> list[Runner]:
        return [runner for crew in self._crews.values() for runner in crew.runners]

    def all_long(self) -> bool:
        """Every slot is held by a task that will not end soon."""
        return sum(1 for runner in self.runners() if runner.long and runner.queue) >= self.settings.slots

    def stuck(self) -> list[Attempt]:
        """Who waits in vain when every slot is held by a long task; not those whose runner is being made."""
        if not self.all_long():
            return []
        return [attempt for crew in self._crews.values() if any(crew.ready()) for attempt in crew.waiting]

    def alone_waiting(self) -> int:
        """Tasks that need a free runner and have none; not those whose bundle is still being prepared."""
        return sum(
            1
            for crew in self._crews.values()
            if crew.waiting and crew.bundle is not None
            for attempt in crew.waiting
            if attempt.alone
        )

    def waiting(self) -> list[Attempt]:
        return [attempt for crew in self._crews.values() for attempt in (*crew.waiting, *crew.waiting_side)]

    async def close(self) -> None:
        """Ends every runner. What is still in one is lost."""
        self._closing = True
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        runners = self.runners()
        for runner in runners:
            runner.shut_down()
        await asyncio.gather(*(runner.wait_gone() for runner in runners))

    # --- what runners tell

    def changed(self, runner: Runner) -> None:
        """Something in `runner` ended, or it did."""
        if runner.state is RunnerState.GONE:
            self._remove(runner)
        elif not runner.busy:
            runner.idle_since = asyncio.get_running_loop().time()
            if runner.state is RunnerState.RETIRING:
                runner.retire()
            else:
                self._watch_idle()
        for crew in self._crews.values():
            if crew.waiting or crew.waiting_side:
                self._serve(crew)
        self._events.room()

    # --- placing

    def _serve(self, crew: Crew) -> None:
        if crew.bundle is None or not crew.runners:
            if not crew.starting:
                self._start(crew)
            return
        while crew.waiting_side and (runner := self._side_place(crew)) is not None:
            self._events.run(crew.waiting_side.popleft(), runner)
        while crew.waiting:
            lane = self._lane(crew, crew.waiting[0])
            if lane is None:
                if self._wants_more(crew):
                    self._start(crew)
                return
            self._give(crew.waiting.popleft(), lane)

    def _give(self, attempt: Attempt, runner: Runner) -> None:
        self._events.run(attempt, runner)
        if attempt.alone and runner.queue:
            runner.blocked = True

    def _side_place(self, crew: Crew) -> Runner | None:
        runner = min(crew.ready(), key=lambda runner: len(runner.side), default=None)
        return runner if runner is not None and len(runner.side) < self.settings.side else None

    def _lane(self, crew: Crew, attempt: Attempt) -> Runner | None:
        best = None
        for runner in crew.ready():
            if not runner.queue and runner.reserved is None:
                if self._busy_slots() < self.settings.slots:
                    return runner
            elif not attempt.alone and not runner.blocked and runner.reserved is None:
                depth = len(runner.queue)
                if depth < self.settings.depth and (best is None or depth < len(best.queue)):
                    best = runner
        if best is not None and len(best.queue) >= self.settings.crowded and self._wants_more(crew):
            self._start(crew)
        return best

    def _busy_slots(self) -> int:
        return sum(
            1 for crew in self._crews.values() for runner in crew.runners if runner.queue or runner.reserved is not None
        )

    def _wants_more(self, crew: Crew) -> bool:
        if crew.starting or len(crew.runners) >= self.settings.slots:
            return False
        idle = sum(1 for runner in crew.ready() if not runner.queue and runner.reserved is None)
        starting = sum(other.starting for other in self._crews.values())
        return not idle and self._busy_slots() + starting < self.settings.slots

    # --- starting and ending

    def _crew(self, digest: str, limits: Limits) -> Crew:
        key = (digest, *limits_key(limits))
        crew = self._crews.get(key)
        if crew is None:
            crew = self._crews[key] = Crew(digest, limits)
        return crew

    def _limits(self, wanted: Limits) -> Limits:
        usual = self.settings.limits
        return Limits(
            memory_bytes=wanted.memory_bytes or usual.memory_bytes,
            open_files=wanted.open_files or usual.open_files,
            processes=wanted.processes or usual.processes,
            file_bytes=wanted.file_bytes or usual.file_bytes,
        )

    def _start(self, crew: Crew) -> None:
        if self._closing:
            return
        crew.starting += 1
        task = asyncio.get_running_loop().create_task(self._bring_up(crew))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring_up(self, crew: Crew) -> None:
        runner: Runner | None = None
        failed: RunnerFailed | None = None
        try:
            if crew.bundle is None:
                crew.bundle = await self._door.bundle(crew.digest)
            self._make_room()
            runner = Runner(crew.bundle, crew.limits, self._place, self._events)
            crew.runners.append(runner)
            await runner.start()
            runner.idle_since = asyncio.get_running_loop().time()
            crew.learn(runner.actions)
        except RunnerFailed as error:
            failed = error
        except Exception as error:  # whatever the door says is the step's error, not the worker's end
            failed = RunnerFailed(TaskError(type(error).__name__, f"the module is not to be had: {error}"), False)
        finally:
            crew.starting -= 1
        if failed is not None:
            self._start_failed(crew, runner, failed)
        elif runner is not None:
            self.changed(runner)

    def _start_failed(self, crew: Crew, runner: Runner | None, failed: RunnerFailed) -> None:
        logger.warning("runner_not_started", digest=crew.digest, error=failed.error.message)
        if runner is not None and runner.state is RunnerState.GONE:
            self._remove(runner)
        if any(crew.ready()):
            return  # the others carry on
        for attempt in crew.take_all():
            self._events.not_startable(attempt, failed.error, failed.crashed)
        self._events.room()

    def _remove(self, runner: Runner) -> None:
        for key, crew in list(self._crews.items()):
            if runner in crew.runners:
                crew.runners.remove(runner)
            if not (crew.runners or crew.starting or crew.waiting or crew.waiting_side):
                del self._crews[key]
                self._known = {known: other for known, other in self._known.items() if other is not crew}

    def _make_room(self) -> None:
        """Ends idle runners, the longest idle first, while all together take more than the budget."""
        used = {runner: _resident_bytes(runner.pid) for runner in self.runners()}
        total = sum(used.values())
        for runner in sorted(used, key=lambda runner: runner.idle_since):
            if total <= self.settings.memory_bytes:
                return
            if not runner.busy and runner.state is RunnerState.READY:
                total -= used[runner]
                runner.retire()

    def _watch_idle(self) -> None:
        if self._idle_timer is None and not self._closing:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self.settings.idle_seconds, self._end_idle)

    def _end_idle(self) -> None:
        self._idle_timer = None
        latest = asyncio.get_running_loop().time() - self.settings.idle_seconds
        idle = [runner for runner in self.runners() if not runner.busy and runner.state is RunnerState.READY]
        for runner in idle:
            if runner.idle_since <= latest:
                runner.retire()
        if any(runner.state is RunnerState.READY for runner in idle):
            self._watch_idle()


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError, ValueError):
        return 0
