"""The one way out to the worker: whole lines, in order, many at a time.

Producers append and go on; a thread writes what has gathered, so that a log line costs a few microseconds
and is never held back to fill a batch. Past a mebibyte the producer writes itself: the back-pressure.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from monjolo_sdk.runner.messages import dumps, notification, utf8
from monjolo_sdk.runner.tasks import RunningTask

MAX_PENDING_BYTES = 1 << 20
_LINE_OVERHEAD = 64

LogEntry = tuple[RunningTask | None, int, str, str, str, Mapping[str, Any]]
Entry = bytes | LogEntry | RunningTask


class Outbox:
    """Entries are ready lines (bytes), log lines (tuples) and tasks whose progress is to be told."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._entries: deque[Entry] = deque()
        self._pending = 0
        self._writing = threading.Lock()
        self._signal = threading.Lock()
        self._signal.acquire()
        self._awake = False
        self.closed = False

    def start(self) -> None:
        """Start the thread that writes what gathers."""
        threading.Thread(target=self._write_for_ever, name="monjolo-writer", daemon=True).start()

    def send(self, line: bytes) -> None:
        """Queue a ready line."""
        self._entries.append(line)
        self._grown(len(line))

    def send_log(self, entry: LogEntry) -> None:
        """Queue a log line."""
        self._entries.append(entry)
        self._grown(len(entry[4]) + _LINE_OVERHEAD)

    def send_progress(self, task: RunningTask) -> None:
        """Queue the progress of a task; only the newest of a batch travels."""
        self._entries.append(task)
        self._grown(_LINE_OVERHEAD)

    def put(self, line: bytes) -> None:
        """Queue a ready line without waking the writer: the caller flushes soon."""
        self._entries.append(line)
        self._pending += len(line)

    def wake(self) -> None:
        """Have the thread write soon."""
        if not self._awake:
            self._awake = True
            with contextlib.suppress(RuntimeError):  # another thread was quicker
                self._signal.release()

    def flush(self) -> None:
        """Write all that is queued, here and now."""
        if self.closed:
            return
        with self._writing:
            while self._entries and not self.closed:
                self._pending = 0
                taken = [self._entries.popleft() for _ in range(len(self._entries))]
                self._write(encode(taken))

    def _grown(self, size: int) -> None:
        if self.closed:
            self._entries.clear()
            return
        self._pending += size
        if self._pending > MAX_PENDING_BYTES:
            self.flush()
        else:
            self.wake()

    def _write_for_ever(self) -> None:
        while True:
            self._signal.acquire()
            self._awake = False
            self.flush()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:  # the worker is gone; stdin ends too, and that ends the runner
            self.closed = True


def encode(entries: list[Entry]) -> bytes:
    """The lines of some entries; neighbouring log lines of one task share a message."""
    out: list[bytes] = []
    lines: list[tuple[Any, ...]] = []
    owner: RunningTask | None = None
    for entry in entries:
        if isinstance(entry, tuple):
            if lines and entry[0] is not owner:
                out.append(_logs(owner, lines))
                lines = []
            owner = entry[0]
            lines.append(entry[1:])
            continue
        if lines:
            out.append(_logs(owner, lines))
            lines = []
        if isinstance(entry, bytes):
            out.append(entry)
        else:
            progress, entry.progress = entry.progress, None
            if progress is not None:
                out.append(notification("progress", progress))
    if lines:
        out.append(_logs(owner, lines))
    return b"".join(out)


def _logs(task: RunningTask | None, lines: list[tuple[Any, ...]]) -> bytes:
    name = task.json_id if task is not None else "null"
    return utf8(f'{{"jsonrpc":"2.0","method":"logs","params":{{"task":{name},"lines":{dumps(lines)}}}}}\n')
