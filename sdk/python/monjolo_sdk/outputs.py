"""From the values an action returns to plain JSON data."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import os
import uuid
from typing import Any

from monjolo_sdk.errors import InvalidOutput

Json = Any


def to_json(value: Any) -> Json:
    """Plain JSON data of a result: dataclasses, named tuples, enums, dates, paths, pydantic models included.

    Raises InvalidOutput with the path of what cannot be told in JSON.
    """
    return _plain(value, "", 0)


def _plain(value: Any, path: str, depth: int) -> Json:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        if not math.isfinite(value):
            raise InvalidOutput(f"{path or 'the output'} is {value}, which JSON cannot tell; return None or a text")
        return value
    if depth > 200:
        raise InvalidOutput(f"{path[:80]}… is nested deeper than 200 levels, or contains itself")
    if kind is dict:
        return {_key(key, path): _plain(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    return _other(value, path, depth)


def _other(value: Any, path: str, depth: int) -> Json:
    if isinstance(value, enum.Enum):
        return _plain(value.value, path, depth + 1)
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump(mode="json"), path, depth + 1)
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        names = value.__dataclass_fields__
        return {name: _plain(getattr(value, name), f"{path}.{name}", depth + 1) for name in names}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: _plain(getattr(value, name), f"{path}.{name}", depth + 1) for name in value._fields}
    if isinstance(value, dict):
        return _plain(dict(value), path, depth)
    if isinstance(value, (list, tuple)):
        return _plain(list(value), path, depth)
    if isinstance(value, (set, frozenset)):
        return [_plain(item, path, depth + 1) for item in sorted(value, key=repr)]
    return _scalar(value, path)


def _scalar(value: Any, path: str) -> Json:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _plain(float(value), path, 0)
    if isinstance(value, datetime.datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)
        return moment.isoformat().replace("+00:00", "Z")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    where = path.lstrip(".") or "the output"
    raise InvalidOutput(f"{where} is of type {type(value).__qualname__}, which has no JSON form")


def _key(key: Any, path: str) -> str:
    if type(key) is str:
        return key
    if isinstance(key, enum.Enum):
        return _key(key.value, path)
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key)
    where = path.lstrip(".") or "the output"
    raise InvalidOutput(f"{where} has a key of type {type(key).__qualname__}; JSON keys are texts")
