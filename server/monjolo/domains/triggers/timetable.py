"""When a `schedule` or `interval` trigger fires: its configuration as plain functions of instants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from monjolo.domains.triggers import cron
from monjolo.domains.triggers.models import Trigger
from monjolo.engine.schedule import Jitter, Misfire, MisfirePolicy, Next
from monjolo.kit.time import SECOND, from_rfc3339, parse_duration

_log = structlog.get_logger("monjolo.triggers")
TIMED = frozenset({"schedule", "interval"})


@dataclass(frozen=True, slots=True)
class Timetable:
    following: Next
    policy: MisfirePolicy
    jitter: Jitter

    def upcoming(self, after: int, count: int) -> list[int]:
        """The next nominal instants."""
        found: list[int] = []
        instant = self.following(after)
        while instant is not None and len(found) < count:
            found.append(instant)
            instant = self.following(instant)
        return found


def timetable(trigger_id: str, config: Mapping[str, Any], since: int) -> Timetable:
    """Raises ValueError for a configuration that validation should have refused."""
    misfire = Misfire(config.get("misfire", "last"))
    grace = parse_duration(config["misfire_grace"]) if "misfire_grace" in config else 60 * SECOND
    policy = MisfirePolicy(misfire, grace, int(config.get("misfire_max", 100)))
    jitter = Jitter(parse_duration(config["jitter"]) if "jitter" in config else 0, trigger_id)
    if config["type"] == "schedule":
        following: Next = cron.following(config["cron"], config.get("timezone", "UTC"))
    else:
        anchor = from_rfc3339(config["anchor"]) if "anchor" in config else since
        following = _every(parse_duration(config["every"]), anchor)
    return Timetable(_within(following, config), policy, jitter)


def _every(period: int, anchor: int) -> Next:
    if period < SECOND:
        raise ValueError("`every` must be at least 1s")

    def following(after: int) -> int:
        """The clocks people keep do not matter to an interval: it ticks through every change of them."""
        return anchor + max(0, (after - anchor) // period + 1) * period

    return following


def _within(following: Next, config: Mapping[str, Any]) -> Next:
    start = from_rfc3339(config["start_at"]) if "start_at" in config else None
    end = from_rfc3339(config["end_at"]) if "end_at" in config else None
    if start is None and end is None:
        return following

    def bounded(after: int) -> int | None:
        instant = following(after if start is None else max(after, start - 1))
        return None if instant is None or (end is not None and instant > end) else instant

    return bounded


class Timetables:
    """Keeps what was worked out for each trigger, for as long as its configuration is the same."""

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._kept: dict[str, tuple[dict[str, Any], int, Timetable | None]] = {}

    def of(self, trigger: Trigger) -> Timetable | None:
        """None for a configuration that cannot be understood (an IANA zone that is gone): it never fires."""
        kept = self._kept.get(trigger.id)
        if kept is not None and kept[0] == trigger.config and kept[1] == trigger.since:
            return kept[2]
        try:
            table: Timetable | None = timetable(trigger.id, trigger.config, trigger.since)
        except ValueError as error:
            _log.error("trigger_not_understood", trigger=trigger.name, flow_id=trigger.flow_id, why=str(error))
            table = None
        if len(self._kept) >= self._limit:
            self._kept.clear()
        self._kept[trigger.id] = (trigger.config, trigger.since, table)
        return table
