"""Starts a supervised child and hands out its pipes. All that has to do with dying is the supervisor's."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from monjolo.kit.json import dumpb
from monjolo_sdk.wire import Limits

SUPERVISOR = Path(__file__).with_name("supervisor.py")
ALLOWED_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
PIPE_BYTES = 256 * 1024
STDERR_TAIL = 8 * 1024
START_SECONDS = 20.0


def clean_environment(folder: Path) -> dict[str, str]:
    """By allow-list: nothing of the platform's own environment is inherited by chance."""
    environment = {name: os.environ[name] for name in ALLOWED_ENVIRONMENT if name in os.environ}
    environment.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    environment.setdefault("LANG", "C.UTF-8")
    return environment | {"HOME": str(folder), "TMPDIR": str(folder)}


class SupervisedProcess:
    """One child under its supervisor. `input` and `output` are ends of pipes, owned by whoever takes them."""

    def __init__(
        self, supervisor: subprocess.Popen[bytes], control: socket.socket, pipes: tuple[int, int, int]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._supervisor = supervisor
        self._control = control
        self._buffer = b""
        self._counts: list[asyncio.Future[int]] = []
        self.input, self.output, self._errors = pipes
        self.error_tail = b""
        self.started: asyncio.Future[int] = self._loop.create_future()
        self.gone: asyncio.Future[int] = self._loop.create_future()
        control.setblocking(False)
        os.set_blocking(self._errors, False)
        self._loop.add_reader(control, self._hear)
        self._loop.add_reader(self._errors, self._read_errors)

    @property
    def pid(self) -> int:
        return self.started.result() if self.started.done() and not self.started.exception() else 0

    def order(self, order: bytes) -> None:
        """What to start: the first line on the socket, small enough to never wait."""
        self._control.send(order + b"\n")

    def kill(self, grace_seconds: float) -> None:
        """SIGTERM, after the grace SIGKILL to every descendant until none is left; then `gone` resolves."""
        self._say(f"kill {grace_seconds}")

    async def count_others(self) -> int:
        """How many processes live below the supervisor besides the runner itself."""
        if self.gone.done():
            return 0
        answer: asyncio.Future[int] = self._loop.create_future()
        self._counts.append(answer)
        self._say("count")
        return await answer

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._control.send(line.encode() + b"\n")

    def _hear(self) -> None:
        try:
            data = self._control.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            word, _, number = line.partition(b" ")
            if word == b"started" and not self.started.done():
                self.started.set_result(int(number))
            elif word == b"count" and self._counts:
                self._counts.pop(0).set_result(int(number))
            elif word == b"gone":
                self._end(int(number))
        if not data:
            self._lost()

    def _lost(self) -> None:
        """The supervisor vanished without a word: it was killed, its child with it (parent-death signal)."""
        if not self.gone.done() and self.pid:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, 9)
        self._end(-9)

    def _end(self, status: int) -> None:
        if self.gone.done():
            return
        self._read_errors()
        self._loop.remove_reader(self._control)
        self._control.close()
        if self._errors >= 0:
            self._loop.remove_reader(self._errors)
            os.close(self._errors)
            self._errors = -1
        for answer in self._counts:
            answer.set_result(0)
        if not self.started.done():
            self.started.set_exception(RuntimeError("the supervisor could not start"))
            self.started.exception()
        self.gone.set_result(status)
        self._loop.run_in_executor(None, self._supervisor.wait)

    def _read_errors(self) -> None:
        try:
            data = os.read(self._errors, 65536) if self._errors >= 0 else b""
        except BlockingIOError:
            return
        if data:
            self.error_tail = (self.error_tail + data)[-STDERR_TAIL:]
        elif self._errors >= 0:
            self._loop.remove_reader(self._errors)
            os.close(self._errors)
            self._errors = -1


async def start_process(argv: Sequence[str], folder: Path, limits: Limits) -> SupervisedProcess:
    """`folder` is the child's own, removed with it. Raises OSError when it cannot be started."""
    environment = clean_environment(folder)
    process = SupervisedProcess(*await asyncio.to_thread(_spawn, environment))
    order = {
        "argv": list(argv),
        "environment": environment,
        "folder": str(folder),
        "limits": process_limits(limits),
    }
    try:
        process.order(dumpb(order))
        async with asyncio.timeout(START_SECONDS):
            await asyncio.shield(process.started)
    except BaseException:
        process.kill(0.0)
        raise
    return process


def process_limits(limits: Limits) -> Mapping[str, int | None]:
    """The limits that the kernel holds per process; CPU time is set anew for each attempt."""
    names = ("memory_bytes", "open_files", "processes", "file_bytes")
    return {name: value for name, value in asdict(limits).items() if name in names}


def _spawn(environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], socket.socket, tuple[int, int, int]]:
    ours, theirs = socket.socketpair()
    (stdin, input_), (output, stdout), (errors, stderr) = os.pipe(), os.pipe(), os.pipe()
    for descriptor in (input_, stdout):
        with contextlib.suppress(OSError):  # a user near their share of pipe memory keeps the small pipe
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    try:
        supervisor = subprocess.Popen(  # noqa: S603 our own file, by our own interpreter
            [sys.executable, "-I", "-S", str(SUPERVISOR), str(theirs.fileno())],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=[theirs.fileno()],
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        for descriptor in (input_, output, errors):
            os.close(descriptor)
        raise
    finally:
        theirs.close()
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
    return supervisor, ours, (input_, output, errors)
