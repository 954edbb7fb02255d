"""Takes log lines from everywhere (ctx.log, print, logging, warnings, raw descriptors) into the outbox."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from monjolo_sdk.runner.outbox import Outbox
from monjolo_sdk.runner.tasks import RunningTask, current_task

MAX_LINE = 65_536
_RAW_CHECK_US = 1_000
_PLAIN = (str, int, bool, type(None))
_NO_FIELDS: dict[str, Any] = {}


class LogBook:
    """Gives each line its task, its time and its share of the task's limit."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._checked_at = 0
        self.raw_output: Callable[[bool], None] = _nothing  # see streams.RawOutput.bring_in
        self.sync_task: RunningTask | None = None
        self.latest_task: RunningTask | None = None

    def owner(self) -> RunningTask | None:
        """Whose line is it? The context tells; of threads and raw writes: the sync task, or the latest."""
        return current_task.get() or self.sync_task or self.latest_task

    def write(self, level: str, stream: str, text: str, fields: Mapping[str, Any] | None = None) -> None:
        """A line from Python code. What a subprocess wrote before it comes first."""
        at = time.time_ns() // 1000
        if at - self._checked_at > _RAW_CHECK_US:
            self._checked_at = at
            self.raw_output(False)
        self.add(self.owner(), at, level, stream, text, fields)

    def add(
        self,
        task: RunningTask | None,
        at: int,
        level: str,
        stream: str,
        text: str,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """A line of a known task; beyond the task's limit it is counted and dropped."""
        if type(text) is not str:
            text = str(text)
        if task is not None:
            if task.log_left <= 0:
                task.dropped += 1
                return
            task.log_left -= len(text) + 32
        told = plain_fields(fields) if fields else _NO_FIELDS
        if len(text) <= MAX_LINE:
            self._outbox.send_log((task, at, level, stream, text, told))
        else:
            self._add_long(task, at, level, stream, text, told)

    def finish(self, task: RunningTask) -> None:
        """Before the answer of a task: what subprocesses wrote, half lines, and the count of the dropped."""
        self.raw_output(True)
        for stream, text in task.partial.items():
            if text:
                task.partial[stream] = ""
                self.write_for(task, stream, text)
        if task.dropped:
            count, task.dropped, task.log_left = task.dropped, 0, 1
            text = f"{count} more log lines were dropped: the step's log limit is reached"
            self.add(task, time.time_ns() // 1000, "warning", "system", text, {"dropped": count})
            task.log_left = 0

    def write_for(self, task: RunningTask | None, stream: str, text: str) -> None:
        """A line of stdout or stderr."""
        self.add(task, time.time_ns() // 1000, "info" if stream == "stdout" else "warning", stream, text)

    def _add_long(
        self, task: RunningTask | None, at: int, level: str, stream: str, text: str, fields: dict[str, Any]
    ) -> None:
        # Pieces are marked `part`, from 1, so that a reader can join them; nothing of the line is lost.
        for part, start in enumerate(range(0, len(text), MAX_LINE), 1):
            piece = text[start : start + MAX_LINE]
            self._outbox.send_log((task, at, level, stream, piece, {**fields, "part": part}))


def plain_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as JSON data now: the author may change the objects before the line is written."""
    return {str(key): value if type(value) in _PLAIN else _plain_value(value, 0) for key, value in fields.items()}


def _plain_value(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else str(value)
    if depth < 6 and kind is dict:
        return {str(key): _plain_value(item, depth + 1) for key, item in value.items()}
    if depth < 6 and kind in (list, tuple, set):
        return [_plain_value(item, depth + 1) for item in value]
    try:
        return str(value)[:MAX_LINE]
    except Exception:  # a broken __str__ must not break the log
        return f"<{kind.__name__}>"


def _nothing(half_lines: bool) -> None:
    return None
