"""Text to document: YAML 1.2 (or JSON) read from libyaml's events, so that nothing can run, nest or multiply.

No anchors, aliases, tags, merge keys or duplicate keys. The place of every key and value is kept.
The events are read rather than composed because libyaml's composer recurses, and dies, on deep nesting.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from monjolo.kit.errors import Problem
from monjolo.kit.json import dumps

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 50_000
INT64 = 2**63

Path = tuple[str | int, ...]

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_JSON = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


@dataclass(slots=True)
class Mark:
    """Where a value stands, and below it the places of its children. Lines and columns count from 1."""

    line: int
    column: int
    key: tuple[int, int] | None = None
    children: dict[str | int, Mark] = field(default_factory=lambda: _NONE)


_NONE: dict[str | int, Mark] = {}  # shared by all that have none: most values are scalars


class Positions:
    """The line and column of each key and value, found by path."""

    def __init__(self, root: Mark | None = None) -> None:
        self._root = root

    def value(self, path: Path) -> tuple[int, int] | None:
        mark = self._nearest(path)
        return (mark.line, mark.column) if mark else None

    def key(self, path: Path) -> tuple[int, int] | None:
        mark = self._nearest(path)
        return (mark.key or (mark.line, mark.column)) if mark else None

    def _nearest(self, path: Path) -> Mark | None:
        """A missing key has no place of its own: then it is the place of what should have held it."""
        mark = self._root
        for part in path:
            below = mark.children.get(part) if mark else None
            if below is None:
                break
            mark = below
        return mark


@dataclass(frozen=True, slots=True)
class Parsed:
    """`document` is None when `problems` has an error."""

    document: dict[str, Any] | None
    positions: Positions
    problems: list[Problem]


class _Refused(Exception):
    def __init__(self, code: str, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.problem = Problem("", code, message, line, column)


def reads_as_text(text: str) -> bool:
    """Whether this text, written without quotes, is read as text."""
    if text in _NULL or text in _TRUE or text in _FALSE:
        return False
    return not any(pattern.fullmatch(text) for pattern in (_INT, _FLOAT, _NOT_JSON))


def path_text(path: Path) -> str:
    """`("steps", 3, "with", "a b")` -> `steps[3].with["a b"]`."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        elif part.replace("_", "a").replace("-", "a").isalnum():
            out += f".{part}" if out else part
        else:
            out += f"[{json.dumps(part, ensure_ascii=False)}]"
    return out


def parse(source: str) -> Parsed:
    """Read YAML or JSON text. Never raises for bad text: the problems say what and where."""
    if len(source.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        problem = Problem("", "document_too_large", "A flow may be at most 1 MiB; split it into sub-flows.")
        return Parsed(None, Positions(), [problem])
    try:
        document, root = _Reader(_as_yaml(source)).read()
    except _Refused as refused:
        return Parsed(None, Positions(), [refused.problem])
    except (yaml.YAMLError, UnicodeError) as error:
        return _second_reading(source, error)
    return _as_document(document, Positions(root))


def _as_yaml(source: str) -> str:
    """JSON takes three characters in a text as they are that YAML takes for the end of a line."""
    if source.lstrip()[:1] not in ("{", "["):
        return source
    return source.replace("\x85", "\\N").replace("\u2028", "\\L").replace("\u2029", "\\P")


def _as_document(document: Any, positions: Positions) -> Parsed:
    if isinstance(document, dict):
        return Parsed(document, positions, [])
    message = "A flow is a mapping of keys such as `id`, `name` and `steps`; this is something else."
    return Parsed(None, positions, [Problem("", "not_a_mapping", message, 1, 1)])


def _second_reading(source: str, error: Exception) -> Parsed:
    """JSON that libyaml cannot read (surrogate pairs, tabs), or the message of what is wrong."""
    if not source.lstrip().startswith("{"):
        return Parsed(None, Positions(), [_syntax_problem(error)])
    try:
        document = json.loads(source, object_pairs_hook=_unique_pairs, parse_constant=_refuse_constant)
    except _Refused as refused:
        return Parsed(None, Positions(), [refused.problem])
    except json.JSONDecodeError as broken:
        if '"' not in source[:80]:
            return Parsed(None, Positions(), [_syntax_problem(error)])
        message = f"This is not valid JSON: {broken.msg}."
        return Parsed(None, Positions(), [Problem("", "syntax_error", message, broken.lineno, broken.colno)])
    except (RecursionError, ValueError):
        return Parsed(None, Positions(), [Problem("", "syntax_error", "This is not valid JSON.", 1, 1)])
    try:
        check_limits(document)
    except _Refused as refused:
        return Parsed(None, Positions(), [refused.problem])
    return _as_document(document, Positions())


def _syntax_problem(error: Exception) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    hint = "" if "tab" not in str(what) and "\\t" not in str(what) else " Indent with spaces."
    message = f"This is not valid YAML: {what}.{hint}"
    if mark is None:
        return Problem("", "syntax_error", message)
    return Problem("", "syntax_error", message, mark.line + 1, mark.column + 1)


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Refused("duplicate_key", f"The key `{key}` stands twice; keep one.")
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise _Refused("not_json", f"{name} is not a JSON number.")


def check_limits(document: Any) -> None:
    """The limits of a document that did not come through the reader."""
    count, level, depth = 0, [document], 0
    while level:
        count, depth = count + len(level), depth + 1
        if depth > MAX_DEPTH:
            raise _too_deep(None, None)
        if count > MAX_NODES:
            raise _too_many(None, None)
        level = [child for node in level for child in _children(node)]
    try:
        dumps(document)
    except TypeError as error:
        raise _Refused("not_json", f"The document holds a value that is not JSON: {error}.") from error


def document_problem(document: Any) -> Problem | None:
    """The limit that a document handed in as JSON breaks, if any."""
    try:
        check_limits(document)
    except _Refused as refused:
        return refused.problem
    return None


def _children(node: Any) -> list[Any]:
    if isinstance(node, Mapping):
        return list(node.values())
    return node if isinstance(node, list) else []


def _too_deep(line: int | None, column: int | None) -> _Refused:
    return _Refused("too_deep", f"A flow may nest at most {MAX_DEPTH} levels.", line, column)


def _too_many(line: int | None, column: int | None) -> _Refused:
    return _Refused("too_many_nodes", f"A flow may hold at most {MAX_NODES:,} values.", line, column)


class _Reader:
    """Builds values from events with a stack of its own, so that depth costs no recursion."""

    def __init__(self, source: str) -> None:
        self._loader: Any = yaml.CSafeLoader(source)
        self._result: list[Any] = []
        self._root = Mark(1, 1, None, {})
        self._stack: list[tuple[Any, Mark]] = [(self._result, self._root)]
        self._key: tuple[str, int, int] | None = None  # of the value that comes next
        self._nodes = 0

    def read(self) -> tuple[Any, Mark]:
        next_event = self._loader.get_event
        while True:
            event = next_event()
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._take_scalar(event)
            elif kind is yaml.MappingStartEvent:
                self._open(event, {})
            elif kind is yaml.SequenceStartEvent:
                self._open(event, [])
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._stack.pop()
            elif kind is yaml.StreamEndEvent:
                break
            else:
                self._refuse(event)
        if not self._result:
            raise _Refused("empty", "The document is empty.", 1, 1)
        return self._result[0], self._root.children[0]

    def _refuse(self, event: Any) -> None:
        place = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            message = f"The alias `*{event.anchor}` is not taken; write the value out."
            raise _Refused("alias", message, place.line + 1, place.column + 1)
        if isinstance(event, yaml.DocumentStartEvent) and self._result:
            raise _Refused("many_documents", "A file holds one flow.", place.line + 1, place.column + 1)

    def _take_scalar(self, event: Any) -> None:
        place = event.start_mark
        line, column = place.line + 1, place.column + 1
        self._check_node(event, line, column)
        container, _ = self._stack[-1]
        if type(container) is dict and self._key is None:
            self._key = self._key_of(event, container, line, column)
        else:
            self._place(self._scalar(event, line, column), Mark(line, column))

    def _open(self, event: Any, container: Any) -> None:
        place = event.start_mark
        line, column = place.line + 1, place.column + 1
        self._check_node(event, line, column)
        if type(self._stack[-1][0]) is dict and self._key is None:
            raise _Refused("key_not_text", "A key must be text.", line, column)
        if len(self._stack) > MAX_DEPTH:
            raise _too_deep(line, column)
        mark = Mark(line, column, None, {})
        self._place(container, mark)
        self._stack.append((container, mark))

    @staticmethod
    def _check_node(event: Any, line: int, column: int) -> None:
        if event.anchor is not None:
            message = f"The anchor `&{event.anchor}` is not taken; write the value out where it is needed."
            raise _Refused("anchor", message, line, column)
        if event.tag is not None:
            raise _Refused("tag", f"The tag `{event.tag}` is not taken; write plain values.", line, column)

    @staticmethod
    def _key_of(event: Any, container: dict[str, Any], line: int, column: int) -> tuple[str, int, int]:
        text: str = event.value
        if text == "<<" and not event.style:
            raise _Refused("merge_key", "The merge key `<<` is not taken; write the keys out.", line, column)
        if text in container:
            raise _Refused("duplicate_key", f"The key `{text}` stands twice; keep one.", line, column)
        return text, line, column

    def _place(self, value: Any, below: Mark) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _too_many(below.line, below.column)
        container, mark = self._stack[-1]
        if self._key is not None:
            text, line, column = self._key
            self._key = None
            container[text] = value
            below.key = (line, column)
            mark.children[text] = below
        else:
            mark.children[len(container)] = below
            container.append(value)

    @staticmethod
    def _scalar(event: Any, line: int, column: int) -> Any:
        text: str = event.value
        if event.style:
            return text
        first = text[:1]
        if first.isalpha() or first in "~":
            if text in _TRUE:
                return True
            if text in _FALSE:
                return False
            return None if text in _NULL else text
        if not text:
            return None
        if _INT.fullmatch(text):
            return _integer(text, line, column)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isinf(number):
                raise _Refused("number_too_large", f"{text[:40]} is larger than a number can be.", line, column)
            return number
        if _NOT_JSON.fullmatch(text):
            raise _Refused("not_json", f"{text} is not a JSON number; put it in quotes.", line, column)
        return text


def _integer(text: str, line: int, column: int) -> int:
    number = int(text, 0 if text[1:2] in "ox" and text[1:2] else 10) if len(text) <= 24 else INT64
    if not -INT64 <= number < INT64:
        message = f"{text[:40]} does not fit 64 bits; put it in quotes to keep it as text."
        raise _Refused("number_too_large", message, line, column)
    return number
