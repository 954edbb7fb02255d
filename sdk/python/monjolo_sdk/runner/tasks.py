"""What the runner keeps of a task while it runs."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from monjolo_sdk.runner.messages import dumps

DEFAULT_LOG_BYTES = 64 << 20
DEFAULT_OUTPUT_BYTES = 16 << 20


class RunningTask:
    """One `run` request, from its arrival to its answer."""

    __slots__ = (
        "action",
        "asyncio_task",
        "cancelled",
        "connections",
        "context",
        "details",
        "dropped",
        "held",
        "id",
        "inputs",
        "json_id",
        "log_left",
        "output_bytes",
        "progress",
        "request_id",
        "unclaimed",
    )  # fmt: skip

    def __init__(self, request_id: Any, params: dict[str, Any]) -> None:
        self.request_id = request_id
        self.id: str = params["task"]
        self.action: str = params["action"]
        self.inputs: dict[str, Any] = params.get("inputs") or {}
        self.connections: dict[str, Any] = params.get("connections") or {}
        self.details: dict[str, Any] = params.get("context") or {}
        self.json_id = dumps(self.id)
        self.log_left: int = self.details.get("log_bytes") or DEFAULT_LOG_BYTES
        self.output_bytes: int = self.details.get("output_bytes") or DEFAULT_OUTPUT_BYTES
        self.dropped = 0
        self.held: dict[str, list[str]] = {}  # half lines of stdout and stderr
        self.progress: dict[str, Any] | None = None
        self.cancelled = False
        self.context: Any = None
        self.asyncio_task: Any = None
        self.unclaimed = [None]

    def claim(self) -> bool:
        """Only the first who asks gets it: the thread that runs it, or the one that gives it back unbegun."""
        try:
            self.unclaimed.pop()
        except IndexError:
            return False
        return True


current_task: ContextVar[RunningTask | None] = ContextVar("monjolo_task", default=None)
