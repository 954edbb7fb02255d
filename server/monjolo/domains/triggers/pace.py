"""How fast what was missed is released: so many runs a second, with one second's worth at once."""

from __future__ import annotations

from monjolo.kit.time import SECOND


class Pace:
    """A bucket of permissions that fills with time. One trigger may overdraw it; then it has to fill first."""

    def __init__(self, per_second: float) -> None:
        if per_second <= 0:
            raise ValueError("a pace is more than nothing a second")
        self._per_second = per_second
        self._most = max(1.0, per_second)
        self._left = self._most
        self._filled_at: int | None = None

    def allowed(self, now: int) -> int:
        """How many may go now; below one: none."""
        if self._filled_at is not None and now > self._filled_at:
            filled = (now - self._filled_at) / SECOND * self._per_second
            self._left = min(self._most, self._left + filled)
        self._filled_at = now
        return int(self._left)

    def spend(self, count: int, now: int) -> None:
        self.allowed(now)
        self._left -= count

    def ready_at(self, now: int) -> int:
        """When one more may go."""
        missing = 1 - self._left
        return now if missing <= 0 else now + int(missing / self._per_second * SECOND) + 1
