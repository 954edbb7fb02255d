"""Orders the engine gives, in the imperative: rows of the same transaction as the new state."""

from __future__ import annotations

from dataclasses import dataclass

from monjolo.engine.types import Duration, Instant, Json


@dataclass(frozen=True, slots=True)
class Dispatch:
    key: str
    token: int
    attempt: int
    inputs: Json
    alone: bool
    at_most_once: bool
    timeout: Duration | None
    not_after: Instant | None


@dataclass(frozen=True, slots=True)
class CancelTask:
    key: str
    token: int


@dataclass(frozen=True, slots=True)
class Permit:
    key: str
    token: int
    worker: str


@dataclass(frozen=True, slots=True)
class StartTimer:
    """One per (key, kind): a newer one takes the place of the older."""

    key: str
    kind: str
    token: int
    due_at: Instant


@dataclass(frozen=True, slots=True)
class ClearTimers:
    key: str


@dataclass(frozen=True, slots=True)
class AwaitEvent:
    """From `since` on, an event of this type is told to the step; what was stored after it counts as well."""

    key: str
    token: int
    event: str
    since: Instant


@dataclass(frozen=True, slots=True)
class StopWaiting:
    key: str


@dataclass(frozen=True, slots=True)
class AcquireSlot:
    key: str
    slot: str
    limit: int
    on_limit: str
    max_queued: int | None = None
    coalesce: str = "none"


@dataclass(frozen=True, slots=True)
class ReleaseSlot:
    key: str
    slot: str


@dataclass(frozen=True, slots=True)
class StartChild:
    key: str
    token: int
    flow: str
    version: int | None
    inputs: Json


@dataclass(frozen=True, slots=True)
class CancelChild:
    key: str
    child: str | None
    token: int
    reason: str


Command = (
    Dispatch
    | CancelTask
    | Permit
    | StartTimer
    | ClearTimers
    | AwaitEvent
    | StopWaiting
    | AcquireSlot
    | ReleaseSlot
    | StartChild
    | CancelChild
)
