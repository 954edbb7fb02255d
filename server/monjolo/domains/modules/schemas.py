"""How modules look from outside."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from monjolo.domains.modules import manifest as manifests
from monjolo.domains.modules.models import Fault, ModuleVersion
from monjolo.domains.modules.service import Outcome
from monjolo.kit.time import to_rfc3339


class FaultView(BaseModel):
    path: str = Field(description="The file or folder inside the modules folder.")
    error: str
    module: str | None = Field(None, description="The module's id, where it is known.")
    traceback: str | None = None
    at: str


class ActionSummary(BaseModel):
    name: str
    uses: str = Field(description="What a step writes to use it.")
    title: str
    description: str | None = None
    effects: str


class ModuleSummary(BaseModel):
    id: str
    version: str
    title: str
    description: str | None = None
    state: str
    source: str = Field(description="built-in, file or folder")
    path: str
    digest: str
    actions: list[ActionSummary]
    fault: FaultView | None = Field(None, description="Why what was saved last is not in use, if it is not.")


class ModuleList(BaseModel):
    items: list[ModuleSummary]
    faults: list[FaultView] = Field(description="Everything in the modules folder that cannot be taken.")
    next: str | None = None
    total: int


class VersionView(BaseModel):
    version: str
    digest: str
    current: bool
    created_at: str


class ModuleView(ModuleSummary):
    manifest: dict[str, Any]
    readme: str | None = None
    versions: list[VersionView]


class ActionView(BaseModel):
    module: str
    version: str
    digest: str
    action: str
    uses: str
    title: str
    description: str | None = None
    effects: str
    inputs: dict[str, Any] = Field(description="JSON Schema 2020-12")
    outputs: dict[str, Any] = Field(description="JSON Schema 2020-12")
    permissions: dict[str, Any]
    connections: dict[str, str] = Field(description="Input name to connection type.")
    secrets: list[str] = Field(description="Names of inputs that take a secret.")
    examples: list[dict[str, Any]]


class UploadedSource(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=80, description="Such as site_check.py")
    source: str


class TryAction(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inputs: dict[str, Any] = Field(default_factory=dict)
    dry_run: bool = Field(False, description="Check the inputs only.")


class OutcomeView(BaseModel):
    status: str
    output: Any = None
    error: dict[str, Any] | None = None
    logs: list[dict[str, Any]]
    duration_seconds: float


def fault_view(fault: Fault) -> FaultView:
    return FaultView(
        path=fault.path,
        error=fault.error,
        module=fault.module,
        traceback=fault.traceback,
        at=to_rfc3339(fault.at),
    )


def summary(version: ModuleVersion, faults: list[Fault]) -> ModuleSummary:
    own = next((fault for fault in faults if fault.path == version.path), None)
    return ModuleSummary(
        id=version.id,
        version=version.version,
        title=str(version.manifest.get("title") or version.id),
        description=version.manifest.get("description"),
        state=str(version.manifest.get("state") or "stable"),
        source=version.origin,
        path=version.path,
        digest=version.digest,
        actions=[
            ActionSummary(
                name=name,
                uses=f"{version.id}/{name}",
                title=str(action.get("title") or name),
                description=action.get("description"),
                effects=str(action.get("effects", "write")),
            )
            for name, action in manifests.actions(version.manifest).items()
        ],
        fault=fault_view(own) if own else None,
    )


def module_view(
    version: ModuleVersion, versions: list[ModuleVersion], faults: list[Fault], readme: str | None
) -> ModuleView:
    return ModuleView(
        **summary(version, faults).model_dump(exclude={"fault"}),
        fault=summary(version, faults).fault,
        manifest=version.manifest,
        readme=readme,
        versions=[
            VersionView(
                version=one.version,
                digest=one.digest,
                current=one.current,
                created_at=to_rfc3339(one.created_at),
            )
            for one in versions
        ],
    )


def action_view(version: ModuleVersion, name: str, action: dict[str, Any]) -> ActionView:
    rules = manifests.rules(version.manifest, action)
    return ActionView(
        module=version.id,
        version=version.version,
        digest=version.digest,
        action=name,
        uses=f"{version.id}/{name}",
        title=str(action.get("title") or name),
        description=action.get("description"),
        effects=rules.effects,
        inputs=manifests.input_schema(action),
        outputs=manifests.output_schema(action),
        permissions=rules.permissions,
        connections=rules.connections,
        secrets=list(rules.secrets),
        examples=list(action.get("examples") or []),
    )


def outcome_view(outcome: Outcome) -> OutcomeView:
    return OutcomeView(
        status=outcome.status,
        output=outcome.output,
        error=outcome.error,
        logs=outcome.logs,
        duration_seconds=outcome.duration / 1_000_000,
    )
