"""Takes over the standard streams, so that nothing an action writes can reach the protocol's descriptors."""

from __future__ import annotations

import io
import logging
import os
import select
import sys
import threading
import warnings
from collections.abc import Iterable
from typing import Any, TextIO

from monjolo_sdk.runner.log_book import MAX_LINE, LogBook

_CHUNK = 65_536
_MAX_HELD = 1 << 20  # of a line whose end has not come


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
        self._book.write_for(self._book.owner(), stream, line.rstrip(b"\r").decode("utf-8", "replace"))


class LogStream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr`: each line that is complete becomes a line of the log, at once."""

    def __init__(self, book: LogBook, name: str, descriptor: int) -> None:
        self._book = book
        self._name = name
        self._level = "info" if name == "stdout" else "warning"
        self._descriptor = descriptor
        self._loose = {"stdout": "", "stderr": ""}  # of no task
        self.buffer = _Bytes(self)

    def write(self, text: str) -> int:
        """Take some text; print() calls it twice a line, so the common cases come first."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        task = self._book.owner()
        partial = task.partial if task is not None else self._loose
        held = partial[self._name]
        if "\n" not in text:
            partial[self._name] = held + text
            if len(held) + len(text) > _MAX_HELD:
                self._take(partial)
        elif text == "\n":
            partial[self._name] = ""
            self._book.write(self._level, self._name, held)
        else:
            *lines, partial[self._name] = (held + text).split("\n")
            for line in lines:
                self._book.write(self._level, self._name, line)
        return len(text)

    def _take(self, partial: dict[str, str]) -> None:
        held, partial[self._name] = partial[self._name], ""
        self._book.write(self._level, self._name, held)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        """Write each."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing is held back but a line without its end."""

    def fileno(self) -> int:
        """The descriptor that subprocesses write to: it leads here too."""
        return self._descriptor

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def close(self) -> None:
        """Stays open: a library that closes sys.stdout must not silence the next task."""

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "replace"


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`."""

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream

    def write(self, data: Any) -> int:
        view = bytes(data)
        self._stream.write(view.decode("utf-8", "replace"))
        return len(view)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        """Stays open, as its stream does."""


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


def take_over(book: LogBook) -> None:
    """Point print, logging and warnings at the log."""
    sys.stdout = LogStream(book, "stdout", 1)
    sys.stderr = LogStream(book, "stderr", 2)
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


def leave_to_child(descriptors: Descriptors) -> None:
    """In a forked child: plain streams, and no way to the protocol."""
    for descriptor in (descriptors.protocol_in, descriptors.protocol_out):
        os.close(descriptor)
    sys.stdout = open(1, "w", buffering=1, closefd=False, errors="replace")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False, errors="replace")  # noqa: SIM115
