"""Sizes and ages as people write them: 10MiB, 30d."""

from __future__ import annotations

import re

from monjolo_sdk import InvalidInput

SECOND_NS = 10**9
_SIZE = re.compile(r"(\d{1,15})(?:\s*(B|KiB|MiB|GiB|TiB))?")
_AGE = re.compile(r"(?:(\d{1,5})w)?(?:(\d{1,6})d)?(?:(\d{1,7})h)?(?:(\d{1,8})m)?(?:(\d{1,9})s)?")
_SECONDS = (604_800, 86_400, 3_600, 60, 1)


def size_of(text: str, field: str) -> int | None:
    """Bytes; None for an empty text."""
    if not text.strip():
        return None
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(f"{text!r} is no size; write it such as 4096, 64KiB or 10MiB", field)
    return int(match[1]) * int(1024 ** ("B", "KiB", "MiB", "GiB", "TiB").index(match[2] or "B"))


def age_of(text: str, field: str) -> int | None:
    """Nanoseconds; None for an empty text."""
    if not text.strip():
        return None
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(f"{text!r} is no age; write it such as 30d, 12h or 2w", field)
    return sum(int(part or 0) * seconds for part, seconds in zip(match.groups(), _SECONDS, strict=True)) * SECOND_NS
