"""Live events, for whoever looks at this moment. Nothing depends on them: the database has the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Live:
    """One event. `number` grows by one for each event of this bus."""

    number: int
    topic: str
    kind: str
    data: Mapping[str, Any]


class Subscription(Protocol):
    def __aiter__(self) -> AsyncIterator[Live]: ...
    def close(self) -> None: ...


class Bus(Protocol):
    @property
    def number(self) -> int:
        """Of the newest event: who knows it can ask for what comes after."""

    @property
    def heard(self) -> bool:
        """Whether anybody listens to anything."""

    def wants(self, topic: str) -> bool:
        """Whether anybody listens, or did a moment ago: an event that nobody hears need not be made."""

    def publish(self, topic: str, kind: str, data: Mapping[str, Any]) -> None: ...

    def subscribe(self, topics: Iterable[str], after: int | None = None) -> Subscription:
        """Events of these topics from now on, or after event `after`; `lagged` first when some are not known."""
