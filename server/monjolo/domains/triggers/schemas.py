"""What the API takes and gives about triggers."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monjolo.domains.triggers.backfill import Plan
from monjolo.domains.triggers.models import Backfill, TickRow
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


class NamedTick(BaseModel):
    model_config = ConfigDict(extra="forbid")

    trigger: str
    instant: str


class CatchUpInput(BaseModel):
    """Which ticks to run: the named ones, or those of a span (and of one trigger) with one of these statuses.

    `from` is part of the span, `to` is not; without them it has no bound. `after` is the `next` of the call before.
    """

    model_config = ConfigDict(extra="forbid")

    ticks: list[NamedTick] | None = Field(default=None, min_length=1, max_length=1000)
    trigger: str | None = None
    from_: str | None = Field(default=None, alias="from")
    to: str | None = None
    status: list[Literal["missed", "coalesced", "skipped"]] = Field(
        default=["missed", "coalesced", "skipped"], min_length=1
    )
    limit: int = Field(default=100, ge=1, le=1000)
    after: str | None = Field(default=None, max_length=500)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.ticks is not None and self.model_fields_set != {"ticks"}:
            raise ValueError("`ticks` names each one: no other key goes with it")
        return self


class CaughtUpView(TickView):
    """A tick as it is now. `new`: this call made its run."""

    new: bool


class CatchUpView(BaseModel):
    items: list[CaughtUpView]
    next: str | None


class BackfillInput(BaseModel):
    """`from` is part of the span, `to` is not. `trigger` may be left out when the flow has only one by the clock."""

    model_config = ConfigDict(extra="forbid")

    from_: str = Field(alias="from")
    to: str
    trigger: str | None = None
    reprocess: Literal["none", "failed", "all"] = "none"
    max_active: int = Field(default=10, ge=1, le=1000)
    order: Literal["asc", "desc"] = "asc"
    dry_run: bool = False


class PlanView(BaseModel):
    """`instants` of the span, how many of them would get `runs`, and the first and the last of them."""

    trigger: str
    instants: int
    runs: int
    first: str | None
    last: str | None


class BackfillView(BaseModel):
    """`started` runs, instants `passed` over because they had one, or `declined` by the trigger or the inputs."""

    id: str
    flow: str
    trigger: str
    state: Literal["running", "done", "cancelled"]
    reason: str | None
    from_: str = Field(alias="from")
    to: str
    reprocess: str
    order: str
    max_active: int
    instants: int
    started: int
    passed: int
    declined: int
    left: int
    succeeded: int
    failed: int
    actor: str
    created_at: str
    finished_at: str | None


class BackfillPage(BaseModel):
    items: list[BackfillView]
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


def plan_view(plan: Plan) -> PlanView:
    return PlanView(
        trigger=plan.trigger,
        instants=plan.instants,
        runs=plan.runs,
        first=None if plan.first is None else to_rfc3339(plan.first),
        last=None if plan.last is None else to_rfc3339(plan.last),
    )


def backfill_view(backfill: Backfill, flow: str) -> BackfillView:
    seen = backfill.started + backfill.passed + backfill.declined
    return BackfillView.model_validate(
        {
            "id": backfill.id,
            "flow": flow,
            "trigger": backfill.trigger_name,
            "state": backfill.state,
            "reason": backfill.reason,
            "from": to_rfc3339(backfill.low),
            "to": to_rfc3339(backfill.high),
            "reprocess": backfill.reprocess,
            "order": backfill.direction,
            "max_active": backfill.max_active,
            "instants": backfill.instants,
            "started": backfill.started,
            "passed": backfill.passed,
            "declined": backfill.declined,
            "left": backfill.instants - seen,
            "succeeded": backfill.succeeded,
            "failed": backfill.failed,
            "actor": backfill.actor,
            "created_at": to_rfc3339(backfill.created_at),
            "finished_at": None if backfill.finished_at is None else to_rfc3339(backfill.finished_at),
        }
    )
