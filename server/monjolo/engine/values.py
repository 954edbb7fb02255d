"""What an expression gives: a JSON value, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from monjolo.engine.types import Json


@dataclass(frozen=True, slots=True)
class Value:
    value: Json


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str
