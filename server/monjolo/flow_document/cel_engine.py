"""The one door to CEL: source text in, program out; JSON values in, JSON value or EngineError out.

Two things differ from plain CEL, as the flow format says: `/` is real division, and integers and doubles mix
in arithmetic. `/` is renamed in the parsed tree to a function of ours. For `+ - *` the plain program runs
first; only when it meets a mixture is the expression run again with those operators renamed as well.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from cel_expr_python import cel

from monjolo.flow_document.cel_cost import MAX_COST, Cost
from monjolo.flow_document.cel_tree import Call, Ident, Node, children, read_tree
from monjolo.kit.time import from_datetime, to_rfc3339

MAX_SOURCE = 8 * 1024
MAX_RESULT = 1_000_000
INT64 = 2**63

MAX_WORK = 10_000_000  # characters and items that our own functions may handle in one evaluation

_NEW_NAMES = {"_/_": b"div", "_+_": b"add", "_-_": b"sub", "_*_": b"mul"}  # as long as the old ones
_MIXTURE = "No matching overloads found : _"


class EngineError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class CelProgram:
    """One compiled expression. `tree` is what the checker walks."""

    def __init__(self, env: Any, source: str) -> None:
        raw: bytes = env.compile(source, disable_check=True).serialize()
        self.tree = read_tree(raw)
        division, rest = _renamed(self.tree)
        raw = _rename(raw, division)
        self._cost = Cost(self.tree)
        self._env = env
        self._raw_mixed = _rename(raw, rest) if rest else None
        self._plain = env.deserialize(raw)
        self._mixed: Any = None

    def run(self, data: Mapping[str, Any]) -> Any:
        """Raises EngineError; nothing else leaves it for JSON values."""
        if self._cost and self._cost.of(data) > MAX_COST:
            raise EngineError("too_costly", "its loops would look at too much data; compute in a step instead")
        _WORK.left = MAX_WORK
        try:
            result = self._plain.eval(data=data)
            kind = result.type()
            if kind == cel.Type.ERROR and self._raw_mixed is not None and _MIXTURE in str(result.value()):
                if self._mixed is None:
                    self._mixed = self._env.deserialize(self._raw_mixed)
                result = self._mixed.eval(data=data)
                kind = result.type()
        except RuntimeError as error:
            raise _translated(str(error)) from None
        if kind == cel.Type.ERROR:
            raise _translated(str(result.value()))
        value = result.value()
        if kind == cel.Type.BOOL or kind == cel.Type.INT or kind == cel.Type.NULL:
            return value
        return _Budget().plain(value)


class CelEngine:
    """Compiles CEL for the given top-level names; any name is allowed here, the checker refuses the others."""

    def __init__(self) -> None:
        self._env = cel.NewEnv(functions=_declarations())

    def compile(self, source: str) -> CelProgram:
        """Raises EngineError with what is wrong and where in the expression."""
        if len(source.encode("utf-8", "replace")) > MAX_SOURCE:
            raise EngineError("expression_too_long", "An expression may be at most 8 KB; compute in a step instead.")
        if not source.strip():
            raise EngineError("expression_empty", "The expression is empty.")
        try:
            return CelProgram(self._env, source)
        except (RuntimeError, ValueError, IndexError, KeyError, RecursionError, UnicodeError) as error:
            raise EngineError("expression_syntax", _syntax_message(str(error))) from None


def _renamed(tree: Node) -> tuple[list[Call], list[Call]]:
    """The divisions, and the other arithmetic except what a loop does to gather its result."""
    division: list[Call] = []
    rest: list[Call] = []
    todo = [tree]
    while todo:
        node = todo.pop()
        todo.extend(children(node))
        if isinstance(node, Call) and node.function in _NEW_NAMES:
            if node.function == "_/_":
                division.append(node)
            elif not (isinstance(node.args[0], Ident) and node.args[0].name == "@result"):
                rest.append(node)
    return division, rest


def _rename(raw: bytes, calls: list[Call]) -> bytes:
    if not calls:
        return raw
    out = bytearray(raw)
    for call in calls:
        out[call.at : call.at + 3] = _NEW_NAMES[call.function]
    return bytes(out)


def _syntax_message(text: str) -> str:
    if "recursion" in text:
        return "The expression nests deeper than 32 levels; split it over steps."
    first = text.split("\n")[0].removeprefix("INVALID_ARGUMENT: ").removeprefix("ERROR: ")
    place, _, what = first.partition(": ")
    column = place.rsplit(":", 1)[-1] if place.startswith("<input>") else ""
    what = (what if column else first).split(" [")[0][:200]
    return f"This is not valid CEL: {what}" + (f" (column {column} of the expression)." if column else ".")


_TRANSLATIONS = (
    ("Key not found", "missing_value", "a value is not there"),
    ("No value with name", "missing_value", "a value is not there"),
    ("SELECT to non-message", "null_value", "a field is read from null, or from something that has no fields"),
    ("too much work", "too_costly", "it handles too much text"),
    ("budget exceeded", "too_costly", "it takes too many evaluation steps"),
    ("recursion limit", "too_costly", "it nests too deeply"),
    ("divi", "division_by_zero", "it divides by zero"),
    ("modulus by zero", "division_by_zero", "it divides by zero"),
    ("Index error", "missing_value", "the list has no such item"),
    ("too large", "too_large", "the result is larger than 1 MB"),
    ("No matching overloads", "type_mismatch", "an operation does not fit the types of its values"),
    ("overflow", "number_too_large", "a number does not fit 64 bits"),
    ("out of range", "number_too_large", "a number does not fit 64 bits"),
)


def _translated(text: str) -> EngineError:
    detail = text.split(": ", 1)[-1].split(" [")[0].strip()[:300]
    for part, code, message in _TRANSLATIONS:
        if part in text:
            return EngineError(code, f"{message} ({detail})")
    return EngineError("expression_failed", detail or "it cannot be evaluated")


class _Budget:
    """Turns a CEL result into JSON values and stops when they pass the size that a result may have."""

    def __init__(self) -> None:
        self._left = MAX_RESULT

    def plain(self, value: Any, depth: int = 0) -> Any:
        if value is None or value is True or value is False:
            self._spend(4)
            return value
        if isinstance(value, str):
            self._spend(len(value) + 2)
            return value
        if isinstance(value, int):
            self._spend(4)
            return value
        if isinstance(value, float):
            self._spend(8)
            if not math.isfinite(value):
                raise EngineError("not_json", "the result is not a finite number")
            return value
        if depth > 64:
            raise EngineError("too_large", "the result nests deeper than 64 levels")
        if isinstance(value, list):
            self._spend(2)
            return [self.plain(item.value(), depth + 1) for item in value]
        if isinstance(value, dict):
            self._spend(2)
            return {self._key(key): self.plain(item.value(), depth + 1) for key, item in value.items()}
        return self._moment(value)

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise EngineError("too_large", "the result is larger than 1 MB")

    def _key(self, key: Any) -> str:
        if not isinstance(key, str):
            raise EngineError("not_json", "the result has a key that is not text")
        self._spend(len(key) + 3)
        return key

    @staticmethod
    def _moment(value: Any) -> str:
        if isinstance(value, datetime):
            return to_rfc3339(from_datetime(value))
        if isinstance(value, timedelta):
            return f"{value.total_seconds():g}s"
        raise EngineError("not_json", "the result is not a JSON value; use string(), int() or timestamp()")


# --- functions: the whole table beyond CEL's own -----------------------------------------------------------


class _Work(threading.local):
    """What is left of the work of this evaluation; the engine counts steps, not what a step costs."""

    left = MAX_WORK


_WORK = _Work()


def _work(*values: str | list[Any]) -> None:
    _WORK.left -= sum(map(len, values))
    if _WORK.left < 0:
        raise ValueError("too much work")


def _number(value: float) -> float:
    if isinstance(value, int) and not -INT64 <= value < INT64:
        raise ValueError("integer overflow")
    return value


def _add(a: Any, b: Any) -> Any:
    total = a + b
    if isinstance(total, str | list):
        _work(total)
        if len(total) > MAX_RESULT:
            raise ValueError("too large")
        return total
    return _number(total)


def _subtract(a: float, b: float) -> float:
    return _number(a - b)


def _multiply(a: float, b: float) -> float:
    return _number(a * b)


def _divide(a: float, b: float) -> float:
    if b == 0:
        raise ValueError("division by zero")
    return a / b


def _replace(text: str, old: str, new: str) -> str:
    _work(text, new)
    if text.count(old) * len(new) + len(text) > MAX_RESULT:
        raise ValueError("too large")
    return text.replace(old, new)


def _split(text: str, separator: str) -> list[str]:
    _work(text)
    if text.count(separator) > 50_000:
        raise ValueError("too large")
    return text.split(separator) if separator else list(text[:50_000])


def _join(parts: list[Any], separator: str = "") -> str:
    _work(parts, separator)
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("join() takes a list of texts; use map(x, string(x)) first")
    _work(*parts)
    if sum(map(len, parts)) + len(separator) * len(parts) > MAX_RESULT:
        raise ValueError("too large")
    return separator.join(parts)


def _substring(text: str, start: int, end: int | None = None) -> str:
    _work(text)
    return text[max(start, 0) : len(text) if end is None else max(end, 0)]


def _lower(text: str) -> str:
    _work(text)
    return text.lower()


def _upper(text: str) -> str:
    _work(text)
    return text.upper()


def _strip(text: str) -> str:
    _work(text)
    return text.strip()


def _declarations() -> list[Any]:
    kind = cel.Type
    whole, real, text, items = kind.INT, kind.DOUBLE, kind.STRING, kind.List(kind.DYN)
    numbers = [(whole, whole), (whole, real), (real, whole), (real, real)]

    def declare(name: str, work: Callable[..., Any], signatures: list[tuple[Any, ...]], member: bool) -> Any:
        overloads = [
            cel.Overload(
                f"monjolo_{name}_{index}",
                return_type=kind.DYN,
                parameters=list(signature),
                is_member=member,
                impl=work,
            )
            for index, signature in enumerate(signatures)
        ]
        return cel.FunctionDecl(name, overloads)

    return [
        declare("add", _add, [*numbers, (text, text), (items, items)], False),
        declare("sub", _subtract, numbers, False),
        declare("mul", _multiply, numbers, False),
        declare("div", _divide, numbers, False),
        declare("replace", _replace, [(text, text, text)], True),
        declare("split", _split, [(text, text)], True),
        declare("join", _join, [(items,), (items, text)], True),
        declare("substring", _substring, [(text, whole), (text, whole, whole)], True),
        declare("lower", _lower, [(text,)], True),
        declare("upper", _upper, [(text,)], True),
        declare("trim", _strip, [(text,)], True),
    ]
