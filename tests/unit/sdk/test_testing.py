"""`monjolo_sdk.testing` runs actions in-process, and the SDK stays light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import monjolo_sdk
from monjolo_sdk import Connection, Context, InvalidInput, Module
from monjolo_sdk.testing import Runner, run, run_sync

module = Module("demo", version="1.0.0")


@module.action(effects="write")
async def collect(ctx: Context, count: int = 2) -> list[int]:
    """Count on from where it stopped."""
    start = await ctx.state.get("cursor", 0)
    for number in range(count):
        ctx.log.info("one", number=number)
        ctx.progress(number + 1, count)
    await ctx.state.set("cursor", start + count)
    await ctx.artifact("rows.txt", "rows", content_type="text/plain")
    return list(range(start, start + count))


@module.action(effects="write")
def collect_sync(ctx: Context, vault: Connection) -> dict[str, str]:
    """The same on the sync side."""
    ctx.state.set("seen", True)
    path = ctx.tmp / "own.txt"
    path.write_text("own")
    ctx.artifact("own.txt", path=path)
    return {"token": vault["token"], "seen": str(ctx.state.get("seen")), "step": ctx.run.step}


async def test_an_async_action_runs_with_a_fake_context() -> None:
    outcome = await Runner(module, state={"cursor": 5}).run("collect", count=3)
    assert outcome.output == [5, 6, 7]
    assert outcome.state == {"cursor": 8}
    assert outcome.texts == ["one"] * 3
    assert outcome.logs[2].fields == {"number": 2}
    assert outcome.progress[-1] == {"done": 3, "total": 3, "text": ""}
    assert outcome.artifacts == {"rows.txt": b"rows"}


async def test_a_sync_action_runs_from_async_and_sync_tests_alike() -> None:
    runner = Runner(module, connections={"vault": {"token": "t"}}, run={"step": "s"})
    outcome = await runner.run("collect_sync", {"vault": "main"})
    assert outcome.output == {"token": "t", "seen": "True", "step": "s"}
    assert outcome.artifacts == {"own.txt": b"own"}


def test_run_sync_needs_no_loop_and_inputs_are_checked() -> None:
    assert run_sync(module, "collect").output == [0, 1]
    with pytest.raises(InvalidInput, match="count: must be a whole number"):
        run_sync(module, "collect", count="many")
    with pytest.raises(LookupError, match="has no action 'other'"):
        run_sync(module, "other")


async def test_run_is_the_short_form() -> None:
    assert (await run(module, "collect", {"count": 1})).output == [0]


def test_importing_the_sdk_brings_in_nothing_heavy() -> None:
    folder = Path(monjolo_sdk.__file__).parent.parent
    program = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); before = set(sys.modules); import monjolo_sdk;"
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    brought = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    heavy = {"asyncio", "inspect", "dataclasses", "json", "logging", "httpx2", "httpcore2", "pydantic", "ssl", "socket"}
    assert heavy & set(ast_literal(brought.stdout)) == set()


def ast_literal(text: str) -> list[str]:
    return [name.strip(" '[]\n") for name in text.split(",")]
