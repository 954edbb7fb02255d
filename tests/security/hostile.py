# ruff: noqa: PTH115, PTH208 (as plain as an intruder would write it)
"""A module that means harm: what it finds out it gives as output."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import Any

from monjolo_sdk import Context, Module

module = Module("hostile", version="1.0.0", title="Hostile", permissions={"net": ["*"], "platform": ["flows:read"]})


def _attempt(work: Any) -> str:
    try:
        found = work()
    except OSError as error:
        return f"refused: {error.strerror}"
    return f"got {len(found)} bytes: {bytes(found)[:20_000].decode('latin-1')}"


def _lineage() -> list[int]:
    """Our parents: the supervisor, then the platform."""
    pid, found = os.getpid(), []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


@module.action(effects="read")
def environment(ctx: Context) -> dict[str, Any]:
    """Our own, and that of a child."""
    child = subprocess.run(["env"], capture_output=True, text=True, check=False)
    return {"own": dict(os.environ), "child": child.stdout}


@module.action(effects="read")
def parents(ctx: Context) -> dict[str, Any]:
    """Environment, memory and descriptors of the supervisor and the platform."""
    told: dict[str, Any] = {}
    for pid in _lineage()[:2]:
        told[str(pid)] = {
            "command": Path(f"/proc/{pid}/cmdline").read_text(),
            "environ": _attempt(Path(f"/proc/{pid}/environ").read_bytes),
            "mem": _attempt(lambda pid=pid: os.read(os.open(f"/proc/{pid}/mem", os.O_RDONLY), 1) or b"opened"),
            "maps": _attempt(Path(f"/proc/{pid}/maps").read_bytes),
            "fds": _attempt(lambda pid=pid: os.readlink(f"/proc/{pid}/fd/0").encode()),
            "cwd": _attempt(lambda pid=pid: os.readlink(f"/proc/{pid}/cwd").encode()),
            "ptrace": ctypes.CDLL(None, use_errno=True).ptrace(16, pid, 0, 0),
        }
    return told


@module.action(effects="read")
def descriptors(ctx: Context) -> dict[str, Any]:
    """What we have open."""
    found = {}
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[number] = os.readlink(f"/proc/self/fd/{number}")
    return found


@module.action(effects="read")
def rights(ctx: Context) -> dict[str, Any]:
    """What the kernel says that we may."""
    return dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)


@module.action(effects="read")
def hand_over(ctx: Context, path: str) -> dict[str, Any]:
    """Asks the worker to keep a file as an artifact, past the SDK, which would read it with our own rights."""
    name = path.replace("TMP", str(ctx.tmp))
    (ctx.tmp / "link").symlink_to("/proc/self/environ")
    (ctx.tmp / "folder").symlink_to("/proc/self")
    (ctx.tmp / "loop").symlink_to("loop")
    os.mkfifo(ctx.tmp / "fifo")
    return dict(ctx.channel.call("artifact", {"name": "loot", "path": name, "content_type": "text/html"}))


@module.action(effects="read")
def keep(ctx: Context, name: str, content: str, content_type: str = "text/html") -> dict[str, Any]:
    """An artifact with a name and a type of our choice."""
    return dict(ctx.artifact(name, content, content_type=content_type))


@module.action(effects="read")
def leak(ctx: Context, secret: str) -> dict[str, Any]:
    """Tells a secret in every way a careless module does; then succeeds."""
    raw = secret.encode()
    forms = {
        "plain": secret,
        "base64": base64.b64encode(raw).decode(),
        "within base64": base64.b64encode(b"user:" + raw + b"@host").decode(),
        "url": urllib.parse.quote(secret, safe=""),
        "hex": raw.hex(),
        "json": json.dumps({"password": secret}),
        "repr": repr([secret]),
    }
    for name, form in forms.items():
        print(name, form)
        print(form, file=sys.stderr)
        ctx.log.info(form, field=form, nested={form: [form]})
    subprocess.run(["echo", secret], check=False)
    sys.stdout.write(secret[:7])
    sys.stdout.write(secret[7:] + "\n")
    os.write(1, raw[:5])
    os.write(1, raw[5:] + b"\n")
    ctx.progress(1, 2, secret)
    ctx.artifact(f"{secret}.txt", "content")
    ctx.state.set("kept", "nothing")
    return {"forms": forms, secret: True, "list": [secret]}


@module.action(effects="read")
def fail_with(ctx: Context, secret: str) -> dict[str, Any]:
    """A secret in an exception, its cause and its notes."""
    try:
        raise KeyError(secret)
    except KeyError as error:
        problem = RuntimeError(f"cannot sign in with {secret}")
        problem.add_note(f"tried {base64.b64encode(secret.encode()).decode()}")
        raise problem from error


@module.action(effects="read")
def echo(ctx: Context, value: Any = None) -> dict[str, Any]:
    """What came in."""
    return {"value": value}


@module.action(effects="read")
def token(ctx: Context) -> dict[str, Any]:
    """The token of ctx.api, written backwards, so that nothing masks it."""
    return {"nekot": dict(ctx.channel.call("token", {}))["token"][::-1]}


@module.action(effects="read")
def many_lines(ctx: Context, count: int) -> int:
    """More than anybody wants to read, with what a terminal would obey."""
    for number in range(count):
        print(f"\x1b[31m\x1b]0;owned\x07line {number}\r\nforged 2026-01-01 root: all is well")
    return count


@module.action(effects="read")
def eat_memory(ctx: Context) -> int:
    """Until something gives."""
    held = []
    while True:
        held.append(bytearray(64 << 20))


@module.action(effects="read")
def neighbours(ctx: Context) -> list[str]:
    """Temporary folders of other steps."""
    return sorted(str(path) for path in ctx.tmp.parent.parent.iterdir())
