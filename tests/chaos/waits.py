"""Round `waits` (C1, C2): steps wait for events and loops go round while the platform dies; queues keep the newest."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from tests.chaos import judge
from tests.chaos.client import ENDED
from tests.chaos.documents import EVENT, ITERATIONS, TURNS, WAITS
from tests.chaos.judge import Figures, Run
from tests.chaos.sink import Told
from tests.chaos.world import World

NIGHTLY_RUNS, NIGHTLY_KILLS, SENDERS, GROUPS = 2_000, 50, 16, 4
SETTLE_SECONDS = 120.0
DONE = ("first", *(f"again[{number}].do" for number in range(ITERATIONS)))


async def run(world: World) -> Figures:
    figures = Figures()
    count, kills = world.number(NIGHTLY_RUNS), world.number(NIGHTLY_KILLS)
    before, starts = len(world.kills), world.platform.starts
    numbers = iter(range(count))
    waiting: dict[str, str] = {}
    turns: dict[str, str] = {}

    async def send() -> None:
        for number in numbers:
            waiting[f"wait-{number}"] = await world.client.start(WAITS, {"number": number}, f"wait-{number}")
            key = f"turn-{number}"
            turns[key] = await world.client.start(TURNS, {"group": number % GROUPS}, key)
            await _tell(world, waiting[f"wait-{number}"], number)

    async with asyncio.TaskGroup() as group:
        for _ in range(SENDERS):
            group.create_task(send())
        while len(world.kills) - before < kills:
            await asyncio.sleep(world.dice.uniform(0.2, 3.0))
            await world.kill_platform()
    _, runs = await world.client.until_ended(WAITS, SETTLE_SECONDS)
    _, turn_runs = await world.client.until_ended(TURNS, SETTLE_SECONDS)
    for answered, found in ((waiting, runs), (turns, turn_runs)):
        breaches, lost = judge.accepted_and_ended(answered, found)
        figures.breaches += breaches
        figures.lost += len(lost)
    figures.runs = len(waiting) + len(turns)
    figures.kills, figures.restarts = len(world.kills) - before, world.platform.starts - starts
    figures.breaches += _judge_waits(runs, world.sink.of(set(runs)))
    figures.breaches += _judge_turns(turns, turn_runs)
    figures.more = {"turns": dict(Counter(str(row["reason"] or row["status"]) for row in turn_runs.values()))}
    return figures


async def _tell(world: World, run: str, number: int) -> None:
    """An event counts from the moment the step waits; one that is not answered is sent again under its id."""
    while True:
        step = (await world.client.steps(run)).get("go")
        if step is not None and step["status"] != "pending":
            break
        if (await world.client.call("GET", f"/api/v1/runs/{run}"))["status"] in ENDED:
            return  # it is judged at the end
        await asyncio.sleep(0.2)
    event: dict[str, Any] = {"type": EVENT, "id": f"go-{number}", "data": {"number": number}}
    await world.client.call("POST", "/api/v1/events", event)


def _judge_waits(runs: dict[str, Run], told: list[Told]) -> list[str]:
    breaches = [
        f"{run} is {row['status']} ({row['error']})" for run, row in runs.items() if row["status"] != "succeeded"
    ]
    breaches += judge.effects(runs, told, DONE)
    beyond = {(one.run, one.step) for one in told} - {(run, step) for run in runs for step in DONE}
    return breaches + [f"an iteration that should not be: {step} of {run}" for run, step in sorted(beyond)]


def _judge_turns(turns: dict[str, str], runs: dict[str, Run]) -> list[str]:
    """One of a group at a time, one more waits: each run was done, or names one that took its place."""
    breaches = []
    for run in turns.values():
        row = runs.get(run)
        if row is None or row["status"] == "succeeded":
            continue  # a run that is nowhere is told as lost
        by = ((row["error"] or {}).get("details") or {}).get("run")
        if (row["status"], row["reason"]) != ("skipped", "coalesced") or by not in runs:
            breaches.append(f"{run} is {row['status']} ({row['reason']}), and {by} took its place")
    return breaches
