"""How many runs schedules will start in each of the spans to come."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from monjolo.domains.triggers.timetable import timetable
from monjolo.engine.schedule import Next
from monjolo.kit import json

MOST_FOR_ONE = 5_000  # a schedule of every second would otherwise be a day's work
MOST = 60_000
_KEPT = 2_000
_TIMED = ("type", "cron", "timezone", "every", "anchor", "start_at", "end_at")


@dataclass(slots=True)
class _Line:
    """The instants of one timetable so far: it grows at its end and is cut at its beginning."""

    following: Next
    instants: list[int] = field(default_factory=list)
    ended: bool = False

    def reach(self, now: int, until: int, most: int) -> int:
        """Works out at most `most` new instants; how many there were."""
        del self.instants[: bisect_right(self.instants, now)]
        steps = 0
        while steps < most and not self.ended and (self.instants or [now])[-1] < until:
            following = self.following((self.instants or [now])[-1])
            self.ended = following is None
            if following is not None:
                self.instants.append(following)
            steps += 1
        return steps


class Forecast:
    """Flows that keep the same hours share a line, and from one look to the next only its end is worked out."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line | None] = {}

    def spans(self, triggers: Iterable[tuple[str, int]], now: int, edges: Sequence[int]) -> tuple[list[int], bool]:
        """(how many in each span between two edges, whether all could be counted in time).

        `triggers`: the configuration of each as JSON, and the instant it counts from.
        """
        if len(self._lines) > _KEPT:
            self._lines.clear()
        found, left, whole = [0] * (len(edges) - 1), MOST, True
        for key, number in Counter(_key(config, since) for config, since in triggers).items():
            line = self._line(key)
            if line is None:
                continue
            left -= line.reach(now, edges[-1], min(left, MOST_FOR_ONE))
            whole = whole and (line.ended or (line.instants or [now])[-1] >= edges[-1])
            for instant in line.instants:
                if instant < edges[-1]:
                    found[bisect_right(edges, instant) - 1] += number
        return found, whole

    def _line(self, key: str) -> _Line | None:
        if key not in self._lines:
            config, since = json.loads(key)
            try:
                self._lines[key] = _Line(timetable("", config, since).following)
            except ValueError:  # a zone that is gone: it never fires
                self._lines[key] = None
        return self._lines[key]


def _key(text: str, since: int) -> str:
    """The same for all triggers that fire at the same instants. Only a plain interval counts from its own start."""
    config: dict[str, Any] = json.loads(text)
    hours = {name: config[name] for name in _TIMED if name in config}
    return str(json.dumps([hours, since if "every" in hours and "anchor" not in hours else 0]))
