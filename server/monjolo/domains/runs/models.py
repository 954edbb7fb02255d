"""What a run is to the rest of the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from monjolo.domains.flows.models import CompiledFlow
from monjolo.engine.admission import DEFAULT_PRIORITY
from monjolo.engine.draft import Decision
from monjolo.engine.types import State


class NewRun(NamedTuple):
    """A wish for a run. `trigger` says what started it: `{"type": "schedule", "id": "noite", …}`."""

    flow_id: str
    inputs: Mapping[str, Any]
    trigger: Mapping[str, Any]
    version: int | None = None
    labels: Mapping[str, str] = MappingProxyType({})
    event: Mapping[str, Any] | None = None
    run_id: str | None = None
    actor: str | None = None
    idempotency_key: str | None = None
    parent: ParentStep | None = None
    repeat: Repeat | None = None
    priority: int | None = None  # the flow's, when nobody says otherwise


@dataclass(frozen=True, slots=True)
class ParentStep:
    """The step of another run that waits for this one."""

    run_id: str
    key: str
    token: int
    root_run_id: str
    depth: int
    priority: int = DEFAULT_PRIORITY  # of the run that it belongs to; asked for at acceptance alone


@dataclass(frozen=True, slots=True)
class Repeat:
    """The run that is run again, and what of it need not be done again, by key."""

    run_id: str
    reused: Mapping[str, Taken]


class RepeatWish(NamedTuple):
    """How a run is to be repeated."""

    from_step: str | None = None  # its id or key
    inputs: Mapping[str, Any] | None = None  # those of that run, when none are given
    newest: bool = False  # the version that is published now, not that run's
    priority: int | None = None


class Taken(NamedTuple):
    """How a step ended in the run that is repeated."""

    status: str
    reason: str | None
    output: Any
    error: dict[str, Any] | None


@dataclass(slots=True)
class Entry:
    """A run in memory: its state, the revision it has in the database, and what does not change about it."""

    state: State
    revision: int
    flow: CompiledFlow
    workspace_id: str
    number: int
    parent: ParentStep | None = None
    root_run_id: str = ""
    trigger_type: str = "manual"
    context_text: str = ""
    priority: int = DEFAULT_PRIORITY


@dataclass(slots=True)
class PreparedRun:
    """A run that is decided but not written: `RunsService.insert` writes it in the caller's transaction."""

    id: str
    number: int
    entry: Entry
    decision: Decision
    row: dict[str, Any]
    idempotency: tuple[str, str, str] | None = None  # scope, key, fingerprint
    duplicate_of: str | None = None  # set by insert: the run that the same key made before

    @property
    def effective_id(self) -> str:
        return self.duplicate_of or self.id
