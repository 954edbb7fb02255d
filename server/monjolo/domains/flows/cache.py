"""What is kept in memory of flows: compiled versions (they never change) and heads (dropped when they do)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LeastRecent(Generic[K, V]):
    """A dict whose entries weigh at most `limit` together: the one that was not asked for longest goes first.

    Without `weigh` each weighs one. What was put last stays, whatever it weighs.
    """

    def __init__(self, limit: int, weigh: Callable[[V], int] = lambda _: 1) -> None:
        self._limit = limit
        self._weigh = weigh
        self._weight = 0
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self.drop(key)
        self._entries[key] = value
        self._weight += self._weigh(value)
        while self._weight > self._limit and len(self._entries) > 1:
            self._weight -= self._weigh(self._entries.popitem(last=False)[1])

    def drop(self, key: K) -> None:
        value = self._entries.pop(key, None)
        if value is not None:
            self._weight -= self._weigh(value)

    def __len__(self) -> int:
        return len(self._entries)
