"""The OpenAPI 3.1 document: FastAPI's, plus raw routes, ways to sign in and the shape of errors."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import RouteContext

from monjolo.http.auth import COOKIE_HTTPS
from monjolo.http.hot import RawRoute

_DESCRIPTION = (
    "Monjolo's one front door: the dashboard and the command line use nothing else. "
    "Errors are problem details (RFC 9457) with a stable `code`. Lists are paged with `limit` and `after`."
)
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail", "code", "errors", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What to do"},
        "code": {"type": "string", "description": "Stable, for programs"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "path": {"type": "string"},
                    "line": {"type": ["integer", "null"]},
                    "column": {"type": ["integer", "null"]},
                    "severity": {"type": "string", "enum": ["error", "warning"]},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
        "request_id": {"type": "string"},
    },
}
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or an API token (mj_…)"},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE_HTTPS},
}
_ANSWER = {"description": "Problem details", "content": {"application/problem+json": {"schema": {
    "$ref": "#/components/schemas/Problem"}}}}  # fmt: skip
_FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")


def openapi_document(
    contexts: list[RouteContext], version: str, public: AbstractSet[tuple[str, str]]
) -> dict[str, Any]:
    """The document for these routes; operations outside `public` name the credentials they take."""
    document = get_openapi(title="Monjolo", version=version, description=_DESCRIPTION, routes=contexts)
    paths: dict[str, Any] = document.setdefault("paths", {})
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    templates: dict[tuple[str, str], str] = {}
    for context in contexts:
        route = context.original_route
        for method in context.methods or ():
            templates[(method.lower(), context.path_format or "")] = context.path or ""
            if isinstance(route, RawRoute) and route.openapi is not None and method != "HEAD":
                paths.setdefault(context.path_format or "", {})[method.lower()] = _hoisted(route.openapi, schemas)
    for path, operations in paths.items():
        for method, operation in operations.items():
            template = templates.get((method, path), path)
            open_to_all = (method.upper(), template) in public
            operation["security"] = [] if open_to_all else [{"bearer": []}, {"session": []}]
            answers = operation.setdefault("responses", {})
            answers.pop("422", None)
            answers["4XX"] = _ANSWER
    for name in _FASTAPI_ERRORS:
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    document["components"]["securitySchemes"] = _SCHEMES
    return document


def _hoisted(node: Any, schemas: dict[str, Any]) -> Any:
    """A copy whose own `$defs` are moved into `schemas`: a reference counts from the root of the document."""
    if isinstance(node, list):
        return [_hoisted(each, schemas) for each in node]
    if not isinstance(node, dict):
        return node
    for name, schema in node.get("$defs", {}).items():
        schemas[name] = _hoisted(schema, schemas)
    copy = {key: _hoisted(value, schemas) for key, value in node.items() if key != "$defs"}
    if isinstance(reference := copy.get("$ref"), str):
        copy["$ref"] = reference.replace("#/$defs/", "#/components/schemas/")
    return copy
