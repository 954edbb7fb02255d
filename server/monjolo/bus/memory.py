"""Live events within one process."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from monjolo.bus.port import Live

_REMEMBERED = 1_000
LINGERS = 120.0  # seconds
_WAITING = 10_000


class MemorySubscription:
    """A listener that falls behind by more than ten thousand events gets `lagged` and goes on from there."""

    def __init__(self, bus: MemoryBus, topics: frozenset[str], missed: Iterable[Live]) -> None:
        self._bus = bus
        self.topics = topics
        self._waiting: deque[Live] = deque(missed)
        self._arrived = asyncio.Event()
        self._closed = False

    def put(self, event: Live) -> None:
        if len(self._waiting) >= _WAITING:
            self._waiting.clear()
            event = Live(event.number, event.topic, "lagged", {})
        self._waiting.append(event)
        self._arrived.set()

    def close(self) -> None:
        self._closed = True
        self._bus.forget(self)
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[Live]:
        try:
            while True:
                while self._waiting:
                    yield self._waiting.popleft()
                if self._closed:
                    return
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._bus.forget(self)


class MemoryBus:
    """A topic stays wanted for a while after its last listener has left: who comes back misses nothing."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # No number of an earlier process is taken for one of this: it published less than one event a microsecond.
        self._number = time.time_ns() // 1_000
        self._listeners: dict[str, list[MemorySubscription]] = {}
        self._left_at: dict[str, float] = {}  # topics without a listener
        self._since: dict[str, int] = {}  # the number after which nothing of a topic went unpublished
        self._remembered: deque[Live] = deque(maxlen=_REMEMBERED)

    @property
    def number(self) -> int:
        return self._number

    @property
    def heard(self) -> bool:
        return bool(self._listeners)

    def wants(self, topic: str) -> bool:
        return topic in self._listeners

    def publish(self, topic: str, kind: str, data: Mapping[str, Any]) -> None:
        self._number += 1
        event = Live(self._number, topic, kind, data)
        self._remembered.append(event)
        for listener in self._listeners.get(topic, ()):
            listener.put(event)
        if topic in self._left_at:
            self._drop_left()

    def subscribe(self, topics: Iterable[str], after: int | None = None) -> MemorySubscription:
        self._drop_left()
        wanted = frozenset(topics)
        for topic in sorted(wanted - self._listeners.keys()):
            self._number += 1  # what was not published has no number: this one stands between it and what will be
            self._since[topic] = self._number
            self._listeners[topic] = []
        subscription = MemorySubscription(self, wanted, () if after is None else self._missed(wanted, after))
        for topic in wanted:
            self._left_at.pop(topic, None)
            self._listeners[topic].append(subscription)
        return subscription

    def _missed(self, wanted: frozenset[str], after: int) -> list[Live]:
        """What came after that event; only `lagged` when that is not known whole."""
        forgotten = len(self._remembered) == _REMEMBERED and after < self._remembered[0].number - 1
        unheard = any(after < self._since[topic] for topic in wanted)
        if forgotten or unheard or after > self._number:
            return [Live(self._number, min(wanted), "lagged", {})]
        return [event for event in self._remembered if event.number > after and event.topic in wanted]

    def forget(self, subscription: MemorySubscription) -> None:
        for topic in subscription.topics:
            listeners = self._listeners.get(topic, [])
            if subscription in listeners:
                self._listeners[topic] = [other for other in listeners if other is not subscription]
                if not self._listeners[topic]:
                    self._left_at[topic] = self._monotonic()

    def _drop_left(self) -> None:
        """Topics whose last listener left too long ago."""
        bound = self._monotonic() - LINGERS
        for topic in [topic for topic, left_at in self._left_at.items() if left_at < bound]:
            del self._left_at[topic], self._listeners[topic], self._since[topic]
