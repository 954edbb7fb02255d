"""The runner: a thread reads requests, the main thread runs sync actions, a loop runs async ones together."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import threading
import time
from queue import SimpleQueue
from typing import Any

from monjolo_sdk.context import Context
from monjolo_sdk.errors import OutputTooLarge
from monjolo_sdk.module import Module
from monjolo_sdk.outputs import to_json
from monjolo_sdk.runner import messages
from monjolo_sdk.runner.loading import load
from monjolo_sdk.runner.log_book import LogBook
from monjolo_sdk.runner.outbox import Outbox
from monjolo_sdk.runner.streams import Descriptors, RawOutput, Streams, leave_to_child, take_over
from monjolo_sdk.runner.task_channel import Questions, TaskChannel
from monjolo_sdk.runner.tasks import RunningTask, current_task
from monjolo_sdk.version import RUNNER_PROTOCOL

_PR_SET_DUMPABLE = 4


class Runner:
    """One module, loaded once, and the tasks it is given."""

    def __init__(self, outbox: Outbox, book: LogBook, streams: Streams) -> None:
        self._outbox = outbox
        self._book = book
        self._streams = streams
        self._questions = Questions()
        self._module: Module | None = None
        self._docstring = ""
        self._defaults: dict[str, Any] = {}
        self._invokers: dict[str, Any] = {}
        self._tasks: dict[str, RunningTask] = {}
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._loop_side: Any = None
        self._making_loop = threading.Lock()
        self._stopping = False
        self._process = os.getpid()

    # --- the reading side -------------------------------------------------------------------------------------

    def read(self, descriptor: int) -> None:
        """Take messages until the worker closes its end. Without a `shutdown` before, that ends all at once."""
        with open(descriptor, "rb", buffering=1 << 16) as lines:
            for line in lines:
                self._receive(line)
        if not self._stopping:
            os._exit(0)

    def _receive(self, line: bytes) -> None:
        try:
            message = messages.loads(line.decode())
        except (ValueError, RecursionError) as problem:
            if line.strip():
                self._say(messages.refusal(None, messages.PARSE_ERROR, f"not a line of JSON: {problem}"))
            return
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            self._say(messages.refusal(None, messages.INVALID_REQUEST, "not a JSON-RPC 2.0 object"))
            return
        method = message.get("method")
        if method == "run":
            self._run(message.get("id"), message.get("params"))
        elif method == "cancel":
            self._cancel(message.get("params"))
        elif method in ("initialize", "describe", "shutdown"):
            self._stopping = method == "shutdown"
            self._queue.put((method, message.get("id"), message.get("params") or {}))
        elif method is None and "id" in message and ("result" in message or "error" in message):
            self._questions.answered(message)
        elif not isinstance(method, str):
            self._refuse(message.get("id"), messages.INVALID_REQUEST, "neither a request nor an answer")
        elif "id" in message:
            self._refuse(message["id"], messages.METHOD_NOT_FOUND, f"there is no method {method!r}")

    def _run(self, request_id: Any, params: Any) -> None:
        problem = _run_problem(params)
        if problem is not None:
            self._refuse(request_id, messages.INVALID_PARAMS, problem)
            return
        task = RunningTask(request_id, params)
        self._tasks[task.id] = task
        self._route(task)

    def _route(self, task: RunningTask) -> None:
        module = self._module
        action = module.actions.get(task.action) if module is not None else None
        if action is not None and action.is_async:
            self._loop().start(task, self._run_async)
        else:  # unknown actions too, and those that came before `initialize` was answered
            self._queue.put(task)

    def _loop(self) -> Any:
        with self._making_loop:
            if self._loop_side is None:
                loop_side = importlib.import_module("monjolo_sdk.runner.loop_side")
                self._loop_side = loop_side.LoopSide(self._outbox.flush)
            return self._loop_side

    def _cancel(self, params: Any) -> None:
        task = self._tasks.get(str(params.get("task"))) if isinstance(params, dict) else None
        if task is None:
            return
        if params.get("unless_begun"):  # the worker asks it back, and must know at once whether it may have it
            if task.claim():
                self._tasks.pop(task.id, None)
                self._say(messages.answer(task.request_id, _CANCELLED))
            return
        task.cancelled = True
        if task.context is not None:
            task.context.cancelled = True
        if self._loop_side is not None:
            self._loop_side.cancel(task)

    def _refuse(self, request_id: Any, code: int, message: str, data: Any = None) -> None:
        self._say(messages.refusal(request_id, code, message, data))

    def _say(self, line: bytes) -> None:
        self._outbox.send(line, len(line))

    # --- the working side, main thread ------------------------------------------------------------------------

    def work(self) -> None:
        """Do what the queue says until `shutdown`."""
        while True:
            try:
                item = self._queue.get()
                if isinstance(item, RunningTask):
                    self._take(item)
                elif item[0] == "shutdown":
                    break
                else:
                    self._answer(*item)
                if self._queue.empty():
                    self._outbox.flush()
            except KeyboardInterrupt:  # a signal between two tasks
                continue
        if self._loop_side is not None:
            self._loop_side.wait_idle()
        self._outbox.flush()

    def _answer(self, method: str, request_id: Any, params: dict[str, Any]) -> None:
        try:
            if method == "initialize":
                self._initialize(request_id, params)
            elif self._module is None:
                self._refuse(request_id, messages.NOT_INITIALIZED, "initialize comes first")
            else:
                describe = importlib.import_module("monjolo_sdk.manifest").manifest
                told = describe(self._module, description=self._docstring)
                self._say(messages.answer(request_id, messages.dumps(told)))
        except BaseException as problem:  # the author's file may raise anything at all
            told = _failure(problem)
            data = {key: told[key] for key in ("type", "message", "traceback")}
            self._refuse(request_id, messages.LOAD_FAILED, f"{told['type']}: {told['message']}", data)

    def _initialize(self, request_id: Any, params: dict[str, Any]) -> None:
        if self._module is not None:
            self._refuse(request_id, messages.ALREADY_INITIALIZED, "a runner is initialized once")
            return
        if params.get("protocol") != RUNNER_PROTOCOL:
            text = f"this runner speaks protocol {RUNNER_PROTOCOL}"
            self._refuse(request_id, messages.UNSUPPORTED_PROTOCOL, text, {"protocol": RUNNER_PROTOCOL})
            return
        bundle = params.get("bundle")
        if not isinstance(bundle, dict) or not isinstance(bundle.get("path"), str):
            self._refuse(request_id, messages.INVALID_PARAMS, "bundle.path is missing")
            return
        if params.get("tmp"):
            os.environ.setdefault("TMPDIR", str(params["tmp"]))
        self._defaults = {"tmp": params.get("tmp"), "egress_allow": params.get("egress_allow") or []}
        module, self._docstring = load(bundle)
        self._module = module
        told = {
            "protocol": RUNNER_PROTOCOL,
            "module": module.id,
            "version": module.version,
            "actions": {name: {"async": action.is_async} for name, action in module.actions.items()},
        }
        self._outbox.put(messages.answer(request_id, messages.dumps(told)), 0)
        self._outbox.flush()
        if any(action.is_async for action in module.actions.values()):
            self._loop()  # 40 ms that the first run would wait for; the answer is out already

    def _take(self, task: RunningTask) -> None:
        if self._module is None:
            self._tasks.pop(task.id, None)
            self._refuse(task.request_id, messages.NOT_INITIALIZED, "initialize comes first")
            return
        action = self._module.actions.get(task.action)
        if action is not None and action.is_async:  # it came before `initialize` was answered
            self._route(task)
        else:
            self._run_sync(task)

    def _run_sync(self, task: RunningTask) -> None:
        if not task.claim():
            return
        self._book.sync_task = self._book.latest_task = task
        mark = current_task.set(task)
        self._streams.sync_begins()
        try:
            try:
                if task.cancelled:
                    result = _CANCELLED
                else:
                    invoker, arguments = self._prepare(task, None)
                    self._started(task)
                    result = _output(task, invoker.action.function(**arguments))
            finally:
                if os.getpid() != self._process:  # the action forked, and this is the child
                    os._exit(0)
                for client in task.context.clients() if task.context is not None else ():
                    client.close()
        except BaseException as problem:  # SystemExit and KeyboardInterrupt fail the attempt, not the runner
            result = messages.dumps({"error": _failure(problem, task.cancelled)})
        self._streams.sync_ended()
        current_task.reset(mark)
        self._finish(task, result)
        self._book.sync_task = None

    async def _run_async(self, task: RunningTask) -> None:
        if not task.claim():
            return
        self._book.latest_task = task
        current_task.set(task)
        self._streams.async_begins()
        try:
            try:
                if task.cancelled:
                    result = _CANCELLED
                else:
                    invoker, arguments = self._prepare(task, self._loop_side)
                    self._started(task)
                    result = _output(task, await invoker.action.function(**arguments))
            finally:
                for client in task.context.clients() if task.context is not None else ():
                    await client.aclose()
        except BaseException as problem:  # SystemExit in a coroutine would end the loop for all
            result = messages.dumps({"error": _failure(problem, task.cancelled)})
        self._streams.async_ended()
        self._finish(task, result)
        self._loop_side.flush_soon()

    def _prepare(self, task: RunningTask, loop_side: Any) -> tuple[Any, dict[str, Any]]:
        invoker = self._invokers.get(task.action) or self._make_invoker(task.action)
        details = task.details
        connections = invoker.connections(task.connections) if task.connections else {}
        task.context = Context(
            TaskChannel(task, self._book, self._outbox, self._questions, loop_side),
            is_async=loop_side is not None,
            run=details,
            tmp=details.get("tmp") or self._defaults.get("tmp"),
            connections=connections,
            net=invoker.net,
            egress_allow=tuple(details.get("egress_allow") or self._defaults["egress_allow"]),
        )
        task.context.cancelled = task.cancelled
        return invoker, invoker.arguments(task.context, task.inputs, connections)

    def _make_invoker(self, name: str) -> Any:
        module = self._module
        if module is None or name not in module.actions:
            raise LookupError(f"the module has no action {name!r}")
        invoker = importlib.import_module("monjolo_sdk.invoke").Invoker(module, module.actions[name])
        self._invokers[name] = invoker
        return invoker

    def _started(self, task: RunningTask) -> None:
        at = time.time_ns() // 1000
        line = f'{{"jsonrpc":"2.0","method":"started","params":{{"task":{task.json_id},"at":{at}}}}}\n'
        self._outbox.put(line.encode(), len(line))

    def _finish(self, task: RunningTask, result_json: str) -> None:
        self._book.raw_output(True)
        self._tasks.pop(task.id, None)
        line = messages.answer(task.request_id, result_json)
        self._outbox.put((task, line), len(line))


_CANCELLED = messages.dumps({"error": {
    "type": "Cancelled", "message": "cancelled before it began", "traceback": None, "retry_after": None,
    "retryable": False, "details": None,
}})  # fmt: skip


def _output(task: RunningTask, value: Any) -> str:
    text = messages.dumps(to_json(value))
    if len(text) > task.output_bytes or len(text) * 4 > task.output_bytes < len(messages.utf8(text)):
        size = len(messages.utf8(text))
        raise OutputTooLarge(f"the output has {size} bytes; {task.output_bytes} are allowed. Use ctx.artifact")
    return f'{{"output":{text}}}'


def _failure(problem: BaseException, cancelled: bool = False) -> dict[str, Any]:
    told: dict[str, Any] = importlib.import_module("monjolo_sdk.runner.failures").failure(problem, cancelled)
    return told


def _run_problem(params: Any) -> str | None:
    if not isinstance(params, dict):
        return "params is not an object"
    for name in ("task", "action"):
        if not isinstance(params.get(name), str):
            return f"{name} is not a text"
    for name in ("inputs", "connections", "context"):
        if not isinstance(params.get(name) or {}, dict):
            return f"{name} is not an object"
    return None


def _be_a_child(outbox: Outbox, descriptors: Descriptors) -> None:
    outbox.close()
    leave_to_child(descriptors)


def _close_to_neighbours() -> None:
    """Other steps run as the same user: they must not read this one's secrets out of its memory."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def main() -> None:
    """Run until told to stop."""
    _close_to_neighbours()
    descriptors = Descriptors()
    outbox = Outbox(descriptors.protocol_out)
    book = LogBook(outbox)
    raw = RawOutput(book, descriptors)
    book.raw_output = raw.bring_in
    streams = take_over(book)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    runner = Runner(outbox, book, streams)
    os.register_at_fork(after_in_child=lambda: _be_a_child(outbox, descriptors))
    outbox.start()
    raw.start()
    threading.Thread(target=runner.read, args=(descriptors.protocol_in,), name="monjolo-reader", daemon=True).start()
    runner.work()
    outbox.flush()
    sys.stdout.flush()
