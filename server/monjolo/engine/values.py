"""What evaluating an expression gives: a value or a failure, never an exception."""

from __future__ import annotations

from typing import NamedTuple

from monjolo.engine.types import Json


class Value(NamedTuple):
    value: Json


class Failure(NamedTuple):
    """`code` is stable; `message` says what went wrong and what to do."""

    code: str
    message: str
