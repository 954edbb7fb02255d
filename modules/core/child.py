"""Run a program as a child: its lines go to the step's log as they come, its output is bounded, and nothing of
it is left when the step ends, is cancelled or times out."""

from __future__ import annotations

import asyncio
import codecs
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from monjolo_sdk import Context

_LINE = 16 * 1024  # characters; a longer line is cut into several
_GRACE_SECONDS = 2.0  # between SIGTERM and SIGKILL
_DRAIN_SECONDS = 1.0  # how long a pipe may stay open after the program ended (a child in the background)

LineSink = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """How the program ended. A negative exit code is minus the signal that killed it."""

    exit_code: int
    stdout: str
    stderr: str
    truncated: bool


def log_lines(ctx: Context) -> LineSink:
    """Write lines into the step's log, marked with the stream they came from."""
    levels = {"stdout": "info", "stderr": "warning"}

    def write(stream: str, line: str) -> None:
        ctx.channel.log(levels[stream], stream, line, None)

    return write


async def run_child(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    stdin: bytes,
    keep_bytes: int,
    line: LineSink,
) -> Ended:
    """Run `argv` to its end; of each stream the last `keep_bytes` are kept. Raises OSError when it cannot start."""
    child = _Child(_Stream("stdout", keep_bytes, line), _Stream("stderr", keep_bytes, line))
    transport, _ = await asyncio.get_running_loop().subprocess_exec(
        lambda: child, *argv, env=dict(environment), cwd=folder, start_new_session=True
    )
    try:
        _feed(transport, stdin)
        await child.exited.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(child.drained.wait(), _DRAIN_SECONDS)
    finally:
        await _end(transport, child)
        transport.close()
        child.out.finish()
        child.err.finish()
    exit_code = transport.get_returncode()
    assert exit_code is not None
    return Ended(exit_code, child.out.text(), child.err.text(), child.out.truncated or child.err.truncated)


def describe_exit(exit_code: int) -> str:
    """`exit code 3`, or `killed by SIGKILL`."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    hint = " (out of memory, or a limit was reached?)" if exit_code == -signal.SIGKILL else ""
    return f"killed by {name}{hint}"


class _Child(asyncio.SubprocessProtocol):
    """Tells the end of the program from the end of its pipes, which something in the background may hold open."""

    def __init__(self, out: _Stream, err: _Stream) -> None:
        self.out, self.err = out, err
        self.exited, self.drained = asyncio.Event(), asyncio.Event()
        self._open = {1, 2}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        (self.out if fd == 1 else self.err).take(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        if not self._open:
            self.drained.set()

    def process_exited(self) -> None:
        self.exited.set()


class _Stream:
    """One output stream: complete lines to the sink at once, the last bytes kept."""

    def __init__(self, name: str, keep_bytes: int, line: LineSink) -> None:
        self._name, self._keep, self._line = name, keep_bytes, line
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._open = ""
        self._kept = bytearray()
        self.truncated = False

    def take(self, data: bytes) -> None:
        self._keep_end(data)
        self._lines(self._decode(data))

    def finish(self) -> None:
        """Send what has no line end."""
        self._lines(self._decode(b"", True))
        if self._open:
            self._line(self._name, self._open)
            self._open = ""

    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")

    def _keep_end(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > self._keep:
            self.truncated = True
            del self._kept[: len(self._kept) - self._keep]

    def _lines(self, text: str) -> None:
        parts = (self._open + text).split("\n")
        self._open = parts.pop()
        for part in parts:
            self._send(part.removesuffix("\r"))
        while len(self._open) > _LINE:
            self._line(self._name, self._open[:_LINE])
            self._open = self._open[_LINE:]

    def _send(self, text: str) -> None:
        for start in range(0, len(text) or 1, _LINE):
            self._line(self._name, text[start : start + _LINE])


def _feed(transport: asyncio.SubprocessTransport, data: bytes) -> None:
    pipe = transport.get_pipe_transport(0)
    assert isinstance(pipe, asyncio.WriteTransport)
    if data:
        pipe.write(data)
    pipe.close()  # once it is written; a program need not read it


async def _end(transport: asyncio.SubprocessTransport, child: _Child) -> None:
    """End the whole group: politely while the program itself still runs, then for good."""
    group = transport.get_pid()
    if not child.exited.is_set():
        _signal(group, signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(child.exited.wait(), _GRACE_SECONDS)
    _signal(group, signal.SIGKILL)  # what it left behind in the background, too
    await child.exited.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
