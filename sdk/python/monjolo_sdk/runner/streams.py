"""Takes over the standard streams, so that nothing an action writes can reach the protocol's descriptors."""

from __future__ import annotations

import io
import logging
import os
import select
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TextIO, cast

from monjolo_sdk.runner.log_book import LogBook
from monjolo_sdk.runner.render import MAX_LINE

_CHUNK = 65_536


class Descriptors:
    """The protocol's private descriptors, and the pipes that now stand at 1 and 2."""

    def __init__(self) -> None:
        self.protocol_in = os.dup(0)
        self.protocol_out = os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self.stdout = self._replace(1)
        self.stderr = self._replace(2)

    @staticmethod
    def _replace(descriptor: int) -> int:
        reading, writing = os.pipe()
        os.dup2(writing, descriptor)
        os.close(writing)
        os.set_blocking(reading, False)
        return reading


class RawOutput:
    """Reads what subprocesses and C code write to descriptors 1 and 2, and makes lines of it."""

    def __init__(self, book: LogBook, descriptors: Descriptors) -> None:
        self._book = book
        self._names = {descriptors.stdout: "stdout", descriptors.stderr: "stderr"}
        self._rest = {"stdout": b"", "stderr": b""}
        self._reading = threading.Lock()

    def start(self) -> None:
        """Start the thread that waits for output."""
        threading.Thread(target=self._read_for_ever, name="monjolo-raw-output", daemon=True).start()

    def bring_in(self, half_lines: bool) -> None:
        """Take what is there now; at the end of a task half lines too."""
        if select.select(self._names, (), (), 0)[0] or (half_lines and any(self._rest.values())):
            with self._reading:
                self._read_all()
                for stream, rest in self._rest.items() if half_lines else ():
                    if rest:
                        self._rest[stream] = b""
                        self._line(stream, rest)

    def _read_for_ever(self) -> None:
        while True:
            select.select(self._names, (), ())
            with self._reading:
                self._read_all()

    def _read_all(self) -> None:
        for descriptor, stream in self._names.items():
            while True:
                try:
                    chunk = os.read(descriptor, _CHUNK)
                except BlockingIOError:
                    break
                if not chunk:
                    break
                *lines, rest = (self._rest[stream] + chunk).split(b"\n")
                for line in lines:
                    self._line(stream, line)
                if len(rest) > MAX_LINE:
                    self._line(stream, rest)
                    rest = b""
                self._rest[stream] = rest

    def _line(self, stream: str, line: bytes) -> None:
        self._book.add_raw(stream, line.rstrip(b"\r").decode("utf-8", "replace"))


class CarefulStream(io.TextIOBase):
    """`sys.stdout` while async actions run side by side: each piece of text knows its task."""

    def __init__(self, name: str, descriptor: int, write: Callable[[Any], int]) -> None:
        self._name = name
        self._descriptor = descriptor
        self._write = write
        self.buffer = Sink(name, descriptor, write)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        return self._write(text) if text else 0

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing is held back here."""

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Stays open: a library that closes sys.stdout must not silence the next task."""

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"


class Sink(io.RawIOBase):
    """The bytes below `sys.stdout`: each write becomes an entry of the outbox."""

    def __init__(self, name: str, descriptor: int, write: Callable[[Any], int]) -> None:
        self.name = f"<{name}>"
        self._descriptor = descriptor
        self._write = write

    def write(self, data: Any) -> int:
        return self._write(bytes(data)) if data else 0

    def flush(self) -> None:
        """Nothing is held back here."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        """Stays open, as its stream does."""


class Streams:
    """Which object stands at sys.stdout.

    A text wrapper in C hands over whole lines, which makes a print cheap, but it holds half lines back and cannot
    know whose they are; so it serves only while no async action runs.
    """

    def __init__(self, book: LogBook) -> None:
        self._book = book
        self._careful = CarefulStream("stdout", 1, book.chunk_writer("stdout"))
        self._fast = self._make_fast()
        self._side_by_side = 0
        sys.stdout = self._fast
        sys.stderr = CarefulStream("stderr", 2, book.chunk_writer("stderr"))

    def async_begins(self) -> None:
        """An async action starts."""
        self._side_by_side += 1
        if self._side_by_side == 1:
            self._change(self._fast, self._careful)

    def async_ended(self) -> None:
        """An async action ended."""
        self._side_by_side -= 1
        if not self._side_by_side:
            self._change(self._careful, self._fast)

    def sync_begins(self) -> None:
        """A sync action starts: mend what the one before it closed."""
        if self._fast.closed:
            broken, self._fast = self._fast, self._make_fast()
            if sys.stdout is broken:
                sys.stdout = self._fast

    def sync_ended(self) -> None:
        """A sync action ended: let go of its half line."""
        if not self._fast.closed:
            self._fast.flush()

    def _change(self, old: io.TextIOBase, new: io.TextIOBase) -> None:
        if not old.closed:
            old.flush()
        if sys.stdout is old:  # else the author has redirected it, and has it back in a moment
            sys.stdout = cast(TextIO, new)

    def _make_fast(self) -> io.TextIOWrapper:
        sink = Sink("stdout", 1, self._book.chunk_writer("stdout"))
        setattr(sink, "write", self._book.chunk_writer("stdout"))  # noqa: B010 (one call less for each line)
        return io.TextIOWrapper(
            sink,
            encoding="utf-8", errors="surrogatepass", newline="\n", line_buffering=True,
        )  # fmt: skip


class LogHandler(logging.Handler):
    """The standard library's `logging`, as log lines with their level and the logger's name."""

    def __init__(self, book: LogBook) -> None:
        super().__init__()
        self._book = book
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a record that cannot be formatted is told as such, never raised."""
        try:
            text = self.format(record)
        except Exception as problem:  # logging never raises into the code that logs
            text = f"{record.msg!r} (cannot be formatted: {problem})"
        level = "debug"
        for least, name in ((50, "critical"), (40, "error"), (30, "warning"), (20, "info")):
            if record.levelno >= least:
                level = name
                break
        self._book.write(level, "log", text, {"logger": record.name})


def take_over(book: LogBook) -> Streams:
    """Point print, logging and warnings at the log."""
    streams = Streams(book)
    logging.root.addHandler(LogHandler(book))
    logging.root.setLevel(logging.INFO)

    def show_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        book.write("warning", "stderr", f"{filename}:{lineno}: {category.__name__}: {message}")

    warnings.showwarning = show_warning
    return streams


def leave_to_child(descriptors: Descriptors) -> None:
    """In a forked child: plain streams, and no way to the protocol."""
    for descriptor in (descriptors.protocol_in, descriptors.protocol_out):
        os.close(descriptor)
    sys.stdout = open(1, "w", buffering=1, closefd=False, errors="replace")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False, errors="replace")  # noqa: SIM115
