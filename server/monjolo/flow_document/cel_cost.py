"""How much work an expression with loops can make of the data it is given, before it is run.

The engine counts the turns of loops, not what a turn costs: ten thousand times `x in list` over a long list is
a minute in which nothing else runs, for evaluation holds the interpreter. So the cost is bounded beforehand:
turns times the size of what each turn looks at. The bound is never too low; where the tree does not tell whose
data a turn looks at, the largest that it could be is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monjolo.flow_document.cel_check import SCALAR, ReadPath, constant_path, growth
from monjolo.flow_document.cel_tree import Call, Const, Ident, ListOf, Loop, Node, children

MAX_COST = 50_000_000  # about a third of a second of native work
MAX_TURNS = 10_000  # the engine's own limit, for all loops of an evaluation together
ITEM = 10  # what an item of a list or a map weighs besides its characters

FREE = -1  # of no loop's item: the path says what it is; without a path it may be anything
ONE_ITEM = -2  # `list[0]`: some item of some list

_CHEAP = frozenset(("_&&_", "_||_", "!_", "@not_strictly_false", "_?_:_", "_[_]", "-_", "_-_", "_*_", "_/_", "_%_"))


@dataclass(frozen=True, slots=True)
class Turns:
    """A loop: what it goes over, as a path to a list of the data, or to one within another loop's item.

    `items`: whether its items are items of a list in the data, or parts of such. Else they were made by the
    expression and may hold anything.
    """

    path: ReadPath | None
    items: bool
    at_most: int = MAX_TURNS


@dataclass(frozen=True, slots=True)
class Leaf:
    """Data that an operand reads: a path from a top-level name, or something of the item of loop `level`."""

    path: ReadPath | None
    level: int  # of the loop; or one of the two above


@dataclass(frozen=True, slots=True)
class Spot:
    """A call inside loops whose work grows with its operands: `leaves`, each taken so many times."""

    loops: tuple[Turns, ...]  # outermost first
    leaves: tuple[tuple[Leaf, int], ...]


Levels = Mapping[str, int]


class Cost:
    """Of one expression. `bool(cost)` is False when it has no loops, so that there is nothing to bound."""

    def __init__(self, tree: Node) -> None:
        self._spots: list[Spot] = []
        self._look_at(tree, (), {})

    def __bool__(self) -> bool:
        return bool(self._spots)

    def of(self, data: Mapping[str, Any]) -> int:
        sizes = _Sizes(data)
        return sum(_cost(spot, sizes) for spot in self._spots)

    def _look_at(self, node: Node, loops: tuple[Turns, ...], levels: Levels) -> None:
        if isinstance(node, Loop):
            self._look_at(node.over, loops, levels)
            inner = {**levels, **dict.fromkeys(node.variables, len(loops))}
            for part in (node.start, node.condition, node.step, node.result):
                self._look_at(part, (*loops, _turns(node.over, loops, levels)), inner)
            return
        if isinstance(node, Call) and loops and node.function not in _CHEAP and not _gathers(node):
            leaves = [
                (leaf, max(1, growth(operand)))
                for operand in children(node)
                if not (isinstance(operand, Call) and operand.function in SCALAR)
                for leaf in _leaves(operand, levels)
            ]
            self._spots.append(Spot(loops, tuple(leaves)))
        for child in children(node):
            self._look_at(child, loops, levels)


def _turns(over: Node, loops: tuple[Turns, ...], levels: Levels) -> Turns:
    if isinstance(over, ListOf):
        return Turns(None, False, len(over.items))
    path = constant_path(over)
    if path is not None:
        level = levels.get(path[0], FREE)
        return Turns(path, True) if level == FREE else Turns(None, loops[level].items)
    if isinstance(over, Loop):  # `rows.filter(…).map(…)`: how many, and whether still parts of the rows
        source = _turns(over.over, loops, levels)
        own = {**levels, **dict.fromkeys(over.variables, len(loops))}
        made = [leaf for leaf in _leaves(_gathered(over), own) if leaf.level != len(loops)]
        return Turns(source.path, source.items and not made, source.at_most)
    return Turns(None, False)


def _gathered(loop: Loop) -> Node:
    """What a turn of a `map` or `filter` puts into the result; the whole step of another loop."""
    step = loop.step
    if isinstance(step, Call) and step.function == "_?_:_":
        step = step.args[1]
    if isinstance(step, Call) and step.function == "_+_" and _gathers(step) and isinstance(step.args[1], ListOf):
        return step.args[1].items[0]
    return ListOf((step, Ident("")))


def _gathers(node: Call) -> bool:
    """What a loop does to gather its result; the engine does it in place."""
    return isinstance(node.args[0], Ident) and node.args[0].name == "@result" if node.args else False


def _leaves(node: Node, levels: Mapping[str, int]) -> list[Leaf]:
    path = constant_path(node)
    if path is not None:
        level = levels.get(path[0], FREE)
        return [Leaf(None if level >= 0 else path, level)]
    if isinstance(node, Call) and node.function == "_[_]":
        if isinstance(node.args[1], Const) and constant_path(node.args[0]) is not None:
            return [Leaf(None, ONE_ITEM)]
        # `map[key]` with a key of the loop: the same large value may be looked at in each turn.
        return [Leaf(leaf.path, FREE) for leaf in _leaves(node.args[0], levels)]
    return [leaf for child in children(node) for leaf in _leaves(child, levels)]


def _cost(spot: Spot, sizes: _Sizes) -> int:
    turns = [sizes.turns(loop) for loop in spot.loops]
    total = _times(turns)
    cost = total * ITEM
    for leaf, times in spot.leaves:
        if leaf.level < 0:
            cost += total * times * (sizes.largest if leaf.level == ONE_ITEM else sizes.weight(leaf.path))
            continue
        if not spot.loops[leaf.level].items:
            cost += total * times * sizes.total
            continue
        # Each turn looks at one item: at the largest every time, or at all of them in turn.
        one_by_one = _times([*turns[: leaf.level], *turns[leaf.level + 1 :]]) * sizes.over(spot.loops[leaf.level])
        cost += times * min(total * sizes.largest, one_by_one)
    return cost


def _times(turns: list[int]) -> int:
    product = 1
    for count in turns:
        product *= count
    return min(product, MAX_TURNS)


class _Sizes:
    """Of the data of one evaluation, each found once and only when it is asked for."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self._known: dict[ReadPath, int] = {}
        self._measured: tuple[int, int, int] | None = None

    @property
    def total(self) -> int:
        return self._all()[0]

    @property
    def largest(self) -> int:
        """Item of any list."""
        return self._all()[1]

    def weight(self, path: ReadPath | None) -> int:
        if path is None:
            return self.total
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = _measure(_find(self._data, path))[0]
        return known

    def over(self, loop: Turns) -> int:
        return self.total if loop.path is None else self.weight(loop.path)

    def turns(self, loop: Turns) -> int:
        found = None if loop.path is None else _find(self._data, loop.path)
        if isinstance(found, list | Mapping):
            return len(found)
        return min(self._all()[2] if loop.items else MAX_TURNS, loop.at_most)

    def _all(self) -> tuple[int, int, int]:
        if self._measured is None:
            self._measured = _measure(self._data)
        return self._measured


def _measure(value: Any) -> tuple[int, int, int]:
    """(weight, weight of the heaviest item of any list, or key, in it, length of the longest list or map in it)."""
    if isinstance(value, str):
        return ITEM + len(value), 0, 0
    if isinstance(value, Mapping):
        inner = [_measure(item) for item in value.values()]
        weight = ITEM + sum(map(len, value)) + ITEM * len(value)
    elif isinstance(value, list):
        inner = [_measure(item) for item in value if isinstance(item, str | list | Mapping)]
        weight = ITEM + ITEM * (len(value) - len(inner))
    else:
        return ITEM, 0, 0
    weights, heaviest, longest = zip(*inner, strict=True) if inner else ((0,), (0,), (0,))
    own = max(weights) if isinstance(value, list) else ITEM + max(map(len, value), default=0)  # loops go over keys
    return weight + sum(weights), max(own, ITEM, *heaviest), max(len(value), *longest)


def _find(value: Any, path: ReadPath) -> Any:
    """What lies on the path, as far as it goes."""
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return value if isinstance(value, str | list) else None
        value = value[key]
    return value
