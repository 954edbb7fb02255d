"""The JSON Schema of the flow document, and its reference page, both made from the types."""

from __future__ import annotations

from functools import cache
from typing import Any

from monjolo.flow_document.types import FLOW, SCHEMA


@cache
def _schema() -> dict[str, Any]:
    defs: dict[str, Any] = {}
    FLOW.schema(defs)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://monjolo.dev/schemas/flow-v1.json",
        "title": SCHEMA,
        "$ref": "#/$defs/Flow",
        "$defs": dict(sorted(defs.items())),
    }


def json_schema() -> dict[str, Any]:
    """The schema that editors complete and check with. It is shared: do not change it."""
    return _schema()


def reference_page() -> str:
    """docs/reference/flow-format.md: every key, its values, and what holds when it is not written."""
    definitions = json_schema()["$defs"]
    first = ["Flow", "Step", "Retry", "Concurrency"]
    order = [*first, *(name for name in definitions if name not in first)]
    return page_of("Flow format: every key", SCHEMA, {name: definitions[name] for name in order})


def page_of(title: str, schema: str, definitions: dict[str, Any]) -> str:
    """A page of every record of a document's format, in the order of `definitions`."""
    lines = [f"# {title}", "", f"Made from the code; `{schema}`.", ""]
    for name, definition in definitions.items():
        lines += _section(name, definition)
    return "\n".join(lines).rstrip() + "\n"


def _section(name: str, schema: dict[str, Any]) -> list[str]:
    required = schema.get("required", [])
    lines = [f"## {name}", "", schema.get("description", ""), ""]
    lines += ["| Key | Value | Default | What it does |", "|---|---|---|---|"]
    for key, value in schema["properties"].items():
        default = "required" if key in required else _default(value)
        lines.append(f"| `{key}` | {_words(value)} | {default} | {value['description'].replace('|', '/')} |")
    return [*lines, ""]


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return ""
    value = schema["default"]
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _words(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(_words(part) for part in schema[word])
    kind = schema.get("type", "any value")
    if isinstance(kind, list):
        return "expression"
    if kind == "array":
        return f"list of {_words(schema['items'])}"
    if "us|ms|s|m|h" in schema.get("pattern", ""):
        return "duration"
    if schema.get("format") == "date-time":
        return "instant"
    if kind in ("integer", "number"):
        return f"{kind}, {schema['minimum']:g} to {schema['maximum']:g}"
    return {"string": "text", "object": "mapping", "boolean": "true or false"}.get(kind, str(kind))
