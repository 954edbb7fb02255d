"""Every error as problem details (RFC 9457): what happened, a stable code, and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from monjolo.http.hot import invalid_json
from monjolo.kit import json
from monjolo.kit.errors import InvalidInput, MonjoloError, Problem

MEDIA_TYPE = "application/problem+json"

_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
}
_DETAILS = {
    404: "There is nothing at this address. The API starts at /api/v1 and is described at /docs.",
    405: "This address does not take this method; the header Allow lists those it takes.",
}


def problem_response(error: MonjoloError, request_id: str) -> Response:
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    if error.status == 401:
        headers["www-authenticate"] = 'Bearer realm="monjolo"'
    headers.update(getattr(error, "headers", {}))
    content = _content(error.status, error.code, error.title, error.detail, error.errors, request_id)
    content |= getattr(error, "members", {})
    return Response(json.dumpb(content), error.status, headers, MEDIA_TYPE)


def internal_problem(request_id: str) -> Response:
    """For what we did not foresee: says nothing of the inside, names the request for the log."""
    error = MonjoloError(f"The log of the platform tells more under the request id {request_id}.")
    return problem_response(error, request_id)


def _content(
    status: int, code: str, title: str, detail: str, errors: Sequence[Problem], request_id: str
) -> dict[str, Any]:
    return {
        "type": f"urn:monjolo:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [_error(problem) for problem in errors],
        "request_id": request_id,
    }


def _error(problem: Problem) -> dict[str, Any]:
    return {
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.message,
    }


def _request_id(request: Request) -> str:
    return str(request.scope.get("request_id", ""))


async def _on_monjolo_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MonjoloError)
    return problem_response(error, _request_id(request))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, MonjoloError):  # FastAPI wraps what was raised while the body was read
        return problem_response(error.__cause__, _request_id(request))
    status = error.status_code
    title = HTTPStatus(status).phrase
    detail = _DETAILS.get(status, str(error.detail or title))
    code = _CODES.get(status, f"http_{status}")
    content = _content(status, code, title, detail, (), _request_id(request))
    return Response(json.dumpb(content), status, dict(error.headers or {}), MEDIA_TYPE)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if found and found[0]["type"] == "json_invalid":
        reason = found[0].get("ctx", {}).get("error", "it does not parse")
        where = f"{reason}, at character {found[0]['loc'][-1]}."
        return problem_response(invalid_json(where), _request_id(request))
    errors = [Problem(_path(e["loc"]), str(e["type"]), str(e["msg"])) for e in found]
    detail = "; ".join(f"{e.path}: {e.message}" for e in errors[:3]) or InvalidInput.title
    return problem_response(InvalidInput(detail, errors=errors), _request_id(request))


def _path(location: Sequence[str | int]) -> str:
    """("body", "steps", 0, "id") → `steps[0].id`; of other places the place stands first: `query.limit`."""
    parts = location[1:] if location and location[0] == "body" and len(location) > 1 else location
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


HANDLERS: Mapping[Any, Any] = {
    MonjoloError: _on_monjolo_error,
    HTTPException: _on_http_exception,
    RequestValidationError: _on_validation_error,
}
