"""Identifiers: UUIDv7, whose order is the order of their making."""

from __future__ import annotations

import uuid_utils


def new_id() -> str:
    return str(uuid_utils.uuid7())


def lowest_id(instant: int) -> str:
    """No id made at this instant (in microseconds) or later is lower: ids begin with their millisecond."""
    digits = f"{instant // 1_000:012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"
