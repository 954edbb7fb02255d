"""How secrets, connections and variables look from outside. No answer has a place for a secret value."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from monjolo.domains.connections.models import Sealed, Variable
from monjolo.kit.time import to_rfc3339

Title = Annotated[str, StringConstraints(max_length=200)]
Value = Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
Hosts = Annotated[
    list[Annotated[str, StringConstraints(pattern=r"^(\*\.)?[A-Za-z0-9.:_-]+$", max_length=253)]],
    Field(max_length=50),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NewSecret(_Body):
    name: str
    value: Value
    title: Title | None = None


class SecretChange(_Body):
    value: Value = ""
    title: Title | None = None


class NewConnection(_Body):
    name: str
    type: str
    fields: dict[str, Any]
    title: Title | None = None
    hosts: Hosts | None = Field(
        default=None, description="The only hosts its secrets may be sent to; left out: those of the type."
    )


class ConnectionChange(_Body):
    fields: dict[str, Any] = Field(default={}, description="What is not named stays; null removes a field.")
    title: Title | None = None
    hosts: Hosts = []


class NewVariable(_Body):
    name: str
    value: Any


class VariableChange(_Body):
    value: Any


class SecretView(BaseModel):
    id: str
    name: str
    title: str | None
    revision: int
    created_at: str
    updated_at: str
    last_used_at: str | None


class ConnectionView(SecretView):
    type: str
    fields: dict[str, Any] = Field(description="Those that are not secret.")
    hosts: list[str]


class VariableView(BaseModel):
    name: str
    value: Any
    revision: int
    updated_at: str


class ConnectionTypeView(BaseModel):
    id: str
    title: str
    description: str
    hosts: list[str]
    secrets: list[str]
    fields: dict[str, Any] = Field(description="The JSON Schema of the fields.")


class SecretPage(BaseModel):
    items: list[SecretView]
    next: str | None
    total: int


class ConnectionPage(BaseModel):
    items: list[ConnectionView]
    next: str | None
    total: int


class VariablePage(BaseModel):
    items: list[VariableView]
    next: str | None
    total: int


class ConnectionTypes(BaseModel):
    items: list[ConnectionTypeView]


def secret_view(sealed: Sealed) -> SecretView:
    return SecretView(**_common(sealed))


def connection_view(sealed: Sealed) -> ConnectionView:
    return ConnectionView(**_common(sealed), type=sealed.type or "", fields=sealed.fields, hosts=sealed.hosts)


def variable_view(variable: Variable) -> VariableView:
    return VariableView(
        name=variable.name,
        value=variable.value,
        revision=variable.revision,
        updated_at=to_rfc3339(variable.updated_at),
    )


def _common(sealed: Sealed) -> dict[str, Any]:
    return {
        "id": sealed.id,
        "name": sealed.name,
        "title": sealed.title,
        "revision": sealed.revision,
        "created_at": to_rfc3339(sealed.created_at),
        "updated_at": to_rfc3339(sealed.updated_at),
        "last_used_at": None if sealed.last_used_at is None else to_rfc3339(sealed.last_used_at),
    }
