"""Actions of every temper, for the worker's tests."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from monjolo_sdk import Context, Module, PermanentError

module = Module("sample", version="1.0.0")


@module.action()
def noop() -> dict[str, bool]:
    return {"ok": True}


@module.action()
def echo(value: str) -> dict[str, str]:
    return {"value": value}


@module.action()
def pid() -> int:
    return os.getpid()


@module.action()
def where() -> dict[str, object]:
    return {"environment": dict(os.environ), "folder": str(Path.cwd()), "group": os.getpgrp() == os.getpid()}


@module.action()
def nap(seconds: float, mark: str = "") -> dict[str, int]:
    """Sleeps; the answer tells when, so that a test can see what overlapped."""
    begun = time.time_ns()
    if mark:
        with Path(mark).open("a") as file:
            file.write("begun\n")
    time.sleep(seconds)
    return {"begun": begun, "ended": time.time_ns()}


@module.action()
async def async_nap(seconds: float) -> dict[str, int]:
    begun = time.time_ns()
    await asyncio.sleep(seconds)
    return {"begun": begun, "ended": time.time_ns()}


@module.action()
def until_cancelled(ctx: Context) -> str:
    while not ctx.cancelled:
        time.sleep(0.01)
    raise PermanentError("stopped because it was asked to")


@module.action()
def loop_for_ever() -> None:
    while True:
        pass


def scatter(marker: str) -> None:
    """A child, a grandchild whose parent is gone, one in a session of its own, a program; none heeds SIGTERM."""
    os.environ["WORKER_TEST_MARKER"] = marker
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    command = [sys.executable, "-I", "-S", "-c", code]
    subprocess.Popen(command)
    subprocess.Popen(command, start_new_session=True)
    orphan = (
        "import os, sys, subprocess\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        "os.execv(sys.executable, [sys.executable, '-I', '-S', '-c', sys.argv[1]])"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", orphan, code], check=True)


@module.action()
def scatter_and_stay(ctx: Context, marker: str) -> None:
    scatter(marker)
    ctx.log.info("scattered")
    while True:
        time.sleep(1)


@module.action()
def scatter_and_heed(ctx: Context, marker: str) -> None:
    scatter(marker)
    ctx.log.info("scattered")
    while not ctx.cancelled:
        time.sleep(0.01)


@module.action()
async def scatter_and_wait(ctx: Context, marker: str) -> None:
    scatter_quietly(marker)
    ctx.log.info("scattered")
    await asyncio.sleep(600)


def scatter_quietly(marker: str) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    environment = {**os.environ, "WORKER_TEST_MARKER": marker}
    subprocess.Popen([sys.executable, "-I", "-S", "-c", code], start_new_session=True, env=environment)


@module.action()
def end_process(code: int = 3) -> None:
    print("about to go", flush=True)
    time.sleep(0.2)
    os._exit(code)


@module.action()
def end_by_signal() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@module.action(effects="write")
async def killed_at_once() -> None:
    """Gone before its runner could say that it began."""
    os.kill(os.getpid(), signal.SIGKILL)


@module.action()
def system_exit() -> None:
    sys.exit(5)


def worker_pipes() -> list[int]:
    """The runner's private descriptors to and from the worker, and whatever else is a pipe."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if int(entry.name) > 2 and str(entry.readlink()).startswith("pipe:"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@module.action()
def break_protocol(line: str = "this is no JSON\n") -> str:
    """Writes to the worker past the runner."""
    for descriptor in worker_pipes():
        with contextlib.suppress(OSError):
            os.write(descriptor, line.encode())
    time.sleep(30)
    return "still here"


@module.action()
def endless_line() -> None:
    for descriptor in worker_pipes():
        with contextlib.suppress(OSError):
            for _ in range(70):
                os.write(descriptor, b"x" * 1024 * 1024)
    time.sleep(30)


@module.action()
def take_memory() -> int:
    hoard = [bytearray(16 * 1024 * 1024) for _ in range(256)]
    return len(hoard)


@module.action()
def open_many() -> int:
    files = [open("/dev/null") for _ in range(10_000)]  # noqa: PTH123, SIM115
    return len(files)


@module.action()
def fill_disk(ctx: Context) -> None:
    with (ctx.tmp / "big").open("wb") as file:
        while True:
            file.write(b"x" * 1024 * 1024)


@module.action()
def speak(ctx: Context, lines: int) -> None:
    for number in range(lines):
        ctx.log.info(f"line {number}", number=number)


@module.action()
def print_lines(lines: int, width: int = 20) -> None:
    for number in range(lines):
        print(f"{number:09d}".ljust(width, "."))


@module.action()
def all_streams(ctx: Context) -> None:
    print("printed")
    print("complained", file=sys.stderr)
    logging.getLogger("some").error("logged")
    ctx.log.debug("told", answer=42)
    print("ring \x07 colour \x1b[31m")


@module.action()
def speak_then_stay(ctx: Context, mark: str) -> None:
    number = 0
    while True:
        ctx.log.info(f"line {number}")
        number += 1
        time.sleep(0.01)


@module.action()
def leak(value: str) -> dict[str, str]:
    print("the value is", value)
    return {"told": value}


@module.action()
def leak_by_failing(value: str) -> None:
    raise PermanentError(f"cannot sign in with {value}", details={"password": value})


@module.action()
def large_output(size: int) -> str:
    return "x" * size


@module.action()
def keep(ctx: Context) -> dict[str, object]:
    before = ctx.state.get("cursor", 0)
    ctx.state.set("cursor", before + 1)
    kept = ctx.artifact("report.txt", "some text", content_type="text/plain")
    ctx.progress(1, 2, "half")
    return {"before": before, "after": ctx.state.get("cursor"), "blob": kept["blob"]}


@module.action()
def keep_and_fail(ctx: Context) -> None:
    ctx.state.set("cursor", 99)
    raise ValueError("after writing")
