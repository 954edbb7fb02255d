"""What the run endpoints take. What they give is described beside them and is plain JSON, for speed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from monjolo.domains.runs.service import BULK
from monjolo.http.paging import Number

LabelName = Annotated[str, Field(min_length=1, max_length=100)]
LabelValue = Annotated[str, Field(max_length=200)]
Labels = Annotated[dict[LabelName, LabelValue], Field(max_length=50)]


Priority = Annotated[int | None, Field(ge=0, le=100, description="who is served first; the flow's by default")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StartRun(_Strict):
    inputs: dict[str, Any] = Field(default_factory=dict)
    labels: Labels = Field(default_factory=dict)
    version: Number | None = Field(None, description="a version of the flow; the published one by default")
    priority: Priority = None


class BulkItem(_Strict):
    inputs: dict[str, Any] = Field(default_factory=dict)
    labels: Labels = Field(default_factory=dict)
    idempotency_key: str | None = Field(None, min_length=1, max_length=200)
    priority: Priority = None


class StartRuns(_Strict):
    items: list[BulkItem] = Field(min_length=1, max_length=BULK)


class CancelRun(_Strict):
    force: bool = Field(False, description="do not let handlers run, do not wait for steps to say they stopped")
    reason: str = Field("cancelled", max_length=500)


class RepeatRun(_Strict):
    from_step: str | None = Field(
        None, max_length=500, description="its id, or its key below items; what does not come after it is taken over"
    )
    inputs: dict[str, Any] | None = Field(None, description="other inputs than that run's")
    version: Literal["same", "newest"] = Field("same", description="of the flow: that run's, or the published one")
    priority: Priority = None


class RunFilter(_Strict):
    """As the list of runs takes it; at least one of them."""

    flow: str | None = None
    number: Number | None = None
    status: list[str] | str | None = Field(None, description="some, as a list or by commas")
    trigger: str | None = None
    q: str | None = Field(None, max_length=200)
    from_: str | None = Field(None, alias="from", description="an instant")
    to: str | None = Field(None, description="an instant")
    parent: str | None = None


class ManyRuns(_Strict):
    filter: RunFilter
    action: Literal["cancel", "repeat"]
    dry_run: bool = Field(False, description="how many there are, and the newest ten; changes nothing")
    limit: int = Field(BULK, ge=1, le=BULK, description="how many of them now; `next` goes on from there")
    after: str | None = Field(None, max_length=500, description="`next` of the answer before")
    force: bool = Field(False, description="of a cancel: do not let handlers run, do not wait for steps")
    reason: str = Field("cancelled", max_length=500, description="of a cancel")
    from_step: str | None = Field(None, max_length=500, description="of a repeat")
    version: Literal["same", "newest"] = Field("same", description="of a repeat")
    priority: Priority = None
