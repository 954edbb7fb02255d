"""A module's runner as a child process: JSON-RPC, one message a line, on its stdin and stdout."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from monjolo.domains.modules.models import Broken, Entry

PROTOCOL = 1
MAX_LINE_BYTES = 32 * 1024 * 1024
_MAX_WRITTEN = 16 * 1024

Message = dict[str, Any]
Limits = Sequence[tuple[int, int]]
Handler = Callable[[str, Message], Awaitable[Any]]  # method, params -> the result of a request


class RunnerError(Exception):
    """The runner answered a request with an error; `data` has type, traceback and the like."""

    def __init__(self, message: str, data: Message) -> None:
        super().__init__(message)
        self.message, self.data = message, data


class RunnerEnded(Exception):
    """It ended before it answered."""


async def _unknown(method: str, params: Message) -> Any:
    return None


class RunnerProcess:
    """In an environment of its own: no variables of ours, a session and a folder of its own."""

    def __init__(
        self, python: Path, main: Path, tmp: Path, *, limits: Limits = (), handler: Handler = _unknown
    ) -> None:
        self._python, self._main, self._tmp = python, main, tmp
        self._limits, self._handler = limits, handler
        self._child: asyncio.subprocess.Process | None = None
        self._written: deque[bytes] = deque(maxlen=64)
        self._listener: asyncio.Task[None] | None = None
        self._number = 0

    async def __aenter__(self) -> RunnerProcess:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self._tmp),
            "TMPDIR": str(self._tmp),
        }
        self._child = await asyncio.create_subprocess_exec(
            str(self._python),
            "-I",
            str(self._main),
            cwd=self._tmp,
            env=environment,
            start_new_session=True,
            limit=MAX_LINE_BYTES,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for limit, value in self._limits:
            with suppress(ProcessLookupError, ValueError, PermissionError):
                resource.prlimit(self._child.pid, limit, (value, value))
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._child is not None
        assert self._listener is not None
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)  # the children that the module started included
        await self._child.wait()
        self._listener.cancel()
        with suppress(asyncio.CancelledError):
            await self._listener

    async def initialize(self, entry: Entry, *, module: str = "", egress_allow: Sequence[str] = ()) -> Any:
        """`module`: the id it must have, if that is known."""
        bundle = {"kind": entry.kind, "path": str(entry.root), "module": module}
        return await self.ask(
            "initialize",
            {
                "protocol": PROTOCOL,
                "bundle": bundle,
                "tmp": str(self._tmp),
                "egress_allow": list(egress_allow),
            },
        )

    async def ask(self, method: str, params: Message) -> Any:
        """The result of the request. Requests that the runner makes meanwhile go to the handler."""
        self._number += 1
        number = self._number
        with suppress(ConnectionError):  # its end is seen below, with the reason
            await self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while True:
            message = await self._receive()
            if "method" in message:
                await self._serve(message)
            elif message.get("id") == number:
                if "error" in message:
                    raise _refusal(message["error"])
                return message.get("result")

    async def notify(self, method: str, params: Message) -> None:
        with suppress(ConnectionError):
            await self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def written(self) -> str:
        """The end of what it wrote to its stderr."""
        return b"".join(self._written).decode(errors="replace")[-_MAX_WRITTEN:]

    async def ending(self) -> str:
        """How it ended, given a second to do so."""
        assert self._child is not None
        assert self._listener is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._child.wait()
                await asyncio.shield(self._listener)
        code = self._child.returncode
        return "no exit" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"

    async def _serve(self, message: Message) -> None:
        params = message.get("params")
        result = await self._handler(str(message["method"]), params if isinstance(params, dict) else {})
        if "id" in message:
            await self._send({"jsonrpc": "2.0", "id": message["id"], "result": result})

    async def _receive(self) -> Message:
        assert self._child is not None
        assert self._child.stdout is not None
        while True:
            try:
                line = await self._child.stdout.readline()
            except ValueError:
                raise Broken(f"its runner sent a line over {MAX_LINE_BYTES // 2**20} MiB") from None
            if not line:
                raise RunnerEnded
            with suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict):
                    return message

    async def _send(self, message: Message) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(message).encode() + b"\n")
        await self._child.stdin.drain()

    async def _listen(self) -> None:
        """Never let it block on a full pipe."""
        assert self._child is not None
        assert self._child.stderr is not None
        while data := await self._child.stderr.read(1024):
            self._written.append(data)


def _refusal(error: Any) -> RunnerError:
    if not isinstance(error, dict):
        return RunnerError("the runner refused", {})
    data = error.get("data")
    return RunnerError(str(error.get("message") or "the runner refused"), data if isinstance(data, dict) else {})
