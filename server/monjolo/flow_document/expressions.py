"""The compiled expressions of a flow and how they are evaluated. Evaluation is total: it never raises.

An expression that only reads a path, a constant or a tree of them is answered without CEL. What text comes
out is never read again as an expression.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from monjolo.engine.types import ExprId, Json
from monjolo.engine.values import Failure, Value
from monjolo.flow_document.cel_check import ReadPath
from monjolo.flow_document.cel_engine import MAX_RESULT, CelProgram, EngineError
from monjolo.kit.json import dumpb, dumps
from monjolo.kit.time import SECOND, from_rfc3339, parse_duration

Names = Mapping[str, Json]
PLACEHOLDERS = frozenset({"$secret", "$secret_text"})
MAX_SLEEP = 10 * 366 * 86_400  # seconds


class Program(Protocol):
    """Gives a JSON value for the names in scope, or raises EngineError."""

    def run(self, names: Names) -> Json: ...


@dataclass(frozen=True, slots=True)
class Constant:
    value: Json

    def run(self, names: Names) -> Json:
        return self.value


@dataclass(frozen=True, slots=True)
class PathRead:
    """`${{ steps.a.output.rows }}`: the value itself, handed through without a copy."""

    path: ReadPath

    def run(self, names: Names) -> Json:
        value: Any = names
        for index, key in enumerate(self.path):
            if not isinstance(value, Mapping):
                raise _no_fields(self.path[:index], key, value)
            if key not in value:
                raise EngineError("missing_value", f"`{'.'.join(self.path[: index + 1])}` is not there")
            value = value[key]
        return value


@dataclass(frozen=True, slots=True)
class CelExpression:
    """Anything else. Only the recorded paths are handed to CEL."""

    source: str
    program: CelProgram
    paths: tuple[ReadPath, ...]

    def run(self, names: Names) -> Json:
        data: dict[str, Any] = {}
        for path in self.paths:
            _copy_path(path, names, data)
        return self.program.run(data)


@dataclass(frozen=True, slots=True)
class Condition:
    """A bare expression of `if`, `when` and `retry.if`: true or false, nothing else."""

    inner: Program

    def run(self, names: Names) -> Json:
        value = self.inner.run(names)
        if value is True or value is False:
            return value
        raise EngineError("not_boolean", "a condition must give true or false; compare the value with something")


@dataclass(frozen=True, slots=True)
class Text:
    """Expressions within text: strings as they are, everything else as JSON."""

    parts: tuple[str | Program, ...]

    def run(self, names: Names) -> Json:
        out = "".join(p if isinstance(p, str) else _render(p.run(names)) for p in self.parts)
        if len(out) > MAX_RESULT:
            raise EngineError("too_large", "the text is larger than 1 MB")
        return out


@dataclass(frozen=True, slots=True)
class SecretText:
    """Text with secrets inserted: the secrets stay names until the task is handed out."""

    parts: tuple[str | Program | SecretRef, ...]

    def run(self, names: Names) -> Json:
        out: list[Any] = []
        for part in self.parts:
            if isinstance(part, SecretRef):
                out.append({"$secret": part.name})
            else:
                out.append(part if isinstance(part, str) else _render(part.run(names)))
        return {"$secret_text": out}


@dataclass(frozen=True, slots=True)
class SecretRef:
    name: str

    def run(self, names: Names) -> Json:
        return {"$secret": self.name}


@dataclass(frozen=True, slots=True)
class Untainted:
    """A value that enters `with` from outside. It must not hold what stands for a secret: whoever fills the
    placeholders in could not tell a webhook's `{"$secret": …}` from the flow's own."""

    inner: Program

    def run(self, names: Names) -> Json:
        value = self.inner.run(names)
        if isinstance(value, Mapping | list) and b'"$secret' in dumpb(value) and _holds_placeholder(value):
            raise EngineError("reserved_key", "the value holds the key `$secret`, which is reserved")
        return value


@dataclass(frozen=True, slots=True)
class MapTree:
    entries: tuple[tuple[str, Program], ...]

    def run(self, names: Names) -> Json:
        return {key: program.run(names) for key, program in self.entries}


@dataclass(frozen=True, slots=True)
class ListTree:
    items: tuple[Program, ...]

    def run(self, names: Names) -> Json:
        return [program.run(names) for program in self.items]


@dataclass(frozen=True, slots=True)
class Length:
    """What a `sleep` waits for: seconds, or a duration such as `1h30m`. Gives microseconds."""

    inner: Program

    def run(self, names: Names) -> Json:
        value = self.inner.run(names)
        if isinstance(value, str):
            try:
                value = parse_duration(value) / SECOND
            except ValueError as error:
                raise EngineError("not_a_duration", str(error)) from None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_SLEEP:
            raise EngineError("not_a_duration", "it must give seconds, or a duration such as 30s or 1h30m")
        return round(value * SECOND)


@dataclass(frozen=True, slots=True)
class Instant:
    """What a `sleep_until` waits for: an RFC 3339 instant. Gives microseconds since the epoch."""

    inner: Program

    def run(self, names: Names) -> Json:
        value = self.inner.run(names)
        try:
            return from_rfc3339(value)
        except (ValueError, TypeError, OverflowError):
            raise EngineError("not_an_instant", "it must give an instant such as 2026-11-22T12:00:00Z") from None


@dataclass(frozen=True, slots=True)
class Of:
    """A value that must have one type, said in words: a list for `for_each`, an object for inputs."""

    inner: Program
    kind: type
    words: str

    def run(self, names: Names) -> Json:
        value = self.inner.run(names)
        if not isinstance(value, self.kind):
            raise EngineError("type_mismatch", f"it must give {self.words}")
        return value


@dataclass(frozen=True, slots=True)
class Key:
    """A value used as a name: the key of a limit, the message of a fail."""

    inner: Program

    def run(self, names: Names) -> Json:
        return _render(self.inner.run(names))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    program: Program
    reads: frozenset[ReadPath]
    secrets: frozenset[str] = frozenset()
    place: str = ""


class Expressions:
    """The table of compiled expressions of one flow version; an ExprId is an index into it."""

    def __init__(self, rows: tuple[Row, ...]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def evaluate(self, expr_id: ExprId, names: Names) -> Value | Failure:
        """Never raises. A constant result is shared between calls: do not change it."""
        row = self._rows[expr_id]
        try:
            return Value(row.program.run(names))
        except EngineError as error:
            return Failure(error.code, f"{row.place}: {error.message}")
        except Exception as error:  # whatever a value that is not JSON does to CEL
            return Failure("expression_failed", f"{row.place}: {type(error).__name__}: {str(error)[:200]}")

    def reads(self, expr_id: ExprId) -> frozenset[ReadPath]:
        """The paths that the expression may read, such as ("steps", "coletar", "output", "rows")."""
        return self._rows[expr_id].reads

    def secrets(self, expr_id: ExprId) -> frozenset[str]:
        """The names of the secrets that the expression asks for."""
        return self._rows[expr_id].secrets


def _copy_path(path: ReadPath, names: Any, data: dict[str, Any]) -> None:
    """Copy only what lies on the path. Where the path ends early, what is there decides in CEL."""
    last = len(path) - 1
    for index, key in enumerate(path):
        if key not in names:
            return
        value = names[key]
        if index == last or not isinstance(value, Mapping):
            data[key] = value
            return
        below = data.get(key)
        if below is None:
            below = data[key] = {}
        data, names = below, value


def _holds_placeholder(value: Json) -> bool:
    todo = [value]
    while todo:
        found = todo.pop()
        if isinstance(found, Mapping):
            if not PLACEHOLDERS.isdisjoint(found):
                return True
            todo.extend(found.values())
        elif isinstance(found, list):
            todo.extend(found)
    return False


def _render(value: Json) -> str:
    return value if isinstance(value, str) else dumps(value)


def _no_fields(path: ReadPath, key: str, value: Any) -> EngineError:
    name = ".".join(path)
    if value is None:
        return EngineError("null_value", f"`{name}` is null, so it has no `{key}`; test it first with `if`")
    return EngineError("type_mismatch", f"`{name}` is not an object, so it has no `{key}`")
