"""Who gets a concurrency slot. There is no counter: what is held is what the rows say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Waiter = TypeVar("Waiter")


def next_holders(limit: int, held: int, waiters: Sequence[Waiter]) -> Sequence[Waiter]:
    """The waiters, in their order, that may hold a slot now."""
    return waiters[: max(0, limit - held)]
