"""A simulated worker: what `monjolo.worker` promises about messages, permits, heartbeats and cancels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.simulation.broker import Beat, Message, Report, Task
from tests.simulation.database import Name

SECOND = 1_000_000
WAIT = object()  # yielded by a process that has nothing to do before time moves on
PERMIT_WAIT = 15 * SECOND


class WorkerDied(Exception):
    """The step took its worker down with it."""


class Worker:
    def __init__(self, world: Any, number: int) -> None:
        self.world = world
        self.number = number
        self.session = 0
        self.frozen = False
        self.begin_session()

    def begin_session(self) -> None:
        self.session += 1
        self.id = f"w{self.number}.{self.session}"
        self.held: dict[Name, bool] = {}
        self.known: dict[Name, bool] = {}  # whatever this session has taken: a second copy is not touched
        self.cancelled: dict[Name, bool] = {}
        self.permits: dict[Name, int] = {}
        self.last_beat = self.world.mono
        self.silent = True  # no heartbeat has been heard of since something went wrong

    def die(self) -> None:
        self.world.broker.close(self.id)
        self.world.broker.controls.pop(self.id, None)
        self.begin_session()

    def beat(self) -> None:
        """Every five seconds of its own clock, whatever its steps do."""
        world = self.world
        if self.frozen:
            self.silent = True
        elif world.broker.up and world.mono - self.last_beat >= 5 * SECOND:
            self.last_beat = world.mono
            heard = world.broker.beat(Beat(self.id, tuple(self.held)))
            self.silent = not heard

    def hear(self) -> None:
        orders = self.world.broker.controls.get(self.id)
        while orders:
            kind, name, deadline = orders.pop(0)
            if kind == "cancel":
                self.cancelled[name] = True
            elif name in self.held:
                self.permits[name] = deadline

    def ready(self) -> bool:
        return bool(self.world.broker.tasks) and self.world.broker.up

    # --- one message ----------------------------------------------------------------------------------------

    def work(self) -> Iterator[Any]:
        world = self.world
        taken = world.broker.deliver(self.id)
        if taken is None:
            return
        tag, message = taken
        me = self.id
        redelivered = message.redelivered
        if world.bug == "ack before claim":
            world.broker.ack(me, tag)
        if message.marker is not None:
            yield from self._say(Report("marker", ("", "", message.marker), me, world.now))
        elif redelivered and world.bug != "run a redelivered message":
            yield from self._say(*[Report("redelivered", task.name, me, world.now) for task in message.tasks])
        else:
            fresh = [task for task in message.tasks if task.name not in self.known]
            for task in fresh:
                self.held[task.name] = True
                if world.bug != "run a doubled message again":
                    self.known[task.name] = True
            yield None
            yield from self._run_all(fresh, tag)
        world.broker.ack(me, tag)

    def _say(self, *reports: Report) -> Iterator[Any]:
        """Returns when the broker has confirmed."""
        while not self.world.broker.up:
            yield WAIT
        self.world.broker.report(list(reports))
        yield None

    def _run_all(self, tasks: list[Task], tag: int) -> Iterator[Any]:
        waiting = list(tasks)
        while waiting:
            task = waiting.pop(0)
            report = yield from self._attempt(task, waiting, tag)
            yield from self._say(report)
            self.held.pop(task.name, None)
            self.permits.pop(task.name, None)
            if self.world.bug == "ack a shared message at its first report":
                self.world.broker.ack(self.id, tag)

    def _attempt(self, task: Task, behind: list[Task], tag: int) -> Iterator[Any]:
        """One task, to its report."""
        world, me = self.world, self.id
        if world.bug != "cancel forgets what is queued" and task.name in self.cancelled:
            return Report("finished", task.name, me, world.now, "cancelled")
        if task.not_after is not None and world.now > task.not_after:
            return Report("released", task.name, me, world.now, too_late=True)
        if task.once:
            yield from self._say(Report("claim", task.name, me, world.now))
            if world.bug != "start without a permit" and not (yield from self._permitted(task)):
                return Report("released", task.name, me, world.now)
            world.broker.ack(me, tag)
        return (yield from self._do(task, behind, tag))

    def _permitted(self, task: Task) -> Iterator[Any]:
        until = self.world.now + PERMIT_WAIT
        while self.world.now <= until:
            deadline = self.permits.get(task.name)
            if deadline is not None:
                return self.world.now <= deadline and task.name not in self.cancelled
            if task.name in self.cancelled:
                return False
            yield WAIT
        return False

    def _do(self, task: Task, behind: list[Task], tag: int) -> Iterator[Any]:
        world, me, random = self.world, self.id, self.world.random
        world.watch.effect(task, self)
        if "deadly" in task.key:
            yield None
            raise WorkerDied
        begun = world.now
        lasts = random.choice((0, 0, 0, 0, 2, 8, 40, 70)) * SECOND
        told = task.once
        yield None
        while world.now < begun + lasts:
            if task.name in self.cancelled:
                return Report("finished", task.name, me, world.now, "cancelled")
            if task.timeout is not None and world.now > begun + task.timeout:
                return Report("finished", task.name, me, world.now, "timed_out")
            if not told and world.now > begun + SECOND:
                told = True
                yield from self._leased(task, behind, tag)
            yield WAIT
        good = not world.faults.fail or random.random() >= world.faults.fail
        return Report("finished", task.name, me, world.now, "succeeded" if good else "failed")

    def _leased(self, task: Task, behind: list[Task], tag: int) -> Iterator[Any]:
        """A long task: from now on it is covered by its lease, and those behind it are given back."""
        now = self.world.now
        given_back = [Report("released", other.name, self.id, now) for other in behind]
        yield from self._say(Report("started", task.name, self.id, now), *given_back)
        for other in behind:
            self.held.pop(other.name, None)
        behind.clear()
        self.world.broker.ack(self.id, tag)


def message_of(tasks: list[Task]) -> Message:
    return Message(tuple(tasks))
