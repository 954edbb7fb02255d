"""The manifest: what the platform knows of a module. Generated, never written by hand."""

from __future__ import annotations

from typing import Any

from monjolo_sdk.fields import MISSING, Field
from monjolo_sdk.module import Action, ConnectionType, Module, field_of
from monjolo_sdk.schema import DIALECT, SchemaBuilder, field_schema, inputs_schema, outputs_schema
from monjolo_sdk.signature import Parameter, Signature, help_of
from monjolo_sdk.version import SDK_VERSION

MANIFEST_VERSION = 1


def manifest(module: Module, *, description: str | None = None) -> dict[str, Any]:
    """Everything about a module as JSON. `description` (the file's docstring) stands in for its own."""
    return {
        "manifest": MANIFEST_VERSION,
        "id": module.id,
        "version": module.version,
        "title": module.title,
        "description": (module.description or description or "").strip(),
        "icon": module.icon,
        "state": module.state,
        "isolation": module.isolation,
        "permissions": dict(module.permissions),
        "actions": {action.name: describe_action(action) for action in module.actions.values()},
        "connection_types": {kind.id: describe_connection(kind) for kind in module.connection_types.values()},
        "sdk": SDK_VERSION,
        "requires_platform": module.requires_platform,
    }


def describe_action(action: Action) -> dict[str, Any]:
    """One action: help, effects, and the schemas of what it takes and gives."""
    signature = Signature(action.function)
    text, about = help_of(action.function)
    return {
        "name": action.name,
        "title": action.title,
        "description": action.description or text,
        "effects": action.effects,
        "async": action.is_async,
        "timeout_seconds": action.timeout_seconds,
        "inputs": inputs_schema(signature, about),
        "outputs": outputs_schema(signature),
        "connections": {
            parameter.name: parameter.connection_type
            for parameter in signature.parameters
            if parameter.connection_type is not None
        },
        "examples": action.examples,
    }


def describe_connection(kind: ConnectionType) -> dict[str, Any]:
    """One connection type: the schema of its fields, which are secret, and the hosts it is bound to."""
    builder = SchemaBuilder()
    properties, required, secrets = {}, [], []
    for name, annotation in kind.fields.items():
        field = field_of(annotation)
        bare = isinstance(annotation, Field)
        parameter = Parameter(name, str if bare else annotation, field.default)
        schema = builder.parameter(parameter) | (field_schema(field) if bare else {})
        schema.setdefault("title", name.replace("_", " ").capitalize())
        properties[name] = schema
        if parameter.default is MISSING:
            required.append(name)
        if schema.get("x-monjolo-secret"):
            secrets.append(name)
    return {
        "id": kind.id,
        "title": kind.title,
        "description": kind.description or "",
        "hosts": list(kind.hosts),
        "secrets": secrets,
        "fields": {
            "$schema": DIALECT,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
    }
