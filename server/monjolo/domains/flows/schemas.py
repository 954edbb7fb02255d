"""What the API takes and gives about flows."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from monjolo.domains.flows.diff import Change
from monjolo.domains.flows.models import FlowHead, FlowVersion, Published
from monjolo.kit.errors import Problem
from monjolo.kit.time import to_rfc3339


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FlowInput(_Input):
    """A flow as text (YAML or JSON) or as an object; one of the two."""

    source: str | None = None
    document: dict[str, Any] | None = None
    message: str | None = Field(default=None, max_length=500)


class SourceInput(_Input):
    source: str


class PauseInput(_Input):
    reason: str | None = Field(default=None, max_length=500)


class ProblemView(BaseModel):
    path: str
    line: int | None
    column: int | None
    severity: Literal["error", "warning"]
    code: str
    message: str


class ProblemsView(BaseModel):
    problems: list[ProblemView]


class FlowView(BaseModel):
    id: str
    slug: str
    name: str
    description: str | None
    state: Literal["active", "paused", "draft"]
    pause_reason: str | None
    paused_by: str | None
    labels: dict[str, str]
    version: int
    draft: int | None
    revision: int
    created_at: str
    updated_at: str


class VersionView(BaseModel):
    number: int
    digest: str
    message: str | None
    author: str | None
    draft: bool
    created_at: str


class VersionDetail(VersionView):
    document: dict[str, Any]
    source: str
    modules: dict[str, dict[str, str]]
    """Each `uses` and the module, version and digest that it stands for in this version."""


class FlowDetail(FlowView):
    current: VersionDetail


class PublishedView(FlowView):
    """`published` is the number of the version that holds what was sent; `unchanged`: it was there already."""

    published: int
    unchanged: bool


class FlowPage(BaseModel):
    items: list[FlowView]
    next: str | None
    total: int


class VersionPage(BaseModel):
    items: list[VersionView]
    next: str | None
    total: int


class ChangeView(BaseModel):
    path: str
    kind: Literal["added", "removed", "changed", "moved"]
    before: Any
    after: Any


class DiffView(BaseModel):
    a: int
    b: int
    changes: list[ChangeView]
    text: str


def problems_view(problems: list[Problem]) -> ProblemsView:
    return ProblemsView.model_validate(
        {
            "problems": [
                {
                    "path": p.path,
                    "line": p.line,
                    "column": p.column,
                    "severity": p.severity,
                    "code": p.code,
                    "message": p.message,
                }
                for p in problems
            ]
        }
    )


def _flow(head: FlowHead) -> dict[str, Any]:
    return {
        "id": head.id,
        "slug": head.slug,
        "name": head.name,
        "description": head.description,
        "state": head.state,
        "pause_reason": head.pause_reason,
        "paused_by": head.paused_by,
        "labels": head.labels,
        "version": head.version,
        "draft": head.draft,
        "revision": head.revision,
        "created_at": to_rfc3339(head.created_at),
        "updated_at": to_rfc3339(head.updated_at),
    }


def flow_view(head: FlowHead) -> FlowView:
    return FlowView(**_flow(head))


def published_view(published: Published) -> PublishedView:
    number = published.version.number
    return PublishedView(**_flow(published.head), published=number, unchanged=published.unchanged)


def _version(version: FlowVersion) -> dict[str, Any]:
    return {
        "number": version.number,
        "digest": version.digest,
        "message": version.message,
        "author": version.author,
        "draft": version.draft,
        "created_at": to_rfc3339(version.created_at),
    }


def version_view(version: FlowVersion) -> VersionView:
    return VersionView(**_version(version))


def version_detail(version: FlowVersion) -> VersionDetail:
    modules = {
        uses: {key: action[key] for key in ("module", "version", "digest", "action")}
        for uses, action in version.resolved.items()
    }
    return VersionDetail(**_version(version), document=version.document, source=version.source, modules=modules)


def flow_detail(head: FlowHead, version: FlowVersion) -> FlowDetail:
    return FlowDetail(**_flow(head), current=version_detail(version))


def change_view(change: Change) -> ChangeView:
    return ChangeView(path=change.path, kind=change.kind, before=change.before, after=change.after)
