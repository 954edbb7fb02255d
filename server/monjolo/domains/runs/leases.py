"""Which worker holds which begun task, and until when that is believed.

A lease is judged only after all heartbeats that arrived were heard; after a gap of this process (a frozen
machine, a debugger) every lease gets one full period of grace, since the silence may have been ours.
"""

from __future__ import annotations

from collections.abc import Iterable

from monjolo.domains.runs.dispatch import TaskName
from monjolo.kit.time import SECOND

LEASE = 30 * SECOND
JUDGE_EVERY = 5 * SECOND
_GAP = 3 * JUDGE_EVERY


class Leases:
    def __init__(self) -> None:
        self._until: dict[TaskName, int] = {}
        self._last_look: int | None = None

    def __len__(self) -> int:
        return len(self._until)

    def grant(self, name: TaskName, now: int) -> int:
        until = self._until[name] = now + LEASE
        return until

    def knows(self, name: TaskName) -> bool:
        return name in self._until

    def end(self, names: Iterable[TaskName]) -> None:
        for name in names:
            self._until.pop(name, None)

    def renew(self, names: Iterable[TaskName], now: int) -> None:
        for name in names:
            if name in self._until:
                self._until[name] = now + LEASE

    def expired(self, now: int) -> list[TaskName]:
        """Those whose time is over. Call it regularly: a late call is a gap, and gives grace instead."""
        last, self._last_look = self._last_look, now
        if last is not None and (now - last > _GAP or now < last):
            for name in self._until:
                self._until[name] = now + LEASE
            return []
        return [name for name, until in self._until.items() if until < now]
