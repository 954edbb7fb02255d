"""Round `backup` (C1, C2): backups under load, the source killed in the middle of some; each is restored elsewhere.

The source lives on while the restored one does: an `at_most_once` step must not begin on both sides.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from tests.chaos import judge
from tests.chaos.client import Client
from tests.chaos.documents import GRAPH, HOOK, ONCE_STEPS
from tests.chaos.judge import Figures
from tests.chaos.processes import Platform
from tests.chaos.world import SETTINGS, World

from monjolo.kit.time import from_rfc3339

NIGHTLY_BACKUPS = 20
RUNS_A_SECOND, OF_THEM_GRAPHS = 50, 5
LOAD_SECONDS = 5.0  # before each backup
SETTLE_SECONDS = 120.0
MONJOLO = str(Path(sys.executable).with_name("monjolo"))

Accepted = list[tuple[float, str, str]]  # when it was answered, the flow, the run


async def run(world: World) -> Figures:
    figures = Figures()
    kills, starts = len(world.kills), world.platform.starts
    accepted: Accepted = []
    feeding = asyncio.create_task(_feed(world, accepted))
    made = killed_during = 0
    try:
        for number in range(max(3, world.number(NIGHTLY_BACKUPS))):
            await asyncio.sleep(LOAD_SECONDS)
            kill = number % 3 == 1
            backup = await _back_up(world, number, figures, kill=kill)
            killed_during += kill
            if backup is not None:
                made += 1
                await _restore(world, number, backup, accepted, figures)
            if feeding.done():
                break
    finally:
        feeding.cancel()
        ended = await asyncio.gather(feeding, return_exceptions=True)
    figures.breaches += [f"the load broke off: {e}" for e in ended if not isinstance(e, asyncio.CancelledError)]
    figures.runs = len(accepted)
    figures.kills, figures.restarts = len(world.kills) - kills, world.platform.starts - starts
    twice = judge.started_twice(world.sink.records, ONCE_STEPS)
    figures.duplicates = len(twice)
    figures.breaches += [f"at_most_once: {what}" for what in twice]
    figures.more |= {"backups": made, "killed_during": killed_during}
    return figures


async def _feed(world: World, accepted: Accepted) -> None:
    """Fifty runs a second; after a kill it goes on when the platform answers."""
    number, began = 0, time.monotonic()
    while True:
        for flow, count in ((HOOK, RUNS_A_SECOND - OF_THEM_GRAPHS), (GRAPH, OF_THEM_GRAPHS)):
            pause = {"pause_ms": world.dice.randrange(0, 1_000)} if flow == GRAPH else {}
            items: list[tuple[dict[str, Any], str]] = [(pause, f"backup-{number}-{item}") for item in range(count)]
            accepted += [(time.time(), flow, run) for run in await world.client.start_many(flow, items)]
        number += 1
        await asyncio.sleep(max(0.0, began + number - time.monotonic()))


async def _back_up(world: World, number: int, figures: Figures, *, kill: bool) -> dict[str, Any] | None:
    """What the backup said; None when it could not be made, and then nothing may be left of it."""
    folder = world.folder / f"backups-{number}"
    folder.mkdir()
    making = asyncio.create_task(_monjolo("db", "backup", str(folder), "--json", data=world.platform.data))
    if kill:
        await asyncio.sleep(world.dice.uniform(0, 0.6))
        await world.kill_platform()
    code, said = await making
    left = sorted(path.name for path in folder.iterdir())
    if code:
        if not kill or left:
            figures.breaches.append(f"a backup failed and left {left}: {said}")
        return None
    found: dict[str, Any] = json.loads(said)
    if left != [Path(found["file"]).name]:
        figures.breaches.append(f"beside the backup there is {left}")
    return found


async def _restore(world: World, number: int, backup: dict[str, Any], accepted: Accepted, figures: Figures) -> None:
    elsewhere = Platform(world.folder / f"restored-{number}", world.platform.port + 1, SETTINGS)
    elsewhere.data.parent.mkdir()
    code, said = await _monjolo("db", "restore", backup["file"], data=elsewhere.data)
    if code:
        figures.breaches.append(f"a backup could not be restored: {said}")
        return
    before = time.time()
    instant = from_rfc3339(backup["instant"]) / 1_000_000
    await elsewhere.start()
    client = Client(elsewhere)
    try:
        runs: dict[str, dict[str, Any]] = {}
        for flow in (HOOK, GRAPH):
            _, found = await client.until_ended(flow, SETTLE_SECONDS)
            runs |= found
        wanted = {str(place): run for place, (at, _, run) in enumerate(accepted) if at < instant}
        breaches, lost = judge.accepted_and_ended(wanted, runs)
        figures.breaches += [f"backup {number}: {what}" for what in breaches if "no key was answered" not in what]
        figures.lost += len(lost)
        figures.unknown += await _unknown(client, [run for run in runs.values() if run["status"] == "failed"])
        after = await client.start(HOOK, {}, f"after-{number}")
        await client.until_ended(HOOK, SETTLE_SECONDS)
        if (await client.call("GET", f"/api/v1/runs/{after}"))["status"] != "succeeded":
            figures.breaches.append(f"the restored platform {number} does not go on")
        figures.more[f"restored_{number}"] = {"runs": len(runs), "seconds": round(time.time() - before, 1)}
    finally:
        await client.close()
        elsewhere.stop()
        shutil.rmtree(elsewhere.data.parent, ignore_errors=True)


async def _unknown(client: Client, failed: list[dict[str, Any]]) -> int:
    return sum([any(s["status"] == "unknown" for s in (await client.steps(run["id"])).values()) for run in failed])


async def _monjolo(*arguments: str, data: Path) -> tuple[int, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MONJOLO_")}
    process = await asyncio.create_subprocess_exec(
        MONJOLO,
        *arguments,
        env=inherited | SETTINGS | {"MONJOLO_DATA": str(data)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    return process.returncode or 0, (out or error).decode()
