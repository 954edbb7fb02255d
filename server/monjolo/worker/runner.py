"""One runner: a child process that imported one bundle and runs its actions, spoken to in JSON-RPC lines.

Sync actions queue in the runner and run one at a time; async ones run side by side. The runner's word is not
trusted: anything that is not the protocol ends it, and costs only what was in it.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

import orjson

from monjolo.kit.json import dumpb
from monjolo.worker.attempt import Attempt, Phase
from monjolo.worker.channel import LineChannel
from monjolo.worker.port import Bundle
from monjolo.worker.process import SupervisedProcess, start_process
from monjolo_sdk.wire import PROTOCOL_VERSION, Limits, TaskError

INITIALIZE_SECONDS = 120.0
KILL_GRACE_SECONDS = 1.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PROTOCOL_ERRORS = (ValueError, KeyError, TypeError, AttributeError, IndexError)


class RunnerFailed(Exception):
    """It could not be started. `crashed`: it died, rather than saying what is wrong with the module."""

    def __init__(self, error: TaskError, crashed: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.crashed = crashed


class RunnerState(IntEnum):
    STARTING = 0
    READY = 1
    RETIRING = 2  # finishes what it has begun, takes nothing more
    GONE = 3


@dataclass(frozen=True, slots=True)
class RunnerPlace:
    """Where and how runners are started: the same for all of a worker."""

    main: Path
    folder: Path
    egress_allow: tuple[str, ...] = ()


class RunnerEvents(Protocol):
    """What a runner tells about the attempts in it. `size` is the bytes the line took."""

    def head(self, attempt: Attempt) -> None: ...
    def begun(self, attempt: Attempt, at: Any) -> None: ...
    def answered(self, attempt: Attempt, message: dict[str, Any], size: int) -> None: ...
    def said(self, attempt: Attempt, method: str, params: dict[str, Any], size: int) -> None: ...
    def asked(self, attempt: Attempt, method: str, params: dict[str, Any], answer: Callable[[Any], None]) -> None: ...
    def lost(self, attempt: Attempt, begun: bool, error: TaskError, tail: bytes) -> None: ...
    def changed(self, runner: Runner) -> None: ...


class Runner:
    def __init__(self, bundle: Bundle, limits: Limits, place: RunnerPlace, events: RunnerEvents) -> None:
        self.bundle, self._limits, self._place, self._events = bundle, limits, place, events
        self.state = RunnerState.STARTING
        self.actions: dict[str, bool] = {}  # name -> is async
        self.queue: dict[str, Attempt] = {}  # sync ones, in order; the first is running
        self.side: dict[str, Attempt] = {}  # async ones
        self.reserved: Attempt | None = None  # kept free for an at_most_once task that waits for its permit
        self.blocked = False  # nothing may queue behind the first: it is a long one, or travels alone
        self.long = False  # the first has run for more than a second
        self.idle_since = 0.0
        self.folder = Path()
        self._process: SupervisedProcess | None = None
        self._channel: LineChannel | None = None
        self._last = 0
        self._hello: asyncio.Future[dict[str, Any]] | None = None
        self._freed = False  # something ended in the lines at hand
        self._alone = asyncio.Event()
        self._why = ""  # what ended it, when it was us

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def killed(self) -> bool:
        """Its end was ordered, or is there."""
        return bool(self._why) or self.state is RunnerState.GONE

    @property
    def busy(self) -> bool:
        return bool(self.queue or self.side or self.reserved)

    async def start(self) -> None:
        """Raises RunnerFailed."""
        self.folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._place.folder, prefix="runner-"))
        python, main = self.bundle.environment.python, self._place.main
        try:
            self._process = await start_process((str(python), "-I", str(main)), self.folder, self._limits)
        except (OSError, RuntimeError, TimeoutError) as error:
            self.state = RunnerState.GONE
            raise RunnerFailed(
                TaskError("RunnerNotStarted", f"the runner could not be started: {error}"), True
            ) from error
        process = self._process
        self._channel = LineChannel(process.output, process.input, self._take, self._broken)
        process.gone.add_done_callback(self._gone)
        self._hello = asyncio.get_running_loop().create_future()
        self._request(0, "initialize", self._introduction())
        try:
            async with asyncio.timeout(INITIALIZE_SECONDS):
                answer = await self._hello
        except TimeoutError:
            self.kill(f"the module was not imported within {INITIALIZE_SECONDS:g} s")
            raise RunnerFailed(TaskError("RunnerNotStarted", self._why), True) from None
        self._welcome(answer)

    def send(self, attempt: Attempt, context: dict[str, Any]) -> None:
        """Puts the attempt in the runner's queue; its end comes as `answered` or `lost`."""
        task = attempt.task
        self._last += 1
        number = str(self._last)
        attempt.runner = self
        attempt.phase = Phase.SENT
        attempt.is_async = self.actions.get(task.action, False)
        context["tmp"] = f"{self.folder}/{number}"
        held = self.side if attempt.is_async else self.queue
        held[number] = attempt
        self._request(
            self._last,
            "run",
            {
                "task": number,
                "action": task.action,
                "inputs": task.inputs,
                "connections": task.connections,
                "context": context,
            },
        )
        if attempt.is_async or len(self.queue) == 1:
            self._events.head(attempt)

    def cancel(self, attempt: Attempt) -> None:
        """Asks the action to end by itself."""
        self._notify("cancel", {"task": self._number(attempt)})

    def call_off(self, attempt: Attempt, reason: str) -> None:
        """Asks the attempt back if it has not begun; the runner's answer says whether it has."""
        attempt.called_off = reason
        self._notify("cancel", {"task": self._number(attempt), "unless_begun": True})

    def retire(self) -> None:
        """Nothing more is sent to it; when it is idle it is ended."""
        if self.state < RunnerState.RETIRING:
            self.state = RunnerState.RETIRING
        if not self.busy:
            self.shut_down()

    def shut_down(self) -> None:
        self._notify("shutdown", {})
        self.kill("it was shut down", KILL_GRACE_SECONDS)

    def kill(self, why: str, grace_seconds: float = KILL_GRACE_SECONDS) -> None:
        if self.state is RunnerState.GONE:
            return
        self.state = RunnerState.RETIRING
        self._why = self._why or why
        self._alone.set()
        if self._process is not None:
            self._process.kill(grace_seconds)

    def limit_processor_time(self, seconds: int | None) -> None:
        """From now on; None takes the limit away. The kernel ends the runner with SIGXCPU when it is used up."""
        limit = resource.RLIM_INFINITY
        with suppress(OSError, ValueError, IndexError):
            if seconds is not None:
                stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
                limit = (int(stat[11]) + int(stat[12])) // TICKS_PER_SECOND + 1 + seconds
            resource.prlimit(self.pid, resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))

    async def others_alive(self) -> int:
        return await self._process.count_others() if self._process is not None else 0

    async def wait_alone(self) -> None:
        """Until nothing runs in it, or it is being ended."""
        while (self.side or self.queue) and not self.killed:
            self._alone.clear()
            await self._alone.wait()

    async def wait_gone(self) -> None:
        if self._process is not None:
            await asyncio.wait((self._process.gone,))

    def pause(self) -> None:
        if self._channel is not None:
            self._channel.pause()

    def resume(self) -> None:
        if self._channel is not None:
            self._channel.resume()

    def _introduction(self) -> dict[str, Any]:
        bundle = self.bundle
        return {
            "protocol": PROTOCOL_VERSION,
            "bundle": {"kind": bundle.kind, "path": str(bundle.path), "module": bundle.entry},
            "tmp": str(self.folder),
            "egress_allow": list(self._place.egress_allow),
        }

    def _welcome(self, answer: dict[str, Any]) -> None:
        error = answer.get("error")
        if error is not None:
            self.kill("it could not import the module", 0.0)
            raise RunnerFailed(error_from(error.get("data") or error), bool(answer.get("died")))
        result = answer["result"]
        try:
            if result["protocol"] != PROTOCOL_VERSION:
                raise ValueError(f"it speaks protocol {result['protocol']}, not {PROTOCOL_VERSION}")
            self.actions = {str(name): bool(action["async"]) for name, action in result["actions"].items()}
        except PROTOCOL_ERRORS as error:
            self.kill("it did not keep to the protocol", 0.0)
            raise RunnerFailed(TaskError("ProtocolBroken", f"the runner's greeting is wrong: {error}"), True) from None
        if self.state is RunnerState.STARTING:
            self.state = RunnerState.READY

    def _request(self, number: int, method: str, params: dict[str, Any]) -> None:
        if self._channel is not None:
            self._channel.send(dumpb({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))

    def _notify(self, method: str, params: dict[str, Any]) -> None:
        if self._channel is not None:
            self._channel.send(dumpb({"jsonrpc": "2.0", "method": method, "params": params}))

    def _number(self, attempt: Attempt) -> str:
        held = self.side if attempt.is_async else self.queue
        return next((number for number, other in held.items() if other is attempt), "")

    def _take(self, lines: list[bytes]) -> None:
        try:
            for line in lines:
                if line:
                    self._message(_parse(line), len(line))
            if self._freed:
                self._freed = False
                self._events.changed(self)
        except PROTOCOL_ERRORS as error:
            self._broken(f"it wrote a line that is not of the protocol ({type(error).__name__}: {error})")

    def _message(self, message: dict[str, Any], size: int) -> None:
        method = message.get("method")
        if method is None:
            self._answer(message, size)
            return
        params = message["params"]
        attempt = self.queue.get(params["task"]) or self.side.get(params["task"])
        if attempt is None:
            return  # a late word about a task that has ended
        if method == "started":
            self._events.begun(attempt, params["at"])
        elif "id" in message:
            self._events.asked(attempt, method, params, self._answering(message["id"]))
        else:
            self._events.said(attempt, method, params, size)

    def _answering(self, number: Any) -> Callable[[Any], None]:
        def answer(body: Any) -> None:
            if self._channel is not None:
                self._channel.send(dumpb({"jsonrpc": "2.0", "id": number, **body}))

        return answer

    def _answer(self, message: dict[str, Any], size: int) -> None:
        number = message["id"]
        if number == 0:
            if self._hello is not None and not self._hello.done():
                self._hello.set_result(message)
            return
        attempt = self.queue.pop(str(number), None)
        if attempt is None:
            attempt = self.side.pop(str(number), None)
            if attempt is None:
                raise KeyError(f"an answer to {number}, which was not asked")
        elif self.queue:
            first = next(iter(self.queue.values()))
            if not first.head_at:
                self.blocked = self.long = False
                self._events.head(first)
        else:
            self.blocked = self.long = False
        self._alone.set()
        self._freed = True
        self._events.answered(attempt, message, size)

    def _broken(self, reason: str) -> None:
        """The protocol is broken or the output ended: nothing it says counts any more."""
        self._why = self._why or reason
        self.kill(reason, 0.0)
        if self._channel is not None:
            self._channel.close()

    def _gone(self, status: asyncio.Future[int]) -> None:
        process, channel = self._process, self._channel
        if process is None or channel is None:
            return
        channel.drain()
        channel.close()
        self._channel = None
        self.state = RunnerState.GONE
        error = TaskError("RunnerCrashed", f"the runner {_obituary(status.result(), self._why)}")
        if self._hello is not None and not self._hello.done():
            text = process.error_tail.decode(errors="replace").strip()
            data = {"type": error.type, "message": f"{error.message}; {text}" if text else error.message}
            self._hello.set_result({"error": {"data": data}, "died": True})
        first = next(iter(self.queue.values()), None)
        attempts = [*self.queue.values(), *self.side.values()]
        self.queue, self.side = {}, {}
        for attempt in attempts:
            begun = attempt.phase is Phase.BEGUN or attempt is first
            self._events.lost(attempt, begun, error, process.error_tail)
        self._events.changed(self)


def _obituary(status: int, why: str) -> str:
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        manner = f"was killed by {name}"
    else:
        manner = f"ended with exit code {status}"
    return f"{manner}: {why}" if why and not why.startswith("its output ended") else manner


def _parse(line: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError:
        # JSON as other encoders write it: NaN, lone surrogates. What is no JSON at all raises ValueError here.
        lenient = json.loads(line, parse_constant=lambda _: None)
        message = json.loads(json.dumps(lenient, ensure_ascii=False).encode("utf-8", "replace"))
    if type(message) is not dict:
        raise TypeError("not an object")
    return message


def error_from(data: Any) -> TaskError:
    """An error as a runner tells it; nothing of it is trusted to have the right type."""
    if type(data) is not dict:
        return TaskError("ProtocolBroken", "the runner told of an error without saying which")
    after: Any = data.get("retry_after")
    traceback = data.get("traceback")
    return TaskError(
        type=str(data.get("type") or "Error"),
        message=str(data.get("message") or ""),
        traceback=str(traceback) if traceback else None,
        retry_after=int(after * 1_000_000) if _is_number(after) and after >= 0 else None,
        retryable=data.get("retryable") is not False,
        details=data.get("details"),
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def limits_key(limits: Limits) -> Sequence[int | None]:
    """What of the limits is fixed when the process starts."""
    return (limits.memory_bytes, limits.open_files, limits.processes, limits.file_bytes)
