"""The JSON-RPC 2.0 envelopes and codes of the runner protocol, and text that is always valid JSON in UTF-8."""

from __future__ import annotations

import json
from typing import Any

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
LOAD_FAILED = -32000
UNSUPPORTED_PROTOCOL = -32001
NOT_INITIALIZED = -32002
ALREADY_INITIALIZED = -32003

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode
loads = json.loads
quoted = json.encoder.encode_basestring  # a text as JSON, as `_encode` writes it


def dumps(value: Any) -> str:
    """JSON text of plain data."""
    return _encode(value)


def utf8(text: str) -> bytes:
    """Bytes of a text that may hold halves of surrogate pairs (they become U+FFFD)."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def notification(method: str, params: dict[str, Any]) -> bytes:
    """A line that needs no answer."""
    return utf8(f'{{"jsonrpc":"2.0","method":"{method}","params":{_encode(params)}}}\n')


def request(request_id: str, method: str, params: dict[str, Any]) -> bytes:
    """A question."""
    return utf8(f'{{"jsonrpc":"2.0","id":"{request_id}","method":"{method}","params":{_encode(params)}}}\n')


def answer(request_id: Any, result_json: str) -> bytes:
    """The answer to a question; the result is JSON already."""
    return utf8(f'{{"jsonrpc":"2.0","id":{_encode(request_id)},"result":{result_json}}}\n')


def refusal(request_id: Any, code: int, message: str, data: Any = None) -> bytes:
    """The answer that says why there is none."""
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return utf8(_encode({"jsonrpc": "2.0", "id": request_id, "error": error}) + "\n")
