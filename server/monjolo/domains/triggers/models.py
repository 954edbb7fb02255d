"""A trigger as it lies in the database, and what the other parts are to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from monjolo.domains.flows.models import CompiledFlow
from monjolo.domains.runs.models import NewRun
from monjolo.storage.port import Connection

SECONDS_REMEMBERED = 24 * 60 * 60  # a delivery's or an event's id, contract C11

FindSecret = Callable[[str, str], Awaitable[str | None]]
"""The value of a workspace's secret by name; None when there is none."""

VariablesOf = Callable[[str, Sequence[str]], Awaitable[dict[str, Any]]]
"""The values of a workspace's variables with these names."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One row of `triggers`. `config` is the trigger as the flow document has it.

    `next_at` is when to wake for `instant`, the nominal time of its next tick; both None when it is stopped.
    `since` is when this configuration was published.
    """

    id: str
    workspace_id: str
    flow_id: str
    name: str
    type: str
    config: dict[str, Any]
    enabled: bool
    path: str | None
    event: str | None
    next_at: int | None
    instant: int | None
    since: int


@dataclass(frozen=True, slots=True)
class TickRow:
    trigger_id: str
    instant: int
    flow_id: str
    status: str
    late: bool
    run_id: str | None
    reason: str | None
    decided_at: int


@dataclass(frozen=True, slots=True)
class Backfill:
    """One row of `backfills`: runs for the instants of a trigger in [low, high).

    Going up, what is below `place` has been looked at; going down, what is not below it.
    """

    id: str
    workspace_id: str
    flow_id: str
    trigger_id: str
    trigger_name: str
    config: dict[str, Any]
    since: int
    low: int
    high: int
    place: int
    reprocess: str
    direction: str
    max_active: int
    instants: int
    actor: str
    created_at: int
    state: str = "running"
    reason: str | None = None
    started: int = 0
    passed: int = 0
    declined: int = 0
    succeeded: int = 0
    failed: int = 0
    revision: int = 0
    finished_at: int | None = None

    @property
    def left(self) -> tuple[int, int]:
        """The part of its span that is yet to be looked at."""
        return (self.place, self.high) if self.direction == "asc" else (self.low, self.place)


@dataclass(frozen=True, slots=True)
class InternalEvent:
    """One row of `events`: something that happened, inside the platform or told to it."""

    id: str
    workspace_id: str
    type: str
    data: dict[str, Any]
    source: str
    at: int


class Prepared(Protocol):
    """A run that is decided but not written."""

    @property
    def id(self) -> str: ...


class Runs(Protocol):
    """What triggers ask of the runs domain."""

    async def prepare(self, workspace_id: str, new: Sequence[NewRun]) -> Sequence[Any]: ...

    def insert(self, connection: Connection, prepared: Sequence[Any]) -> None: ...

    def committed(self, prepared: Sequence[Any]) -> None: ...

    async def result(self, workspace_id: str, run_id: str, wait: int) -> tuple[dict[str, Any], bool]: ...


class Flows(Protocol):
    async def compiled(self, flow_id: str, version: int | None = None) -> CompiledFlow: ...

    async def at_hand(self, wanted: Iterable[tuple[str, int | None]]) -> None: ...
