"""Drives any runner over its two pipes, as a worker would. Nothing here knows what the runner is written in."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEADLINE = 20.0


class RunnerProcess:
    """A running child: `request` asks and waits, `notify` tells, everything it says is kept in `said`."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(environment or {})},
            start_new_session=True,
        )
        self.said: list[dict[str, Any]] = []
        self.broken_lines: list[bytes] = []
        self.answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        self._news: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._number = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send_line(self, line: bytes) -> None:
        """Bytes as they are."""
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def send(self, message: dict[str, Any]) -> None:
        self.send_line(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def ask(self, method: str, params: Any = None) -> int:
        """Send a request without waiting; gives its id."""
        self._number += 1
        self.send({"id": self._number, "method": method, "params": params if params is not None else {}})
        return self._number

    def notify(self, method: str, params: Any = None) -> None:
        self.send({"method": method, "params": params if params is not None else {}})

    def request(self, method: str, params: Any = None) -> dict[str, Any]:
        """Send a request and give the whole answer."""
        return self.answer(self.ask(method, params))

    def answer(self, request_id: Any) -> dict[str, Any]:
        """The answer to a request, now or when it comes."""
        return self.until(lambda m: "method" not in m and m.get("id") == request_id)

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first message, of the past or to come, that fits."""
        for message in self.said:
            if wanted(message):
                return message
        end = time.monotonic() + DEADLINE
        while True:
            try:
                message = self._news.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"nothing fitting was said; last: {self.said[-5:]}") from None
            if message is None:
                self._news.put(None)
                raise EOFError("the runner closed its output")
            self.said.append(message)
            if wanted(message):
                return message

    def logs(self, task: str | None) -> list[list[Any]]:
        """Every log line of a task, `[at, level, stream, text, fields]`."""
        lines: list[list[Any]] = []
        for message in self.said:
            params = message.get("params", {})
            if message.get("method") == "logs" and params["task"] == task:
                lines += params["lines"]
            elif message.get("method") == "log" and params["task"] == task:
                lines.append([params["at"], params["level"], params["stream"], params["text"], params["fields"]])
        return lines

    def texts(self, task: str | None) -> list[str]:
        return [line[3] for line in self.logs(task)]

    def notified(self, method: str, task: str) -> list[dict[str, Any]]:
        return [m["params"] for m in self.said if m.get("method") == method and m["params"]["task"] == task]

    def wait(self) -> int:
        """The exit code; everything it said is in `said`."""
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        while (message := self._news.get(timeout=DEADLINE)) is not None:
            self.said.append(message)
        self._news.put(None)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(DEADLINE)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                self.broken_lines.append(line)
                continue
            if "method" in message and "id" in message:
                self._reply(message)
            self._news.put(message)
        self._news.put(None)

    def _reply(self, message: dict[str, Any]) -> None:
        answer = self.answers.get(message["method"])
        if answer is None:
            self.send({"id": message["id"], "error": {"code": -32601, "message": "the test has no answer"}})
        else:
            self.send({"id": message["id"], "result": answer(message["params"])})


class Subject:
    """A runner under test: its command, and its copy of the conformance module (see conformance_module.py)."""

    def __init__(self, name: str, command: list[str], bundle: dict[str, Any]) -> None:
        self.name = name
        self.command = command
        self.bundle = bundle

    def start(self, tmp: Path, bundle: dict[str, Any] | None = None) -> tuple[RunnerProcess, dict[str, Any]]:
        """A runner and its answer to `initialize`."""
        runner = RunnerProcess(self.command)
        params = {
            "protocol": 1,
            "bundle": bundle or self.bundle,
            "tmp": str(tmp),
            "egress_allow": ["127.0.0.0/8"],
        }
        return runner, runner.request("initialize", params)
