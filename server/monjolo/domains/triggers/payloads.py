"""What a flow sees of a call to its webhook: `event`, without what proves who called."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qsl

from monjolo.domains.triggers.signatures import Call
from monjolo.kit import json
from monjolo.kit.errors import InvalidInput

_PRIVATE = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
_MOST_FIELDS = 1_000


def event_of(call: Call, proof: str | None) -> dict[str, Any]:
    """`{method, path, query, headers, content_type, body}`; the header with the proof stays out.

    The body is the JSON value, the form's fields, the text, or the base64 of anything else; null when empty.
    """
    headers = {k: v for k, v in call.headers.items() if k not in _PRIVATE and k != proof}
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    return {
        "method": call.method,
        "path": call.path,
        "query": dict(call.query),
        "headers": headers,
        "content_type": kind or None,
        "body": _body(call.body, kind),
    }


def _body(body: bytes, kind: str) -> Any:
    if not body:
        return None
    if kind == "application/json" or kind.endswith("+json"):
        return _json(body)
    if kind == "application/x-www-form-urlencoded":
        return _form(body)
    if not kind or kind.startswith("text/") or kind.endswith("xml"):
        try:
            return body.decode()
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise InvalidInput(f"The body says it is JSON, but: {error}.", code="invalid_json") from error


def _form(body: bytes) -> dict[str, Any]:
    """A field that is sent more than once becomes a list."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise InvalidInput(f"The body says it is a form, but: {error}.", code="invalid_form") from error
    return collected(pairs)


def collected(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Pairs as an object; a name that comes more than once has a list."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields
