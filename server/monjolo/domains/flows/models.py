"""What a flow is to the rest of the program: its head, its versions, and a version compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from monjolo.flow_document import Compiled
from monjolo.storage.port import Connection

FlowState = Literal["active", "paused", "draft"]


@dataclass(frozen=True, slots=True)
class FlowHead:
    """One row of `flows`. `version` is the published one (0: none yet), `draft` the number of a newer draft."""

    id: str
    workspace_id: str
    slug: str
    name: str
    description: str | None
    state: FlowState
    pause_reason: str | None
    paused_by: str | None
    labels: dict[str, str]
    version: int
    draft: int | None
    revision: int
    created_at: int
    updated_at: int

    @property
    def runnable_version(self) -> int:
        """What a run takes when it names no version: the published one, or the draft of a flow without one."""
        return self.version or self.draft or 0


@dataclass(frozen=True, slots=True)
class FlowVersion:
    flow_id: str
    number: int
    document: dict[str, Any]
    source: str
    digest: str
    resolved: dict[str, Any]
    message: str | None
    author: str | None
    draft: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class CompiledFlow:
    flow_id: str
    workspace_id: str
    slug: str
    name: str
    version: int
    state: FlowState
    compiled: Compiled


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did: `created` a flow, made a version, or (`unchanged`) found nothing new."""

    head: FlowHead
    version: FlowVersion
    created: bool
    unchanged: bool


class TriggerBook(Protocol):
    """The rows that make a flow start by itself; kept by the triggers domain, in the caller's transaction."""

    def replace(self, connection: Connection, flow: FlowHead, triggers: Sequence[Mapping[str, Any]], now: int) -> None:
        """Make the rows of `flow` exactly these. Raises Conflict when a webhook's path is taken."""

    def set_live(self, connection: Connection, flow_id: str, *, live: bool, now: int) -> None:
        """Stop all triggers of a flow, or start them again from `now`."""

    def remove(self, connection: Connection, flow_id: str) -> None: ...

    def tell(self, connection: Connection, workspace_id: str, event: str, data: Mapping[str, Any], now: int) -> None:
        """Something happened to a flow: an event for whoever waits for it."""


class AuditTrail(Protocol):
    def __call__(
        self,
        connection: Connection,
        *,
        workspace_id: str,
        actor: str,
        action: str,
        object: str,
        detail: Mapping[str, Any],
        at: int,
    ) -> None: ...
