"""Takes log lines from everywhere (ctx.log, print, logging, warnings, raw descriptors) into the outbox."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from monjolo_sdk.runner.outbox import Outbox
from monjolo_sdk.runner.render import MAX_LINE
from monjolo_sdk.runner.tasks import RunningTask, current_task

_PLAIN = (str, int, bool, type(None))
_NO_FIELDS: dict[str, Any] = {}
_ENTRY_COST = 64


class LogBook:
    """Gives each line its task and its time."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.raw_output: Callable[[bool], None] = _nothing  # see streams.RawOutput.bring_in
        self.sync_task: RunningTask | None = None
        self.latest_task: RunningTask | None = None

    def owner(self) -> RunningTask | None:
        """Whose line is it? The context tells; of threads and raw writes: the sync task, or the latest."""
        return current_task.get() or self.sync_task or self.latest_task

    def write(self, level: str, stream: str, text: str, fields: Mapping[str, Any] | None = None) -> None:
        """A line from Python code. What a subprocess wrote before it comes first."""
        if not self._outbox.state:
            self.raw_output(False)
        self.add(self.owner(), level, stream, text, fields)

    def add(
        self, task: RunningTask | None, level: str, stream: str, text: str, fields: Mapping[str, Any] | None = None
    ) -> None:
        """A line of a known task."""
        if type(text) is not str:
            text = str(text)
        told = plain_fields(fields) if fields else _NO_FIELDS
        self._outbox.send((task, time.time_ns() // 1000, level, stream, text, told), len(text) + _ENTRY_COST)

    def add_raw(self, stream: str, text: str) -> None:
        """A line that came through a descriptor."""
        self.add(self.owner(), "info" if stream == "stdout" else "warning", stream, text)

    def chunk_writer(self, stream: str) -> Callable[[Any], int]:
        """The function behind sys.stdout or sys.stderr. A print must cost about a microsecond: no calls but these."""
        outbox, entries_append, send = self._outbox, self._outbox.entries.append, self._outbox.send
        task_of, now, book = current_task.get, time.time_ns, self

        def write(data: str | bytes) -> int:
            size = len(data)
            if outbox.state != 2:  # the writer sleeps: wake it, and let raw output that came before go first
                book.raw_output(False)
                send((task_of() or book.owner(), now() // 1000, stream, data), size + _ENTRY_COST)
                return size
            entries_append((task_of() or book.owner(), now() // 1000, stream, data))
            outbox.pending += size + _ENTRY_COST
            if outbox.pending > 1_048_576:
                outbox.flush()
            return size

        return write


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
