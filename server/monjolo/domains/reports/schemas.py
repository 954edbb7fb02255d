"""What the API gives to who looks at the whole: how the runs went, and what comes next."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

FlowState = Literal["active", "failing", "finished", "paused", "draft"]
WindowName = Literal["24h", "7d", "30d"]


class BucketView(BaseModel):
    at: str
    ok: int
    failed: int
    other: int = Field(description="cancelled or skipped")
    scheduled: int = Field(description="runs that schedules will start; only for what is to come")


class TotalsView(BaseModel):
    """`ok`, `failed` and `other` are the sums of the buckets, and `runs` is theirs."""

    runs: int
    ok: int
    failed: int
    other: int
    before: int = Field(description="runs that ended in the window before this one")
    causes: int = Field(description="different (flow, step, type of error) of the failures")
    running: int
    queued: int
    waiting: int
    oldest_queued_at: str | None
    scheduled: int
    scheduled_is_least: bool = Field(description="there are more than could be counted in time")


class RhythmView(BaseModel):
    run: str
    number: int
    status: str
    ms: int | None


class LastView(BaseModel):
    run: str
    number: int
    status: str
    created_at: str
    finished_at: str | None
    ms: int | None
    step: str | None = Field(description="where it failed, or what it does now")
    error: str | None
    summary: str | None = Field(description="`summary`, `resumo` or `text` of its outputs")


class StarterView(BaseModel):
    type: str
    cron: str | None = None
    every: str | None = None
    timezone: str | None = None
    event: str | None = None
    path: str | None = None
    enabled: bool


class FlowRow(BaseModel):
    slug: str
    name: str
    state: FlowState
    pause_reason: str | None
    paused_by: str | None
    labels: dict[str, str]
    version: int
    updated_at: str
    triggers: list[StarterView]
    rhythm: list[RhythmView] = Field(description="the last runs, the oldest first")
    last: LastView | None
    streak: int = Field(description="failures in a row, up to the length of the rhythm")
    failing_since: str | None
    typical_ms: int | None = Field(description="how long a success takes: the median of the rhythm")
    next_at: str | None
    needs_inputs: bool = Field(description="an input has to be given before it can run")


class RunningView(BaseModel):
    run: str
    number: int
    flow: str
    name: str
    step: str | None
    started_at: str
    typical_ms: int | None


class NextRunView(BaseModel):
    flow: str
    name: str
    at: str


class StateCounts(BaseModel):
    all: int
    active: int
    failing: int
    finished: int
    paused: int
    draft: int


class SlotsView(BaseModel):
    workers: int
    slots: int
    held: int


class DashboardView(BaseModel):
    now: str
    window: WindowName
    bucket_seconds: int
    past: int = Field(description="how many of the buckets have begun; the others are to come")
    buckets: list[BucketView]
    totals: TotalsView
    states: StateCounts
    flows: list[FlowRow]
    running: list[RunningView]
    next: list[NextRunView]
    workers: SlotsView


class FlowRows(BaseModel):
    items: list[FlowRow]
    next: str | None
    states: StateCounts
    total: int


class RecipeView(BaseModel):
    id: str
    name: str
    description: str
    source: str
    needs_inputs: bool


class RecipeList(BaseModel):
    items: list[RecipeView]


Label = Annotated[str, Field(max_length=200, description="`key` or `key:value`")]
