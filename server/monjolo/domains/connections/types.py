"""The types of connections: those that are built in, those of the modules, and what their fields must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from monjolo.domains.connections.models import ConnectionTypes
from monjolo.kit.errors import InvalidInput, NotFound, Problem

Type = Mapping[str, Any]


def _text(title: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "title": title, "maxLength": 16_384, **more}


def _type(
    id: str,
    title: str,
    description: str,
    fields: dict[str, Any],
    *,
    required: tuple[str, ...],
    secrets: tuple[str, ...],
) -> dict[str, Any]:
    for name in secrets:
        fields[name]["x-monjolo-secret"] = True
    schema = {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}
    return {
        "id": id, "title": title, "description": description, "hosts": [], "secrets": list(secrets),
        "fields": schema,
    }  # fmt: skip


_GENERIC = "generic"
BUILT_IN: dict[str, dict[str, Any]] = {
    _GENERIC: {
        "id": _GENERIC,
        "title": "Any fields",
        "description": "Texts under names of your own; all of them are secret.",
        "hosts": [],
        "secrets": [],
        "fields": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 50,
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"},
            "additionalProperties": {"type": "string", "maxLength": 16_384, "x-monjolo-secret": True},
        },
    },
    "http_basic": _type(
        "http_basic", "User name and password", "For HTTP basic authentication.",
        {"username": _text("User name"), "password": _text("Password")},
        required=("username", "password"), secrets=("password",),
    ),
    "http_bearer": _type(
        "http_bearer", "Token", "Sent as `Authorization: Bearer TOKEN`.",
        {"token": _text("Token", minLength=1)}, required=("token",), secrets=("token",),
    ),
    "smtp": _type(
        "smtp", "Mail server", "For sending mail.",
        {
            "host": _text("Host", minLength=1),
            "port": {"type": "integer", "title": "Port", "minimum": 1, "maximum": 65_535},
            "security": {"type": "string", "title": "Encryption", "enum": ["starttls", "tls", "none"]},
            "username": _text("User name"),
            "password": _text("Password"),
            "sender": _text("Sender's address", format="email"),
        },
        required=("host", "port", "security"), secrets=("password",),
    ),
}  # fmt: skip


class TypeBook:
    """All types there are now. A module's type named like a built-in one does not replace it."""

    def __init__(self, of_modules: ConnectionTypes) -> None:
        self._of_modules = of_modules

    def all(self) -> dict[str, Type]:
        return {**self._of_modules(), **BUILT_IN}

    def get(self, id: str) -> Type:
        found = BUILT_IN.get(id) or self._of_modules().get(id)
        if found is None:
            known = ", ".join(sorted(self.all()))
            raise NotFound(
                f"There is no connection type {id[:80]!r}; there are {known}.", code="connection_type_missing"
            )
        return found


def secret_names(kind: Type, fields: Mapping[str, Any]) -> frozenset[str]:
    """Which of `fields` are sealed. A type without a list of its fields is secret as a whole."""
    if kind["id"] == _GENERIC:
        return frozenset(fields)
    return frozenset(kind["secrets"]) & fields.keys()


def check_fields(kind: Type, fields: Mapping[str, Any]) -> None:
    """Raises InvalidInput, without any value in its messages."""
    validator = jsonschema_rs.Draft202012Validator(kind["fields"], mask="the value")
    problems = [
        Problem(".".join(["fields", *(str(part) for part in error.instance_path)]), "bad_field", error.message)
        for error in validator.iter_errors(dict(fields))
    ]
    if problems:
        detail = "; ".join(f"{problem.path}: {problem.message}" for problem in problems[:3])
        raise InvalidInput(f"The fields do not fit the type {kind['id']}: {detail}", errors=problems)
