"""What the run endpoints take. What they give is described beside them and is plain JSON, for speed."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from monjolo.domains.runs.service import BULK

LabelName = Annotated[str, Field(min_length=1, max_length=100)]
LabelValue = Annotated[str, Field(max_length=200)]
Labels = Annotated[dict[LabelName, LabelValue], Field(max_length=50)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StartRun(_Strict):
    inputs: dict[str, Any] = Field(default_factory=dict)
    labels: Labels = Field(default_factory=dict)
    version: int | None = Field(None, ge=1, description="a version of the flow; the published one by default")


class BulkItem(_Strict):
    inputs: dict[str, Any] = Field(default_factory=dict)
    labels: Labels = Field(default_factory=dict)
    idempotency_key: str | None = Field(None, min_length=1, max_length=200)


class StartRuns(_Strict):
    items: list[BulkItem] = Field(min_length=1, max_length=BULK)


class CancelRun(_Strict):
    force: bool = Field(False, description="do not let handlers run, do not wait for steps to say they stopped")
    reason: str = Field("cancelled", max_length=500)


class RepeatRun(_Strict):
    from_step: str | None = Field(None, description="take over the outputs of the steps before this one")
    inputs: dict[str, Any] | None = Field(None, description="other inputs than that run's")
    version: str = Field("same", pattern="^(same|newest)$", description="same | newest")
