"""Lines over a pair of pipes: bounded on the way in, gathered on the way out, and it can stop listening."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

MAX_LINE_BYTES = 64 * 1024 * 1024
READ_BYTES = 256 * 1024


class LineChannel:
    """`on_lines` gets all whole lines of one read; `on_end` is called once, with the reason."""

    def __init__(
        self,
        read_descriptor: int,
        write_descriptor: int,
        on_lines: Callable[[list[bytes]], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._read, self._write = read_descriptor, write_descriptor
        self._on_lines, self._on_end = on_lines, on_end
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._reads = 0
        self._outgoing: list[bytes] = []
        self._flushing = False
        self._paused = self._ended = False
        os.set_blocking(read_descriptor, False)
        os.set_blocking(write_descriptor, False)
        self._loop.add_reader(read_descriptor, self._readable)

    def send(self, line: bytes) -> None:
        """What is sent within one turn of the loop leaves in one write."""
        if self._ended:
            return
        self._outgoing.append(line)
        self._outgoing.append(b"\n")
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def pause(self) -> None:
        """Stop reading: the other side's pipe fills, and its writer waits."""
        if not self._paused and not self._ended:
            self._paused = True
            self._loop.remove_reader(self._read)

    def resume(self) -> None:
        if self._paused and not self._ended:
            self._paused = False
            self._loop.add_reader(self._read, self._readable)

    def drain(self) -> None:
        """Takes what is still in the pipe of a writer that is gone."""
        while not self._ended:
            before = self._reads
            self._readable()
            if self._reads == before:
                return

    def close(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._loop.remove_reader(self._read)
        self._loop.remove_writer(self._write)
        self._outgoing.clear()
        os.close(self._read)
        os.close(self._write)

    def _flush(self) -> None:
        if self._ended:
            return
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        try:
            written = os.write(self._write, data)
        except BlockingIOError:
            written = 0
        except OSError:
            self._outgoing.clear()  # the reader's end of file tells the story
            self._loop.remove_writer(self._write)
            self._flushing = False
            return
        if written < len(data):
            self._outgoing.append(data[written:])
            self._loop.add_writer(self._write, self._flush)
        else:
            self._loop.remove_writer(self._write)
            self._flushing = False

    def _readable(self) -> None:
        try:
            data = os.read(self._read, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._reads += 1
        if not data:
            self._end("its output ended")
            return
        cut = data.rfind(b"\n")
        if cut < 0:
            self._partial.append(data)
            self._partial_bytes += len(data)
        else:
            whole = data[:cut]
            if self._partial:
                whole = b"".join((*self._partial, whole))
            self._partial = [data[cut + 1 :]] if cut + 1 < len(data) else []
            self._partial_bytes = len(data) - cut - 1
            self._on_lines(whole.split(b"\n"))
        if self._partial_bytes > MAX_LINE_BYTES:
            self._end(f"a line was longer than {MAX_LINE_BYTES} bytes")

    def _end(self, reason: str) -> None:
        if not self._ended:
            self.close()
            self._on_end(reason)
