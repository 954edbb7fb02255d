"""Facts the engine is told, in the past tense. Each carries `at`, the only clock there is.

`token` is the right to report: a fact with another token than the step's changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from monjolo.engine.types import Error, Instant, Json


class RunCreated(NamedTuple):
    at: Instant


class SlotGranted(NamedTuple):
    at: Instant
    key: str  # of the step; "" is the run itself


class SlotRefused(NamedTuple):
    at: Instant
    key: str
    how: str  # skip | fail | full | coalesced
    by: str | None = None  # the run that waits in its place


class TaskStarted(NamedTuple):
    at: Instant
    key: str
    token: int


class TaskClaimed(NamedTuple):
    at: Instant
    key: str
    token: int
    worker: str


class TaskFinished(NamedTuple):
    at: Instant
    key: str
    token: int
    status: str  # succeeded | failed | timed_out | cancelled | crashed
    started_at: Instant | None = None
    output: Json = None
    error: Error | None = None
    retry_after: int | None = None
    retryable: bool = True


class TaskReleased(NamedTuple):
    at: Instant
    key: str
    token: int
    too_late: bool = False
    worker: str = ""  # a doubled message has two holders; only the one that was permitted may give it back


class TaskRedelivered(NamedTuple):
    at: Instant
    key: str
    token: int


class TaskRefused(NamedTuple):
    """It may not be dispatched: a secret or connection it names is not there."""

    at: Instant
    key: str
    token: int
    error: Error
    unknown: bool = False  # it may have run before the platform was restored


class DispatchLost(NamedTuple):
    at: Instant
    key: str
    token: int


class LeaseExpired(NamedTuple):
    at: Instant
    key: str
    token: int


class TimerFired(NamedTuple):
    at: Instant
    key: str
    kind: str  # retry | sleep | interval | timeout | queue_timeout | force_cancel
    token: int  # of an interval: the iteration that it comes before


class EventArrived(NamedTuple):
    """An event of the type that a step waits for; `told` is when it was stored."""

    at: Instant
    key: str
    token: int
    told: Instant
    about: Json  # id, type, source, at, data


class ChildAccepted(NamedTuple):
    at: Instant
    key: str
    token: int
    child: str


class ChildRefused(NamedTuple):
    at: Instant
    key: str
    token: int
    error: Error


class ChildFinished(NamedTuple):
    at: Instant
    key: str
    token: int
    status: str
    outputs: Json = None
    error: Error | None = None


class CancelRequested(NamedTuple):
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
