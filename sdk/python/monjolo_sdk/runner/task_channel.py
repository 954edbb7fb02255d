"""The Channel of one running task, and the questions that wait for the worker's answer."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from monjolo_sdk.errors import ModuleError
from monjolo_sdk.outputs import to_json
from monjolo_sdk.runner.log_book import LogBook
from monjolo_sdk.runner.messages import notification, request
from monjolo_sdk.runner.outbox import Outbox
from monjolo_sdk.runner.tasks import RunningTask

Resolve = Callable[[Any, BaseException | None], None]


class Questions:
    """What the runner has asked and not been told yet."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[str, Resolve] = {}

    def add(self, resolve: Resolve) -> str:
        """Register a question; gives its id."""
        request_id = f"r{next(self._numbers)}"
        self._waiting[request_id] = resolve
        return request_id

    def answered(self, message: dict[str, Any]) -> None:
        """The worker's answer came; answers to nothing are ignored."""
        resolve = self._waiting.pop(str(message.get("id")), None)
        if resolve is None:
            return
        error = message.get("error")
        if isinstance(error, dict):
            problem = ModuleError(str(error.get("message", "refused")), details=error.get("data"))
            problem.retryable = error.get("code") != -32602
            resolve(None, problem)
        else:
            resolve(message.get("result"), None)


class TaskChannel:
    """See `monjolo_sdk.channel.Channel`."""

    def __init__(self, task: RunningTask, book: LogBook, outbox: Outbox, questions: Questions, loop_side: Any) -> None:
        self._task = task
        self._book = book
        self._outbox = outbox
        self._questions = questions
        self._loop_side = loop_side  # None in a sync action

    def log(self, level: str, stream: str, text: str, fields: Mapping[str, Any] | None) -> None:
        self._book.add(self._task, level, stream, text, fields)

    def notify(self, method: str, params: dict[str, Any]) -> None:
        params = to_json({"task": self._task.id, **params})
        if method == "progress":
            fresh = self._task.progress is None
            self._task.progress = params
            if fresh:
                self._outbox.send(self._task, 64)
        else:
            line = notification(method, params)
            self._outbox.send(line, len(line))

    def request(self, method: str, params: dict[str, Any]) -> Awaitable[Any]:
        awaitable, resolve = self._loop_side.new_answer()
        self._ask(method, params, resolve)
        return awaitable  # type: ignore[no-any-return]

    def call(self, method: str, params: dict[str, Any]) -> Any:
        done = threading.Event()
        outcome: list[Any] = [None, None]

        def resolve(result: Any, problem: BaseException | None) -> None:
            outcome[:] = [result, problem]
            done.set()

        self._ask(method, params, resolve)
        done.wait()
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    def on_loop(self) -> bool:
        return self._loop_side is not None and bool(self._loop_side.is_here())

    def _ask(self, method: str, params: dict[str, Any], resolve: Resolve) -> None:
        told = to_json({"task": self._task.id, **params})
        line = request(self._questions.add(resolve), method, told)
        self._outbox.send(line, len(line))
