"""How long a run took, by the platform's own record."""

from __future__ import annotations

import datetime
from typing import Any


def seconds_of(run: dict[str, Any]) -> float:
    """From its acceptance to its end."""
    begun, ended = (datetime.datetime.fromisoformat(run[name]) for name in ("created_at", "finished_at"))
    return (ended - begun).total_seconds()
