"""The one way out to the worker: whole lines, in order, many at a time.

Producers append and go on; a thread writes what has gathered, so that a log line costs a few microseconds and is
never held back to fill a batch. Past a mebibyte the producer writes itself, which is the back-pressure.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque

from monjolo_sdk.runner.render import Entry, Renderer

MAX_PENDING_BYTES = 1 << 20
NAP_SECONDS = 0.001
_ASLEEP, _NAPPING, _AWAKE = 0, 1, 2


class Outbox:
    """A queue of entries (render.py) and the thread that writes them."""

    def __init__(self, descriptor: int) -> None:
        self.entries: deque[Entry] = deque()
        self.pending = 0  # about how many bytes are queued
        self.state = _ASLEEP
        self.closed = False
        self._descriptor = descriptor
        self._renderer = Renderer()
        self._writing = threading.Lock()
        self._signal = threading.Lock()
        self._signal.acquire()

    def start(self) -> None:
        """Start the thread that writes what gathers."""
        threading.Thread(target=self._write_for_ever, name="monjolo-writer", daemon=True).start()

    def send(self, entry: Entry, size: int) -> None:
        """Queue an entry and see that it is written now."""
        if self.closed:
            return
        self.entries.append(entry)
        self.pending += size
        if self.pending > MAX_PENDING_BYTES:
            self.flush()
        elif self.state != _AWAKE:
            self.wake()

    def put(self, entry: Entry, size: int) -> None:
        """Queue an entry that a flush will follow soon; if none does, the thread writes it in a millisecond."""
        if self.closed:
            return
        self.entries.append(entry)
        self.pending += size
        if self.pending > MAX_PENDING_BYTES:
            self.flush()
        elif self.state == _ASLEEP:
            self.state = _NAPPING
            self._release()

    def wake(self) -> None:
        """Have the thread write now."""
        self.state = _AWAKE
        self._release()

    def flush(self) -> None:
        """Write all that is queued, here."""
        with self._writing:
            while self.entries and not self.closed:
                self.pending = 0
                taken = [self.entries.popleft() for _ in range(len(self.entries))]
                self._write(self._renderer.render(taken))

    def close(self) -> None:
        """Forget everything: this is a forked child, and the worker is not its to speak to."""
        self.closed = True
        self.entries.clear()
        self._writing = threading.Lock()

    def _release(self) -> None:
        with contextlib.suppress(RuntimeError):  # another thread was quicker
            self._signal.release()

    def _write_for_ever(self) -> None:
        while True:
            self._signal.acquire()
            if self.state == _NAPPING:
                self._signal.acquire(timeout=NAP_SECONDS)
            self.state = _ASLEEP
            self.flush()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:  # the worker is gone; stdin ends too, and that ends the runner
            self.closed = True
