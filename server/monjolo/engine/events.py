"""Facts the engine is told, in the past tense. Each carries `at`, the only clock there is.

`token` is the right to report: a fact with another token than the step's changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from monjolo.engine.types import Error, Instant, Json


@dataclass(frozen=True, slots=True)
class RunCreated:
    at: Instant


@dataclass(frozen=True, slots=True)
class SlotGranted:
    at: Instant
    key: str  # of the step; "" is the run itself


@dataclass(frozen=True, slots=True)
class SlotRefused:
    at: Instant
    key: str
    how: str  # skip | fail | full | coalesced
    by: str | None = None  # the run that waits in its place


@dataclass(frozen=True, slots=True)
class TaskStarted:
    at: Instant
    key: str
    token: int


@dataclass(frozen=True, slots=True)
class TaskClaimed:
    at: Instant
    key: str
    token: int
    worker: str


@dataclass(frozen=True, slots=True)
class TaskFinished:
    at: Instant
    key: str
    token: int
    status: str  # succeeded | failed | timed_out | cancelled | crashed
    started_at: Instant | None = None
    output: Json = None
    error: Error | None = None
    retry_after: int | None = None
    retryable: bool = True


@dataclass(frozen=True, slots=True)
class TaskReleased:
    at: Instant
    key: str
    token: int
    too_late: bool = False
    worker: str = ""  # a doubled message has two holders; only the one that was permitted may give it back


@dataclass(frozen=True, slots=True)
class TaskRedelivered:
    at: Instant
    key: str
    token: int


@dataclass(frozen=True, slots=True)
class TaskRefused:
    """It may not be dispatched: a secret or connection it names is not there."""

    at: Instant
    key: str
    token: int
    error: Error
    unknown: bool = False  # it may have run before the platform was restored


@dataclass(frozen=True, slots=True)
class DispatchLost:
    at: Instant
    key: str
    token: int


@dataclass(frozen=True, slots=True)
class LeaseExpired:
    at: Instant
    key: str
    token: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    at: Instant
    key: str
    kind: str  # retry | sleep | interval | timeout | queue_timeout | force_cancel
    token: int  # of an interval: the iteration that it comes before


@dataclass(frozen=True, slots=True)
class EventArrived:
    """An event of the type that a step waits for; `told` is when it was stored."""

    at: Instant
    key: str
    token: int
    told: Instant
    about: Json  # id, type, source, at, data


@dataclass(frozen=True, slots=True)
class ChildAccepted:
    at: Instant
    key: str
    token: int
    child: str


@dataclass(frozen=True, slots=True)
class ChildRefused:
    at: Instant
    key: str
    token: int
    error: Error


@dataclass(frozen=True, slots=True)
class ChildFinished:
    at: Instant
    key: str
    token: int
    status: str
    outputs: Json = None
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class CancelRequested:
    at: Instant
    reason: str
    force: bool = False


Event = (
    RunCreated
    | SlotGranted
    | SlotRefused
    | TaskStarted
    | TaskClaimed
    | TaskFinished
    | TaskReleased
    | TaskRedelivered
    | TaskRefused
    | DispatchLost
    | LeaseExpired
    | TimerFired
    | EventArrived
    | ChildAccepted
    | ChildRefused
    | ChildFinished
    | CancelRequested
)
