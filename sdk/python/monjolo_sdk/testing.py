"""Run an action in-process, with a fake context: `outcome = await run(module, "check", url="https://…")`."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monjolo_sdk.context import Context
from monjolo_sdk.errors import PermanentError
from monjolo_sdk.fields import Connection
from monjolo_sdk.invoke import Invoker
from monjolo_sdk.module import Module
from monjolo_sdk.outputs import to_json


class LogRecord:
    """One line that the action logged."""

    __slots__ = ("fields", "level", "stream", "text")

    def __init__(self, level: str, stream: str, text: str, fields: Mapping[str, Any]) -> None:
        self.level = level
        self.stream = stream
        self.text = text
        self.fields = dict(fields)

    def __repr__(self) -> str:
        return f"LogRecord({self.level}: {self.text!r} {self.fields!r})"


class FakeChannel:
    """A platform of a few dictionaries: keeps what the action said, answers from `state` and `api`."""

    def __init__(self, state: Mapping[str, Any] | None = None, api: Mapping[str, str] | None = None) -> None:
        self.logs: list[LogRecord] = []
        self.progress: list[dict[str, Any]] = []
        self.state: dict[str, Any] = dict(state or {})
        self.artifacts: dict[str, bytes] = {}
        self.api = dict(api) if api is not None else None

    def log(self, level: str, stream: str, text: str, fields: Mapping[str, Any] | None) -> None:
        self.logs.append(LogRecord(level, stream, text, fields or {}))

    def notify(self, method: str, params: dict[str, Any]) -> None:
        if method == "progress":
            self.progress.append(params)
        elif method == "state.set":
            self.state[params["key"]] = to_json(params["value"])

    def request(self, method: str, params: dict[str, Any]) -> asyncio.Future[Any]:
        answer = asyncio.get_running_loop().create_future()
        answer.set_result(self.call(method, params))
        return answer

    def call(self, method: str, params: dict[str, Any]) -> Any:
        if method == "state.get":
            return {"value": self.state.get(params["key"])}
        if method == "artifact":
            content = Path(params["path"]).read_bytes()
            self.artifacts[params["name"]] = content
            return {"name": params["name"], "size": len(content), "content_type": params["content_type"]}
        if method == "token" and self.api is not None:
            return self.api
        raise PermanentError(f"the test gave no answer for {method!r}; for ctx.api pass api={{'url': …, 'token': …}}")

    def on_loop(self) -> bool:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return False
        return True


class Outcome:
    """What came of it: `output` as JSON, `logs`, `progress`, `state`, `artifacts` (name to bytes)."""

    def __init__(self, output: Any, channel: FakeChannel) -> None:
        self.output = output
        self.logs = channel.logs
        self.progress = channel.progress
        self.state = channel.state
        self.artifacts = channel.artifacts

    @property
    def texts(self) -> list[str]:
        """The texts of the log lines."""
        return [line.text for line in self.logs]


class Runner:
    """Runs actions of one module, with its own permissions; `egress_allow` opens private addresses."""

    def __init__(
        self,
        module: Module,
        *,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        state: Mapping[str, Any] | None = None,
        api: Mapping[str, str] | None = None,
        run: Mapping[str, Any] | None = None,
        egress_allow: tuple[str, ...] = ("127.0.0.0/8", "::1/128"),
        tmp: Path | None = None,
    ) -> None:
        self.module = module
        self._connections = dict(connections or {})
        self._state = state
        self._api = api
        self._run = {"run": "test-run", "flow": "test-flow", "step": "test", "attempt": 1, **(run or {})}
        self._egress_allow = egress_allow
        self._tmp = tmp

    async def run(self, action: str, inputs: Mapping[str, Any] | None = None, **more: Any) -> Outcome:
        """Run an action, sync or async; its errors are raised as they are."""
        invoker = self._invoker(action)
        if not invoker.is_async:
            return await asyncio.to_thread(self.run_sync, action, inputs, **more)
        channel = FakeChannel(self._state, self._api)
        with self._context(invoker, channel) as (context, connections):
            try:
                arguments = invoker.arguments(context, {**(inputs or {}), **more}, connections)
                return Outcome(to_json(await invoker.action.function(**arguments)), channel)
            finally:
                for client in context.clients():
                    await client.aclose()

    def run_sync(self, action: str, inputs: Mapping[str, Any] | None = None, **more: Any) -> Outcome:
        """Run an action from a test that has no event loop; async actions get one of their own."""
        invoker = self._invoker(action)
        if invoker.is_async:
            return asyncio.run(self.run(action, inputs, **more))
        channel = FakeChannel(self._state, self._api)
        with self._context(invoker, channel) as (context, connections):
            try:
                arguments = invoker.arguments(context, {**(inputs or {}), **more}, connections)
                return Outcome(to_json(invoker.action.function(**arguments)), channel)
            finally:
                for client in context.clients():
                    client.close()

    def _invoker(self, action: str) -> Invoker:
        if action not in self.module.actions:
            raise LookupError(f"the module {self.module.id!r} has no action {action!r}: {sorted(self.module.actions)}")
        return Invoker(self.module, self.module.actions[action])

    @contextlib.contextmanager
    def _context(self, invoker: Invoker, channel: FakeChannel) -> Iterator[tuple[Context, dict[str, Connection]]]:
        folder = self._tmp or Path(tempfile.mkdtemp(prefix="monjolo-test-"))
        connections = invoker.connections(self._connections)
        try:
            yield (
                Context(
                    channel,
                    is_async=invoker.is_async,
                    run=self._run,
                    tmp=folder,
                    connections=connections,
                    net=invoker.net,
                    egress_allow=self._egress_allow,
                ),
                connections,
            )
        finally:
            if self._tmp is None:
                shutil.rmtree(folder, ignore_errors=True)


async def run(module: Module, action: str, inputs: Mapping[str, Any] | None = None, **more: Any) -> Outcome:
    """Run one action with nothing prepared; see `Runner` for connections, state and the rest."""
    return await Runner(module).run(action, inputs, **more)


def run_sync(module: Module, action: str, inputs: Mapping[str, Any] | None = None, **more: Any) -> Outcome:
    """`run` for tests without an event loop."""
    return Runner(module).run_sync(action, inputs, **more)
