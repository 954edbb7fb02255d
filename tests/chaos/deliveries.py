"""Round `deliveries` (C11): the same delivery, sent three times side by side while the platform dies, is one run."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.chaos import judge
from tests.chaos.documents import HOOK
from tests.chaos.judge import Figures
from tests.chaos.world import World

NIGHTLY_DELIVERIES, NIGHTLY_KILLS, COPIES, SENDERS = 10_000, 50, 3, 16
SETTLE_SECONDS = 120.0


async def run(world: World) -> Figures:
    figures = Figures()
    count, kills = world.number(NIGHTLY_DELIVERIES), world.number(NIGHTLY_KILLS)
    before, starts = len(world.kills), world.platform.starts
    waiting = iter(range(count))
    answers: dict[int, set[str]] = {}

    async def send() -> None:
        for number in waiting:
            answered = await asyncio.gather(*(_deliver(world, number) for _ in range(COPIES)))
            answers[number] = set(answered)
            await asyncio.sleep(5.0 * kills * SENDERS / count)

    async with asyncio.TaskGroup() as group:
        for _ in range(SENDERS):
            group.create_task(send())
        while len(world.kills) - before < kills:
            await asyncio.sleep(world.dice.uniform(0.2, 3.0))
            await world.kill_platform()
    _, runs = await world.client.until_ended(HOOK, SETTLE_SECONDS)
    accepted = {str(number): sorted(ids)[0] for number, ids in answers.items()}
    breaches, lost = judge.accepted_and_ended(accepted, runs)
    several = [number for number, ids in answers.items() if len(ids) != 1]
    figures.runs, figures.lost = len(accepted), len(lost)
    figures.breaches = breaches + [f"delivery {number} was answered with {answers[number]}" for number in several]
    figures.kills, figures.restarts = len(world.kills) - before, world.platform.starts - starts
    figures.more = {"deliveries": count * COPIES, "runs": len(runs)}
    return figures


async def _deliver(world: World, number: int) -> str:
    answer: dict[str, Any] = await world.client.call("POST", f"/api/v1/hooks/{HOOK}", {"delivery": f"d-{number}"})
    return str(answer.get("id") or answer.get("run"))
