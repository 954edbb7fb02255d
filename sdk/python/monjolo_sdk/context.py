"""`Context`: what an action may use besides its inputs."""

from __future__ import annotations

import importlib
import os
import secrets
from collections.abc import Awaitable, Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from monjolo_sdk.channel import Channel
from monjolo_sdk.errors import InvalidInput
from monjolo_sdk.fields import Connection


class _Done:
    """An answer that is already there: may be awaited, need not be."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


_DONE = _Done()


class Log:
    """The structured log of the step: `ctx.log.info("requesting", url=url)`."""

    __slots__ = ("_write",)

    def __init__(self, write: Callable[[str, str, str, Mapping[str, Any] | None], None]) -> None:
        self._write = write

    def debug(self, text: str, **fields: Any) -> None:
        """For whoever looks closely."""
        self._write("debug", "log", text, fields)

    def info(self, text: str, **fields: Any) -> None:
        """What is going on."""
        self._write("info", "log", text, fields)

    def warning(self, text: str, **fields: Any) -> None:
        """Something is not as it should be, and the step goes on."""
        self._write("warning", "log", text, fields)

    def error(self, text: str, **fields: Any) -> None:
        """Something failed."""
        self._write("error", "log", text, fields)

    def critical(self, text: str, **fields: Any) -> None:
        """Someone must look at it now."""
        self._write("critical", "log", text, fields)

    def log(self, level: str, text: str, **fields: Any) -> None:
        """A line of a level chosen at run time."""
        if level not in ("debug", "info", "warning", "error", "critical"):
            raise InvalidInput("is debug, info, warning, error or critical", "level")
        self._write(level, "log", text, fields)


class State:
    """A small store kept between runs, per flow and step, for cursors and the like. Values are JSON.

    Writes are kept only when the attempt succeeds. In an async action await `get`.
    """

    __slots__ = ("_context", "_written")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._written: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`; what this attempt wrote is seen at once. Async: `await ctx.state.get(key)`."""
        channel = self._context.channel
        if not channel.on_loop():
            if key in self._written:
                return self._written[key]
            return _value(channel.call("state.get", {"key": key}), default)
        return self._get(key, default)

    async def _get(self, key: str, default: Any) -> Any:
        if key in self._written:
            return self._written[key]
        return _value(await self._context.channel.request("state.get", {"key": key}), default)

    def set(self, key: str, value: Any) -> Any:
        """Write `key`. Returns at once; may be awaited."""
        self._written[key] = value
        self._context.channel.notify("state.set", {"key": key, "value": value})
        return _DONE


class RunInfo(Mapping[str, Any]):
    """Which run this is: `ctx.run.id`, `.flow`, `.step`, `.attempt`, and whatever else the platform tells."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._values = dict(context)
        self.id: str = str(context.get("run", ""))
        self.flow: str = str(context.get("flow", ""))
        self.step: str = str(context.get("step", ""))
        self.attempt: int = int(context.get("attempt", 1))
        self.number: int = int(context.get("run_number", 0))

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"RunInfo(id={self.id!r}, flow={self.flow!r}, step={self.step!r}, attempt={self.attempt})"


class Context:
    """Handed to an action that asks for it with a parameter `ctx: Context`.

    What needs an answer (`state.get`, `artifact`, `http`, `api`) is awaited in an async action and is the
    plain value in a sync one.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        is_async: bool,
        run: Mapping[str, Any] | None = None,
        tmp: str | os.PathLike[str] | None = None,
        connections: Mapping[str, Connection] | None = None,
        net: tuple[str, ...] = (),
        egress_allow: tuple[str, ...] = (),
    ) -> None:
        self.channel = channel
        self.log = Log(channel.log)
        self.is_async = is_async
        self.cancelled = False
        self.connections = dict(connections or {})
        self._run = dict(run or {})
        self._tmp = tmp
        self._net = net
        self._egress_allow = egress_allow
        self._state: State | None = None
        self._clients: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"Context({self.run!r})"

    @property
    def run(self) -> RunInfo:
        """Which run, flow, step and attempt this is."""
        return RunInfo(self._run)

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step of this run: hand it to APIs that can tell a repeat."""
        return str(self._run.get("idempotency_key", ""))

    @property
    def tmp(self) -> Path:
        """A folder of this attempt alone, removed after it."""
        if self._tmp is None:
            raise RuntimeError("this context has no temporary folder")
        path = Path(self._tmp)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def state(self) -> State:
        """A small store kept between runs; see `State`."""
        if self._state is None:
            self._state = State(self)
        return self._state

    def progress(self, done: float, total: float | None = None, text: str = "") -> None:
        """Say how far it is: `done` of `total`, in any unit; `text` says at what."""
        self.channel.notify("progress", {"done": done, "total": total, "text": text})

    def artifact(
        self,
        name: str,
        content: str | bytes | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        content_type: str | None = None,
    ) -> Any:
        """Keep a file with the run, from `content` or from a `path`; gives `{name, size, sha256, …}`.

        Async: `await ctx.artifact(…)`. The name is what a person sees; it never becomes a path. The platform takes
        files from `tmp` alone: one that lies elsewhere is linked or copied there first.
        """
        if (content is None) == (path is None):
            raise TypeError("artifact() takes either content or path")
        if content is not None:
            file = self.tmp / f"artifact-{secrets.token_hex(8)}"
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        else:
            file = Path(os.fspath(path or "")).absolute()
            if not file.is_file():
                raise FileNotFoundError(f"the artifact {name!r} is not a file: {file}")
            if not file.is_relative_to(self.tmp) or ".." in file.parts or file.is_symlink():
                file = _brought_in(file, self.tmp)
        return self._ask("artifact", {"name": name, "path": str(file), "content_type": content_type})

    def connection(self, name: str | None = None) -> Connection:
        """The connection of the input `name`, or of the type `name`; without a name, the only one."""
        if name is None:
            if len(self.connections) != 1:
                raise LookupError(f"the step has {len(self.connections)} connections; say which one")
            return next(iter(self.connections.values()))
        found = self.connections.get(name)
        if found is None:
            found = next((item for item in self.connections.values() if item.type == name), None)
        if found is None:
            raise LookupError(f"the step has no connection {name!r}; it has {sorted(self.connections)}")
        return found

    @property
    def http(self) -> Any:
        """An HTTP client (httpx2's methods) that keeps the module's permissions; see `http_client`.

        Async actions: `await ctx.http.get(url)`; sync ones: `ctx.http.get(url)`.
        """
        if "http" not in self._clients:
            make = importlib.import_module("monjolo_sdk.http_client").open_client
            self._clients["http"] = make(
                is_async=self.is_async,
                net=self._net,
                allow=self._egress_allow,
                connections=tuple(self.connections.values()),
            )
        return self._clients["http"]

    @property
    def api(self) -> Any:
        """The platform's own API, under a short-lived token with the scopes of `permissions.platform`.

        `await ctx.api.get("/flows")` gives the parsed JSON; `post`, `put`, `patch`, `delete` likewise.
        """
        if "api" not in self._clients:
            make = importlib.import_module("monjolo_sdk.api_client").open_api
            self._clients["api"] = make(is_async=self.is_async, channel=self.channel)
        return self._clients["api"]

    def clients(self) -> list[Any]:
        """The clients that were opened; whoever made the context closes them."""
        return list(self._clients.values())

    def _ask(self, method: str, params: dict[str, Any]) -> Any | Awaitable[Any]:
        channel = self.channel
        return channel.request(method, params) if channel.on_loop() else channel.call(method, params)


def _brought_in(file: Path, tmp: Path) -> Path:
    """The same content under a name in `tmp`, without a copy where the file system allows."""
    inside = tmp / f"artifact-{secrets.token_hex(8)}"
    try:
        os.link(file.resolve(), inside)
    except OSError:
        with file.open("rb") as source, inside.open("wb") as target:
            while piece := source.read(1 << 20):
                target.write(piece)
    return inside


def _value(answer: Any, default: Any) -> Any:
    value = answer.get("value") if isinstance(answer, dict) else None
    return default if value is None else value
