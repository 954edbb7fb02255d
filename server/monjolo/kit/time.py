"""Instants and durations as integers of microseconds, and the ways people write them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

MILLISECOND, SECOND, MINUTE, HOUR, DAY = 1_000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR, _LAST_YEAR = 1900, 9900  # so that time zones and spans around it stay within what dates can be
_UNITS = {"us": 1, "ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d|w)")
_ISO = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)?")
_SIZES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class Clock(Protocol):
    """The only source of `now` outside the database; tests hand in one that they move."""

    def now(self) -> int: ...


class SystemClock:
    def now(self) -> int:
        return time.time_ns() // 1_000


def to_datetime(instant: int) -> datetime:
    return _EPOCH + timedelta(microseconds=instant)


def from_datetime(moment: datetime) -> int:
    """Exact, unlike `timestamp()`, which goes through a float. Raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_rfc3339(instant: int) -> str:
    return to_datetime(instant).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> int:
    """Raises ValueError when `text` is no RFC 3339 instant with an offset, or one that no calendar reckons with."""
    moment = datetime.fromisoformat(text)
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"the year must be from {_FIRST_YEAR} to {_LAST_YEAR}")
    return from_datetime(moment)


def parse_duration(text: str) -> int:
    """`500ms`, `30s`, `1h30m`, `2d` or ISO 8601 `PT5M`. Raises ValueError."""
    text = text.strip()
    if text.startswith("P") and len(text) > 1 and not text.endswith("T"):
        match = _ISO.fullmatch(text)
        if match:
            weeks, days, hours, minutes, seconds = (float(g) if g else 0.0 for g in match.groups())
            total = weeks * 7 * DAY + days * DAY + hours * HOUR + minutes * MINUTE + seconds * SECOND
            return round(total)
    parts = _PART.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise ValueError(f"{text!r} is not a duration; write it like 500ms, 30s, 5m, 1h30m, 2d or PT5M")
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))


def format_duration(duration: int) -> str:
    """The shortest exact form: 5400000000 -> `1h30m`."""
    if duration == 0:
        return "0s"
    out, rest = "", duration
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, rest = divmod(rest, _UNITS[unit])
        out += f"{count}{unit}" if count else ""
    return out


def parse_size(text: str) -> int:
    """`64KiB`, `10MiB`, `1500`: bytes. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size; write it like 64KiB or 10MiB")
    return round(float(match[1]) * _SIZES[match[2] or "B"])
