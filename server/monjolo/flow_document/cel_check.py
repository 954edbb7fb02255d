"""What an expression may say: its names, functions and size. Records the paths it reads.

Sizes are bounded here because the engine bounds its steps only: a chain of `map` that doubles a value
thirty times takes thirty steps and minutes. `growth` is how many times larger than its data a result can be.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from monjolo.flow_document.cel_tree import Call, Const, Ident, ListOf, Loop, MapOf, Node, Select, children

MAX_DEPTH = 32
MAX_NODES = 1_000
MAX_GROWTH = 4_000

ReadPath = tuple[str, ...]

_LOGIC = frozenset(("_&&_", "_||_", "!_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "@not_strictly_false"))
_ARITHMETIC = frozenset(("-_", "_+_", "_-_", "_*_", "_/_", "_%_"))
_OPERATORS = _LOGIC | _ARITHMETIC | {"_[_]", "_?_:_"}
_FUNCTIONS = frozenset(("size", "int", "double", "string", "bool", "dyn", "timestamp", "duration", "matches"))
_TESTS = frozenset(("matches", "startsWith", "endsWith", "contains"))
_DATES = frozenset(
    f"get{part}"
    for part in ("FullYear", "Month", "Date", "DayOfMonth", "DayOfWeek", "DayOfYear", "Hours", "Minutes", "Seconds")
) | {"getMilliseconds"}
_TEXTS = frozenset(("replace", "split", "join", "substring", "lower", "upper", "trim"))
_METHODS = _TESTS | _DATES | _TEXTS | {"size"}
SCALAR = _LOGIC | (_ARITHMETIC - {"_+_"}) | _TESTS | {"size", "int", "double", "bool"}
_NEVER_BOOLEAN = _ARITHMETIC | _DATES | _TEXTS | {"size", "int", "double", "string", "timestamp", "duration"}
_NEVER_A_MAP = SCALAR | _NEVER_BOOLEAN | {"matches"}


@dataclass(frozen=True, slots=True)
class Finding:
    code: str
    message: str


@dataclass(slots=True)
class Walk:
    """`reads` are the longest known paths from a top-level name, in the order in which they stand."""

    reads: list[ReadPath] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def report(self, code: str, message: str) -> None:
        self.findings.append(Finding(code, message))


def walk(tree: Node) -> Walk:
    found = Walk()
    depth, nodes = _measure(tree)
    if depth > MAX_DEPTH:
        found.report("expression_too_deep", f"An expression may nest {MAX_DEPTH} levels; split it over steps.")
    elif nodes > MAX_NODES:
        found.report("expression_too_large", f"An expression may have {MAX_NODES:,} parts; split it over steps.")
    else:
        _visit(tree, frozenset(), found)
        if growth(tree) > MAX_GROWTH:
            found.report("expression_too_costly", "This expression can multiply its data too often; simplify it.")
    return found


def constant_path(node: Node) -> ReadPath | None:
    """`a.b["c"]` -> ("a", "b", "c"); None for anything else."""
    parts: list[str] = []
    while True:
        if isinstance(node, Select) and not node.test_only:
            parts.append(node.field)
            node = node.operand
        elif isinstance(node, Call) and node.function == "_[_]" and _text_index(node) is not None:
            parts.append(_text_index(node) or "")
            node = node.args[0]
        elif isinstance(node, Ident):
            parts.append(node.name)
            return tuple(reversed(parts))
        else:
            return None


def never_boolean(node: Node) -> bool:
    """Whether the expression gives something that a condition cannot be."""
    match node:
        case Const():
            return not isinstance(node.value, bool)
        case ListOf() | MapOf():
            return True
        case Call(function="_?_:_"):
            return never_boolean(node.args[1]) or never_boolean(node.args[2])
        case Call():
            return node.function in _NEVER_BOOLEAN
        case _:
            return False


def _text_index(node: Call) -> str | None:
    index = node.args[1]
    return index.value if isinstance(index, Const) and isinstance(index.value, str) else None


def _measure(tree: Node) -> tuple[int, int]:
    depth, nodes, level = 0, 0, [tree]
    while level:
        depth, nodes = depth + 1, nodes + len(level)
        level = [child for node in level for child in children(node)]
    return depth, nodes


def _visit(node: Node, bound: frozenset[str], found: Walk) -> None:
    path = constant_path(node.operand if isinstance(node, Select) and node.test_only else node)
    if path is not None:
        if path[0] not in bound:
            found.reads.append((*path, node.field) if isinstance(node, Select) and node.test_only else path)
        return
    match node:
        case Call():
            _check_call(node, found)
        case Select() if (what := _without_fields(node.operand)) is not None:
            found.report("no_fields", f"{what} has no field `{node.field}`.")
        case MapOf() if node.type_name:
            found.report("unknown_type", f"There is no type `{node.type_name}`; write a map with `{{'key': value}}`.")
        case Const() if isinstance(node.value, bytes):
            found.report("bytes", "Bytes are not JSON; write text.")
        case Loop():
            inner = bound | set(node.variables)
            _visit(node.over, bound, found)
            for part in (node.start, node.condition, node.step, node.result):
                _visit(part, inner, found)
            return
        case _:
            pass
    for child in children(node):
        _visit(child, bound, found)


def _without_fields(node: Node) -> str | None:
    """What it is, when it can have no field whatever the data."""
    match node:
        case Const(value=str()):
            return "A text"
        case Const():
            return f"`{json.dumps(node.value)}`" if isinstance(node.value, bool | int | float | None) else None
        case ListOf():
            return "A list"
        case Call() if node.function in _NEVER_A_MAP:
            return f"What `{node.function.strip('_')}` gives"
        case _:
            return None


def _check_call(node: Call, found: Walk) -> None:
    _check_pattern(node, found)
    if node.target is None:
        known = node.function in _OPERATORS or node.function in _FUNCTIONS
    else:
        known = node.function in _METHODS
    if not known:
        names = ", ".join(sorted(_METHODS if node.target is not None else _FUNCTIONS | {"has"}))
        found.report("unknown_function", f"There is no function `{node.function}`; there are {names}.")


def _check_pattern(node: Call, found: Walk) -> None:
    """A pattern that comes from data may cost minutes to compile; one that is written is at most a few KB."""
    if node.function == "matches" and not isinstance(node.args[-1], Const):
        found.report("pattern_not_literal", "The pattern of matches() must be written out, as 'text'.")


def growth(node: Node) -> int:
    """How many times larger than its data the result can be."""
    match node:
        case Const(value=str() as text):
            return 1 + len(text) // 64
        case Ident(name="@result"):
            return 0
        case Const() | Ident() | Select(test_only=True):
            return 1
        case Select():
            return growth(node.operand)
        case ListOf() | MapOf():
            return 1 + sum(map(growth, children(node)))
        case Loop():
            inside = max(growth(node.step), growth(node.condition))
            return min(growth(node.over) * max(inside - 1, 1), 10**9)
        case Call():
            return _call_growth(node)


def _call_growth(node: Call) -> int:
    parts = [growth(child) for child in children(node)]
    largest = max(parts, default=1)
    if largest > MAX_GROWTH or node.function in SCALAR:
        return largest if largest > MAX_GROWTH else 1
    if node.function == "_?_:_":
        return largest
    if node.function in ("_[_]", "split", "substring", "lower", "upper", "trim"):
        return parts[0]
    return sum(parts)
