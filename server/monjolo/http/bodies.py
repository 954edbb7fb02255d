"""What a request's body may be (S24): so many bytes, JSON nested so deep, not compressed."""

from __future__ import annotations

import json as python_json
import re

from starlette.types import Receive

from monjolo.http.hot import invalid_json
from monjolo.kit import json
from monjolo.kit.errors import InvalidInput, MonjoloError, PayloadTooLarge

MAX_BODY = 10_000_000
MAX_DEPTH = 64

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_OPENING = ord("[")
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))
_STRANGE = re.compile(rb"\x00|\\u[dD][89a-fA-F]|[0-9]{19}|[eE]\+?[0-9]{3}|NaN|Infinity")


class _UnsupportedMediaType(MonjoloError):
    status, code, title = 415, "unsupported_media_type", "The body is in a form that is not taken"


def guarded(headers: dict[bytes, bytes], receive: Receive, limit: int, *, by_python: bool = False) -> Receive:
    """`receive` that refuses a body beyond the limits; `receive` itself when there is no body.

    `by_python`: its JSON will be read by Python's own parser, which takes more than can be stored.
    """
    length = headers.get(b"content-length")
    if length is None and b"transfer-encoding" not in headers:
        return receive
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise _UnsupportedMediaType("Send the body without Content-Encoding.")
    if length is not None and (not length.isdigit() or int(length) > limit):
        raise _too_large(limit)
    is_json = b"json" in headers.get(b"content-type", b"").lower()
    return _guard(receive, limit, is_json=is_json, by_python=by_python)


def _guard(receive: Receive, limit: int, *, is_json: bool, by_python: bool) -> Receive:
    size, opened = 0, 0
    chunks: list[bytes] = []

    async def read() -> dict[str, object]:
        nonlocal size, opened, is_json
        message = await receive()
        if message["type"] != "http.request":
            return dict(message)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        is_json = is_json or (size == len(chunk) and chunk.lstrip()[:1] in (b"[", b"{"))  # read so whatever it says
        if is_json:
            opened += chunk.count(b"[") + chunk.count(b"{")
            chunks.append(chunk)
            whole = not message.get("more_body")
            if whole and opened > MAX_DEPTH and deeper_than(b"".join(chunks), MAX_DEPTH):
                raise InvalidInput(f"Nest JSON at most {MAX_DEPTH} levels deep.", code="json_too_deep")
            if whole and by_python:
                _refuse_strange(b"".join(chunks))
        return dict(message)

    return read


def _refuse_strange(text: bytes) -> None:
    """Half characters, NaN, infinities, and whole numbers beyond 64 bits."""
    if _STRANGE.search(text) is None:
        return
    try:
        json.loads(text)
        json.dumpb(python_json.loads(text))
    except ValueError as error:
        raise invalid_json(f"{error}.") from error
    except TypeError as error:
        raise InvalidInput(
            "A whole number may have 64 bits; send a larger one as text.", code="number_too_large"
        ) from error


def deeper_than(text: bytes, depth: int) -> bool:
    """Whether JSON text nests deeper than `depth`, found without parsing it and without recursion."""
    unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside_strings = b"".join(unescaped.split(b'"')[::2])
    level = 0
    for byte in outside_strings.translate(_BRACKETS, _OTHERS):
        level += 1 if byte == _OPENING else -1
        if level > depth:
            return True
    return False


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body may be {limit:,} bytes at most.")
