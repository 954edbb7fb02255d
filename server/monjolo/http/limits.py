"""How often something may be asked (S14): a sliding window for each key, told in RateLimit-* headers."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.types import Scope

from monjolo.kit.errors import TooMany


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` within `seconds`, for each value of what `name` counts by."""

    name: str
    amount: int
    seconds: int


class RateLimiter:
    """Counts in this process. Keys are hashed: they may be addresses of people."""

    def __init__(self) -> None:
        self._strategy = SlidingWindowCounterRateLimiter(MemoryStorage())

    def hit(self, scope: Scope, limit: Limit, key: str) -> None:
        """Counts one. Raises TooMany when the window is full; either way the answer's headers will tell."""
        item = RateLimitItemPerSecond(limit.amount, limit.seconds)
        hashed = _hashed(key)
        allowed = self._strategy.hit(item, limit.name, hashed)
        window = self._strategy.get_window_stats(item, limit.name, hashed)
        wait = max(1, math.ceil(window.reset_time - time.time()))
        tell(scope, limit, window.remaining, wait)
        if not allowed:
            raise TooMany(f"Wait {wait} seconds, then try again.", retry_after=wait)

    def forgive(self, limit: Limit, key: str) -> None:
        """Begins anew for `key`, whose last attempt was a good one."""
        self._strategy.clear(RateLimitItemPerSecond(limit.amount, limit.seconds), limit.name, _hashed(key))


def tell(scope: Scope, limit: Limit, remaining: int, reset: int) -> None:
    """Hands the envelope the headers of the tightest limit that this request met."""
    told = scope.get("rate_limit")
    if told is None or remaining < told[1]:
        scope["rate_limit"] = (limit.amount, remaining, reset)


def rate_limit_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    told = scope.get("rate_limit")
    if told is None:
        return []
    names = (b"ratelimit-limit", b"ratelimit-remaining", b"ratelimit-reset")
    return [(name, str(value).encode()) for name, value in zip(names, told, strict=True)]


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def address(scope: Scope) -> str:
    """Where a request comes from, for counting."""
    client = scope.get("client")
    return client[0] if client else "unknown"
