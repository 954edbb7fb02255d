"""Orders the engine gives, in the imperative: rows of the same transaction as the new state."""

from __future__ import annotations

from typing import NamedTuple

from monjolo.engine.types import Duration, Instant, Json


class Dispatch(NamedTuple):
    key: str
    token: int
    attempt: int
    inputs: Json
    alone: bool
    at_most_once: bool
    timeout: Duration | None
    not_after: Instant | None


class CancelTask(NamedTuple):
    key: str
    token: int


class Permit(NamedTuple):
    key: str
    token: int
    worker: str


class StartTimer(NamedTuple):
    """One per (key, kind): a newer one takes the place of the older."""

    key: str
    kind: str
    token: int
    due_at: Instant


class ClearTimers(NamedTuple):
    key: str


class AwaitEvent(NamedTuple):
    """From `since` on, an event of this type is told to the step; what was stored after it counts as well."""

    key: str
    token: int
    event: str
    since: Instant


class StopWaiting(NamedTuple):
    key: str


class AcquireSlot(NamedTuple):
    key: str
    slot: str
    limit: int
    on_limit: str
    max_queued: int | None = None
    coalesce: str = "none"


class ReleaseSlot(NamedTuple):
    key: str
    slot: str


class StartChild(NamedTuple):
    key: str
    token: int
    flow: str
    version: int | None
    inputs: Json


class CancelChild(NamedTuple):
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
