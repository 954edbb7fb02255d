"""Live events within one process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from monjolo.bus.port import Live

_REMEMBERED = 1_000
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
    def __init__(self) -> None:
        self._number = 0
        self._listeners: dict[str, list[MemorySubscription]] = {}
        self._remembered: deque[Live] = deque(maxlen=_REMEMBERED)

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

    def subscribe(self, topics: Iterable[str], after: int | None = None) -> MemorySubscription:
        wanted = frozenset(topics)
        missed = [
            event for event in self._remembered if after is not None and event.number > after and event.topic in wanted
        ]
        subscription = MemorySubscription(self, wanted, missed)
        for topic in wanted:
            self._listeners.setdefault(topic, []).append(subscription)
        return subscription

    def forget(self, subscription: MemorySubscription) -> None:
        for topic in subscription.topics:
            left = [other for other in self._listeners.get(topic, ()) if other is not subscription]
            if left:
                self._listeners[topic] = left
            else:
                self._listeners.pop(topic, None)
