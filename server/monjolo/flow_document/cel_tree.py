"""Reads what the CEL parser understood: its serialised tree (cel/expr/syntax.proto), as small nodes.

Our own walk over this tree decides which names, functions and sizes are allowed; nothing is guessed from text.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

Literal = None | bool | int | float | str | bytes


@dataclass(frozen=True, slots=True)
class Const:
    value: Literal


@dataclass(frozen=True, slots=True)
class Ident:
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    operand: Node
    field: str
    test_only: bool  # has(operand.field)


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    target: Node | None
    args: tuple[Node, ...]
    at: int  # offset of the function's name in the serialised bytes


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf:
    type_name: str
    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """A comprehension: what `all`, `exists`, `map` and `filter` become."""

    variables: tuple[str, ...]  # of the item and of the result so far
    over: Node
    start: Node
    condition: Node
    step: Node
    result: Node


Node = Const | Ident | Select | Call | ListOf | MapOf | Loop


def read_tree(raw: bytes) -> Node:
    """The tree in the bytes that `Expression.serialize()` gives for an unchecked expression."""
    start, end = _first(raw, 0, len(raw), 2)  # Any.value
    return _expr(raw, *_first(raw, start, end, 2))  # ParsedExpr.expr


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return (node.target, *node.args) if node.target is not None else node.args
        case ListOf():
            return node.items
        case MapOf():
            return tuple(part for entry in node.entries for part in entry)
        case Loop():
            return (node.over, node.start, node.condition, node.step, node.result)
        case _:
            return ()


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(raw: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(field number, start, end) of each field; for a varint and a double, start is the offset of its bytes."""
    at = start
    while at < end:
        tag, at = _varint(raw, at)
        kind = tag & 7
        if kind == 0:
            begin = at
            _, at = _varint(raw, at)
            yield tag >> 3, begin, at
        elif kind == 2:
            size, begin = _varint(raw, at)
            at = begin + size
            yield tag >> 3, begin, at
        else:
            size = 8 if kind == 1 else 4
            yield tag >> 3, at, at + size
            at += size


def _first(raw: bytes, start: int, end: int, number: int) -> tuple[int, int]:
    for found, begin, stop in _fields(raw, start, end):
        if found == number:
            return begin, stop
    return end, end


def _text(raw: bytes, start: int, end: int) -> str:
    return raw[start:end].decode()


def _expr(raw: bytes, start: int, end: int) -> Node:
    for number, begin, stop in _fields(raw, start, end):
        if number in _READERS:
            return _READERS[number](raw, begin, stop)
    raise ValueError("an expression without a kind")


def _const(raw: bytes, start: int, end: int) -> Node:
    for number, begin, stop in _fields(raw, start, end):
        if number == 1:
            return Const(None)
        if number == 2:
            return Const(bool(_varint(raw, begin)[0]))
        if number == 3:
            value = _varint(raw, begin)[0]
            return Const(value - 2**64 if value >= 2**63 else value)
        if number == 4:
            return Const(_varint(raw, begin)[0])
        if number == 5:
            return Const(float(struct.unpack("<d", raw[begin:stop])[0]))
        if number == 6:
            return Const(_text(raw, begin, stop))
        return Const(raw[begin:stop])
    return Const(None)


def _ident(raw: bytes, start: int, end: int) -> Node:
    return Ident(_text(raw, *_first(raw, start, end, 1)))


def _select(raw: bytes, start: int, end: int) -> Node:
    operand, name, test = None, "", False
    for number, begin, stop in _fields(raw, start, end):
        if number == 1:
            operand = _expr(raw, begin, stop)
        elif number == 2:
            name = _text(raw, begin, stop)
        elif number == 3:
            test = bool(_varint(raw, begin)[0])
    if operand is None:
        raise ValueError("a field of nothing")
    return Select(operand, name, test)


def _call(raw: bytes, start: int, end: int) -> Node:
    target, name, at, args = None, "", 0, []
    for number, begin, stop in _fields(raw, start, end):
        if number == 1:
            target = _expr(raw, begin, stop)
        elif number == 2:
            name, at = _text(raw, begin, stop), begin
        elif number == 3:
            args.append(_expr(raw, begin, stop))
    return Call(name, target, tuple(args), at)


def _list(raw: bytes, start: int, end: int) -> Node:
    return ListOf(tuple(_expr(raw, b, e) for number, b, e in _fields(raw, start, end) if number == 1))


def _map(raw: bytes, start: int, end: int) -> Node:
    type_name, entries = "", []
    for number, begin, stop in _fields(raw, start, end):
        if number == 1:
            type_name = _text(raw, begin, stop)
        elif number == 2:
            entries.append(_entry(raw, begin, stop))
    return MapOf(type_name, tuple(entries))


def _entry(raw: bytes, start: int, end: int) -> tuple[Node, Node]:
    key: Node = Const(None)
    value: Node = Const(None)
    for number, begin, stop in _fields(raw, start, end):
        if number == 2:
            key = Const(_text(raw, begin, stop))
        elif number == 3:
            key = _expr(raw, begin, stop)
        elif number == 4:
            value = _expr(raw, begin, stop)
    return key, value


def _loop(raw: bytes, start: int, end: int) -> Node:
    names: list[str] = []
    parts: dict[int, Node] = {}
    for number, begin, stop in _fields(raw, start, end):
        if number in (1, 3, 8):
            names.append(_text(raw, begin, stop))
        else:
            parts[number] = _expr(raw, begin, stop)
    return Loop(tuple(names), parts[2], parts[4], parts[5], parts[6], parts[7])


_READERS = {3: _const, 4: _ident, 5: _select, 6: _call, 7: _list, 8: _map, 9: _loop}
