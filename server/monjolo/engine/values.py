"""What evaluating an expression gives: a value or a failure, never an exception."""

from __future__ import annotations

from dataclasses import dataclass

from monjolo.engine.types import Json


@dataclass(frozen=True, slots=True)
class Value:
    value: Json


@dataclass(frozen=True, slots=True)
class Failure:
    """`code` is stable; `message` says what went wrong and what to do."""

    code: str
    message: str
