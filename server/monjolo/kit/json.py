"""JSON in and out. NaN and infinities become null; keys are text; nothing but JSON values is taken."""

from __future__ import annotations

from typing import Any

import orjson


def dumps(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def dumpb(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


def canonical(value: Any) -> bytes:
    """The same bytes for equal values: for digests and fingerprints."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def loads(text: str | bytes | memoryview) -> Any:
    return orjson.loads(text)
