"""What the fault tests run. This file is dropped into the platform's modules folder as `chaos.py`."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

from monjolo_sdk import Context, Module

module = Module("chaos", version="1.0.0", title="Chaos", permissions={"net": ["127.0.0.1"]})


def _body(ctx: Context, what: str) -> bytes:
    told = {"what": what, "run": ctx.run.id, "step": ctx.run.step, "attempt": ctx.run.attempt}
    return json.dumps({**told, "key": ctx.idempotency_key}).encode()


async def _tell(ctx: Context, sink: int, what: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sink)
    body = _body(ctx, what)
    writer.write(b"POST / HTTP/1.1\r\nHost: sink\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    if not (await reader.readline()).startswith(b"HTTP/1.1 200"):
        raise ConnectionError("the sink did not take it")
    writer.close()


def _tell_now(ctx: Context, sink: int, what: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sink, timeout=30)
    connection.request("POST", "/", _body(ctx, what))
    if connection.getresponse().status != 200:
        raise ConnectionError("the sink did not take it")
    connection.close()


@module.action(effects="write")
async def effect(ctx: Context, sink: int, pause_ms: int = 0, fail_first: int = 0) -> dict[str, Any]:
    """Tell the sink of the start, work a while, fail as often as wished, tell it of the effect."""
    await _tell(ctx, sink, "start")
    ctx.log.info("started", attempt=ctx.run.attempt)
    await asyncio.sleep(pause_ms / 1000)
    if ctx.run.attempt <= fail_first:
        await _tell(ctx, sink, "failed")
        raise RuntimeError("failed on purpose")
    await _tell(ctx, sink, "effect")
    return {"attempt": ctx.run.attempt}


@module.action(effects="write")
def effect_sync(ctx: Context, sink: int, pause_ms: int = 0) -> dict[str, Any]:
    """The same in a function that blocks."""
    _tell_now(ctx, sink, "start")
    time.sleep(pause_ms / 1000)
    _tell_now(ctx, sink, "effect")
    return {"attempt": ctx.run.attempt}


@module.action(effects="write")
async def lines(ctx: Context, folder: str, count: int, every_ms: int) -> dict[str, Any]:
    """Print numbered lines, each written first to a file of this execution's own: what was really said."""
    execution = uuid.uuid4().hex
    with Path(folder, f"{ctx.run.id}.{execution}.txt").open("w", buffering=1) as said:  # noqa: ASYNC230
        for number in range(1, count + 1):
            said.write(f"{number} {time.time():.6f}\n")
            print(f"{execution} {number}")
            await asyncio.sleep(every_ms / 1000)
        said.write("end\n")
    return {"execution": execution}


@module.action(effects="write")
def kills_its_runner(ctx: Context, sink: int) -> None:
    """Take the process down that runs it."""
    _tell_now(ctx, sink, "start")
    os.kill(os.getpid(), signal.SIGKILL)


@module.action(effects="write")
def fails(ctx: Context, sink: int) -> None:
    """Fail, always."""
    _tell_now(ctx, sink, "start")
    raise RuntimeError("failed on purpose")


@module.action(effects="write")
def stubborn(ctx: Context, sink: int, mark: str) -> None:
    """Never end by itself: ignore SIGTERM, fork, fork twice, begin a session of its own."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleep = ["sleep", f"86400.{mark}"]
    subprocess.Popen(sleep)
    subprocess.Popen(sleep, start_new_session=True)
    subprocess.Popen(["setsid", "--fork", *sleep])
    subprocess.Popen(["sh", "-c", f"trap '' TERM; (setsid sleep 86400.{mark} &) & wait"])
    while True:
        _tell_now(ctx, sink, "beat")
        time.sleep(0.25)
