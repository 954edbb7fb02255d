"""Reading a stored manifest: the one place that knows its shape."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs

from monjolo.domains.modules.models import ActionRules, Broken

_ID = re.compile(r"[a-z][a-z0-9_]{0,62}")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:[-.+]?[0-9A-Za-z.-]+)?")
_ANY: dict[str, Any] = {}

Manifest = dict[str, Any]


def checked(manifest: Manifest) -> Manifest:
    """Refuse what the catalogue could not hold. Raises Broken."""
    module, version = manifest.get("id"), manifest.get("version")
    if not isinstance(module, str) or not _ID.fullmatch(module):
        raise Broken(f"the module id {module!r} must be lower-case letters, digits and _, a letter first")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise Broken(f"the version {version!r} of {module} must look like 1.4.2", module=module)
    for name, action in actions(manifest).items():
        for schema in (input_schema(action), output_schema(action)):
            try:
                validator(schema)
            except (jsonschema_rs.ValidationError, ValueError) as error:
                raise Broken(f"{module}/{name} has no valid JSON Schema: {error}", module=module) from error
    return manifest


def validator(schema: Manifest) -> jsonschema_rs.Draft202012Validator:
    """Never fetches a reference; patterns run on an engine whose time is linear in the text."""
    return jsonschema_rs.Draft202012Validator(schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True)


def actions(manifest: Manifest) -> dict[str, Manifest]:
    """By name, in the author's order."""
    listed: dict[str, Manifest] = manifest.get("actions") or {}
    return listed


def input_schema(action: Manifest) -> Manifest:
    schema: Manifest = action.get("inputs") or _ANY
    return schema


def output_schema(action: Manifest) -> Manifest:
    schema: Manifest = action.get("outputs") or _ANY
    return schema


def rules(manifest: Manifest, action: Manifest) -> ActionRules:
    properties = input_schema(action).get("properties", {})
    return ActionRules(
        effects=str(action.get("effects", "write")),
        permissions=dict(manifest.get("permissions") or {}),
        connections=dict(action.get("connections") or {}),
        secrets=tuple(name for name, schema in properties.items() if _is_secret(schema)),
    )


def _is_secret(schema: Any) -> bool:
    """The schema or, of an optional secret, one of its alternatives."""
    if not isinstance(schema, dict):
        return False
    inner = [part for name in ("anyOf", "oneOf", "allOf") for part in schema.get(name, [])]
    return any(isinstance(part, dict) and part.get("x-monjolo-secret") is True for part in [schema, *inner])


def order_of(version: str) -> tuple[int, ...]:
    """Versions in order; one with a suffix such as 1.0.0-rc1 comes before 1.0.0."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (0, 0, 0, 0)
    return (int(match[1]), int(match[2]), int(match[3]), int(match.end(3) == len(version)))
