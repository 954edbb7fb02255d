"""The simulated broker: queues that lose, double and reorder what the seed says, and redeliver on death."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.simulation.database import Name


@dataclass(frozen=True, slots=True)
class Task:
    run: str
    key: str
    token: int
    attempt: int
    once: bool
    timeout: int | None
    not_after: int | None

    @property
    def name(self) -> Name:
        return (self.run, self.key, self.token)


@dataclass(slots=True)
class Message:
    tasks: tuple[Task, ...]
    marker: int | None = None
    redelivered: bool = False

    def __str__(self) -> str:
        named = ", ".join(f"{task.run}/{task.key}#{task.token}" for task in self.tasks)
        return f"[{named or 'marker'}]{' again' if self.redelivered else ''}"


@dataclass(frozen=True, slots=True)
class Report:
    kind: str  # started | claim | finished | released | redelivered | marker
    name: Name
    worker: str
    at: int
    status: str = ""
    too_late: bool = False

    def __repr__(self) -> str:
        return f"{self.kind} {self.status} {self.name[0]}/{self.name[1]}#{self.name[2]} by {self.worker}"


@dataclass(frozen=True, slots=True)
class Beat:
    worker: str
    held: tuple[Name, ...]


@dataclass(slots=True)
class Faults:
    """What may go wrong in this world; a calm world has none of it."""

    crash: float = 0.0
    lose: float = 0.0
    double: float = 0.0
    reorder: bool = False
    close_channel: float = 0.0
    outage: float = 0.0
    freeze: float = 0.0
    jump: float = 0.0
    fail: float = 0.0
    orchestrators_die: bool = False

    @property
    def any(self) -> bool:
        return bool(self.crash or self.lose or self.double or self.close_channel or self.outage or self.freeze
                    or self.jump or self.reorder)  # fmt: skip


class Broker:
    def __init__(self, random: Random, faults: Faults, note: Callable[..., None]) -> None:
        self.note = note
        self.random = random
        self.faults = faults
        self.up = True
        self.tasks: list[Message] = []
        self.reports: list[list[Report]] = []
        self.beats: list[Beat] = []
        self.controls: dict[str, list[tuple[str, Name, int]]] = {}
        self.unacked: dict[str, dict[int, Any]] = {}  # consumer -> tag -> message
        self._tag = 0

    def publish(self, message: Message) -> None:
        random, faults = self.random, self.faults
        if faults.lose and random.random() < faults.lose:
            self.note("  lost", None, message)
            return
        self.note("  published", None, message)
        self.tasks.append(message)
        if faults.double and random.random() < faults.double:
            self.tasks.append(Message(message.tasks, message.marker))

    def deliver(self, consumer: str) -> tuple[int, Message] | None:
        if not self.tasks or not self.up:
            return None
        at = self.random.randrange(len(self.tasks)) if self.faults.reorder else 0
        message = self.tasks.pop(at)
        self.note(f"  delivered to {consumer}", None, message)
        return self._hold(consumer, message), message

    def report(self, reports: list[Report]) -> None:
        random, faults = self.random, self.faults
        if faults.lose and random.random() < faults.lose:
            self.note("  lost", None, reports)
            return
        self.note("  told", None, reports)
        self.reports.append(reports)
        if faults.double and random.random() < faults.double:
            self.reports.append(reports)

    def take_reports(self, consumer: str) -> tuple[int, list[Report]] | None:
        if not self.reports or not self.up:
            return None
        at = self.random.randrange(len(self.reports)) if self.faults.reorder else 0
        reports = self.reports.pop(at)
        return self._hold(consumer, reports), reports

    def _hold(self, consumer: str, message: Any) -> int:
        self._tag += 1
        self.unacked.setdefault(consumer, {})[self._tag] = message
        return self._tag

    def ack(self, consumer: str, tag: int) -> None:
        """A tag of a channel that was closed meanwhile means nothing any more."""
        self.unacked.get(consumer, {}).pop(tag, None)

    def close(self, consumer: str) -> None:
        """The consumer died, or its channel did: what it has not acknowledged goes back to the head."""
        for message in reversed(list(self.unacked.pop(consumer, {}).values())):
            if isinstance(message, Message):
                message.redelivered = True
                self.tasks.insert(0, message)
            else:
                self.reports.insert(0, message)

    def control(self, worker: str, order: tuple[str, Name, int]) -> None:
        if not (self.faults.lose and self.random.random() < self.faults.lose):
            self.controls.setdefault(worker, []).append(order)

    def beat(self, beat: Beat) -> bool:
        if self.faults.lose and self.random.random() < self.faults.lose:
            return False
        self.beats.append(beat)
        return True
