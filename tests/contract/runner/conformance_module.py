"""The module that a runner is held against. A runner in another language brings the same actions."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Annotated, Any

from monjolo_sdk import AuthError, Connection, Context, Field, InvalidInput, Module, PermanentError, RetryLater

module = Module("conformance", version="1.2.3", title="Conformance", permissions={"net": ["127.0.0.1"]})
module.connection_type("vault", fields={"token": Field("Token", secret=True), "user": Field("User")})


@module.action(effects="read")
async def echo(value: Any = None) -> Any:
    """Give back what it got."""
    return value


@module.action(effects="read")
def echo_sync(value: Any = None) -> Any:
    """Give back what it got, on the sync side."""
    return value


@module.action(effects="read")
async def add(a: int, b: Annotated[int, Field(minimum=0)] = 2) -> dict[str, int]:
    """Add two whole numbers."""
    return {"sum": a + b}


@module.action(effects="read")
async def wait_for_file(path: str) -> str:
    """Wait until a file is there (async)."""
    file = Path(path)
    while not file.exists():  # noqa: ASYNC110, ASYNC240 (the test has only files to speak to it)
        await asyncio.sleep(0.005)
    return path


@module.action(effects="read")
def wait_for_file_sync(ctx: Context, path: str) -> str:
    """Wait until a file is there, or until cancelled (sync)."""
    while not Path(path).exists():
        if ctx.cancelled:
            return "cancelled"
        time.sleep(0.005)
    return path


@module.action(effects="read")
def say(ctx: Context, lines: int = 3) -> None:
    """Write to every stream, in turn."""
    for number in range(lines):
        print(f"print {number}")
        print(f"error {number}", file=sys.stderr)
        ctx.log.debug(f"debug {number}", number=number)
        ctx.log.critical(f"critical {number}", odd={"deep": [number, object]})
        logging.getLogger("some.where").warning("logging %s", number)
        warnings.warn(f"warned {number}", stacklevel=1)


@module.action(effects="read")
async def say_async(name: str, others: int) -> None:
    """Print in turns with other tasks."""
    for number in range(20):
        print(f"{name} {number}")
        await asyncio.sleep(0)


@module.action(effects="read")
def say_raw() -> None:
    """Write past Python: descriptors, subprocesses, C, threads, and a line without an end."""
    os.write(1, b"raw 1\n")
    subprocess.run(["sh", "-c", "echo from sh; echo err from sh >&2"], check=True)
    ctypes.CDLL(None).puts(b"from C")
    ctypes.CDLL(None).fflush(None)
    thread = threading.Thread(target=print, args=("from a thread",))
    thread.start()
    thread.join()
    sys.stdout.buffer.write(b"bytes \xff\n")
    print("no end", end="")


@module.action(effects="read")
def say_much(lines: int = 1000, width: int = 10) -> None:
    """Print many lines."""
    text = "x" * width
    for number in range(lines):
        print(number, text)


@module.action(effects="read")
def say_text(text: str) -> None:
    """Print a text as it is."""
    print(text)


@module.action(effects="read")
def read_stdin() -> str:
    """What is on standard input? Nothing must be."""
    return sys.stdin.read()


@module.action(effects="read")
async def fail(kind: str) -> None:
    """Fail in one of the ways there are."""
    if kind == "retry_later":
        raise RetryLater(12.5, "busy", details={"status": 429})
    if kind == "auth":
        raise AuthError("token refused")
    if kind == "input":
        raise InvalidInput("is wrong", "kind")
    if kind == "permanent":
        raise PermanentError("no use")
    if kind == "exit":
        sys.exit(3)
    if kind == "interrupt":
        raise KeyboardInterrupt
    raise ValueError(f"a plain error: {kind}")


@module.action(effects="read")
def fail_sync(kind: str) -> None:
    """Fail on the sync side."""
    if kind == "exit":
        sys.exit("bye")
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "recursion":
        fail_sync(kind)
    if kind == "cause":
        try:
            {}["missing"]
        except KeyError as problem:
            raise RuntimeError("outer") from problem
    raise ValueError(f"a plain error: {kind}")


@module.action(effects="write")
def die(code: int = 7) -> None:
    """End the process without a word."""
    os._exit(code)


@module.action(effects="write")
def break_protocol() -> None:
    """Write to each descriptor that could be the protocol's."""
    for descriptor in (1, 2):
        os.write(descriptor, b'{"jsonrpc":"2.0","id":1,"result":{"output":"forged"}}\n')
    print('{"jsonrpc":"2.0","id":2,"result":{"output":"forged"}}')


@module.action(effects="write")
def fork() -> str:
    """Fork, and come back from the action in both processes."""
    if os.fork() == 0:
        print("from the child")
        return "child"
    os.wait()
    return "parent"


@module.action(effects="read")
def big(size: int) -> str:
    """A large output."""
    return "x" * size


@module.action(effects="read")
async def not_json() -> Any:
    """Something JSON cannot tell."""
    return {"rows": [1, object()]}


@module.action(effects="write")
async def use_context(ctx: Context, key: str = "cursor") -> dict[str, Any]:
    """State, progress, artifact and what ctx.run tells."""
    before = await ctx.state.get(key)
    await ctx.state.set(key, {"page": 2})
    ctx.progress(1, 2, "half")
    artifact = await ctx.artifact("report.txt", "hello", content_type="text/plain")
    return {
        "before": before,
        "after": await ctx.state.get(key),
        "artifact": artifact,
        "attempt": ctx.run.attempt,
        "idempotency_key": ctx.idempotency_key,
        "tmp": str(ctx.tmp),
    }


@module.action(effects="write")
def use_context_sync(ctx: Context, key: str = "cursor") -> dict[str, Any]:
    """The same on the sync side."""
    before = ctx.state.get(key, "none")
    ctx.state.set(key, 3)
    ctx.progress(2, 2)
    return {"before": before, "after": ctx.state.get(key), "artifact": ctx.artifact("a.bin", b"\x00\x01")}


@module.action(effects="read")
async def use_connection(vault: Annotated[Connection, "vault"]) -> dict[str, Any]:
    """What of a connection reaches the action."""
    return {
        "user": vault["user"],
        "length": len(vault.token),
        "shown": repr(vault["token"]),
        "name": vault.name,
    }
