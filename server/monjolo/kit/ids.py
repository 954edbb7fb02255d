"""Identifiers: UUIDv7, whose order is the order of their making."""

from __future__ import annotations

import uuid_utils

NAMESPACE = uuid_utils.UUID("b5f9a8f2-6c1d-5d0e-9a53-6d6f6e6a6f6c")


def new_id() -> str:
    return str(uuid_utils.uuid7())


def lowest_id(instant: int) -> str:
    """No id made at this instant (in microseconds) or later is lower: ids begin with their millisecond."""
    digits = f"{instant // 1_000:012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def derived_id(name: str) -> str:
    """The same id for the same name, for things that must be made once (a tick's run, a step's child)."""
    return str(uuid_utils.uuid5(NAMESPACE, name))
