"""What the API takes and gives about triggers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from monjolo.domains.triggers.models import TickRow
from monjolo.kit.time import to_rfc3339

TickStatusName = Literal["ran", "missed", "coalesced", "skipped"]


class EventInput(BaseModel):
    """Something that happened. The same `id` within 24 hours is the same event."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")
    data: dict[str, Any] = Field(default_factory=dict)
    id: str | None = Field(default=None, min_length=1, max_length=200)


class EventView(BaseModel):
    id: str
    duplicate: bool


class HookView(BaseModel):
    """The run that the call made. `skipped`: the trigger's `when` declined it."""

    id: str | None
    number: int | None
    status: str
    reason: str | None = None


class TickView(BaseModel):
    trigger: str
    instant: str
    status: TickStatusName
    late: bool
    run_id: str | None
    reason: str | None
    decided_at: str


class TickPage(BaseModel):
    items: list[TickView]
    next: str | None


class NextView(BaseModel):
    trigger: str
    instant: str


class NextList(BaseModel):
    items: list[NextView]


class TriggerView(BaseModel):
    id: str
    name: str
    type: str
    enabled: bool
    next_at: str | None
    url: str | None
    """Where a webhook listens, below the address of the platform."""
    event: str | None


class TriggerList(BaseModel):
    items: list[TriggerView]


def tick_view(tick: TickRow, trigger: str) -> TickView:
    return TickView.model_validate(
        {
            "trigger": trigger,
            "instant": to_rfc3339(tick.instant),
            "status": tick.status,
            "late": tick.late,
            "run_id": tick.run_id,
            "reason": tick.reason,
            "decided_at": to_rfc3339(tick.decided_at),
        }
    )
