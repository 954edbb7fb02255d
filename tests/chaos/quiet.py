"""Round `quiet` (C3): without a fault nothing starts twice."""

from __future__ import annotations

import asyncio

from tests.chaos import judge
from tests.chaos.documents import GRAPH, GRAPH_STEPS
from tests.chaos.judge import Figures
from tests.chaos.world import World

NIGHTLY_STEPS = 100_000
BULK = 200
SETTLE_SECONDS = 600.0


async def run(world: World) -> Figures:
    figures = Figures()
    count = world.number(NIGHTLY_STEPS) // len(GRAPH_STEPS)
    earlier = set(await world.client.runs(GRAPH))
    accepted: dict[str, str] = {}
    for first in range(0, count, BULK):
        keys = [f"quiet-{number}" for number in range(first, min(count, first + BULK))]
        answered = await world.client.start_many(GRAPH, [({}, key) for key in keys])
        accepted.update(zip(keys, answered, strict=True))
        await asyncio.sleep(0)
    settled, runs = await world.client.until_ended(GRAPH, SETTLE_SECONDS)
    runs = {run: row for run, row in runs.items() if run not in earlier}
    told = world.sink.of(set(runs))
    breaches, lost = judge.accepted_and_ended(accepted, runs)
    twice = judge.started_twice(told, GRAPH_STEPS)
    figures.runs, figures.lost = len(accepted), len(lost)
    figures.breaches = breaches + [f"without a fault: {what}" for what in twice] + judge.keys(told)
    figures.breaches += judge.effects(runs, told, GRAPH_STEPS)
    failed = [run for run, row in runs.items() if row["status"] != "succeeded"]
    figures.breaches += [f"without a fault {run} is {runs[run]['status']}" for run in failed]
    steps = len(accepted) * len(GRAPH_STEPS)
    figures.more = {"steps": steps, "second_starts": len(twice), "seconds": round(settled, 1)}
    return figures
