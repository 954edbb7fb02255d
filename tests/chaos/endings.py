"""Round `endings` (C8, C9): steps that will not end are ended, steps that kill their runner are given up."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

from tests.chaos.documents import FAILING, KILLER, STUBBORN
from tests.chaos.judge import Figures
from tests.chaos.processes import with_mark
from tests.chaos.world import World

NIGHTLY_CANCELS, NIGHTLY_TIMEOUTS, NIGHTLY_FAILURES, NIGHTLY_KILLERS = 200, 200, 1_000, 100
END_SECONDS = 10.0
BEGIN_SECONDS = 180.0
AT_ONCE = 4
LARGEST_SHARE = 0.10  # of the retries in any one second
KILLER_STARTS = 2 + 3 + 1  # max_attempts + max_crashes, and one that died in a shared message


async def run(world: World) -> Figures:
    figures = Figures()
    cancels, timeouts = world.number(NIGHTLY_CANCELS), world.number(NIGHTLY_TIMEOUTS)
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> float:
        async with places:
            return await _one(world, f"{world.dice.randrange(10**8, 10**9)}", number >= cancels, figures)

    slowest = await asyncio.gather(*(one(number) for number in range(cancels + timeouts)))
    figures.runs = cancels + timeouts
    figures.more = {"cancels": cancels, "timeouts": timeouts, "slowest_ending": round(max(slowest), 1)}
    await _failing(world, figures)
    await _killers(world, figures)
    return figures


async def _one(world: World, mark: str, limited: bool, figures: Figures) -> float:
    """Seconds from the cancel, or from the time-out, until nothing of the step is alive."""
    run = await world.client.start(STUBBORN, {"mark": mark, "limited": limited}, f"stubborn-{mark}")
    await _begun(world, run)
    await asyncio.sleep(world.dice.uniform(0, 0.5))
    if limited:
        await asyncio.sleep(3.0)
    else:
        await world.client.call("POST", f"/api/v1/runs/{run}/cancel", {})
    asked = time.monotonic()
    while True:
        left = with_mark(f"86400.{mark}")
        passed = time.monotonic() - asked
        if not left or passed > END_SECONDS:
            break
        await asyncio.sleep(0.1)
    after = time.time()
    figures.breaches += [f"alive {END_SECONDS:.0f} s after its end: {seen.command} of {run}" for seen in left]
    await asyncio.sleep(0.5)
    if any(one.run == run and (one.at > after + 0.4 or one.what == "start") for one in world.sink.records):
        figures.breaches.append(f"{run} had an effect after its end")
    await _expect(world, run, "timed_out" if limited else "cancelled", figures)
    return passed


async def _begun(world: World, run: str) -> None:
    until = time.monotonic() + BEGIN_SECONDS
    while time.monotonic() < until:
        if any(one.run == run for one in world.sink.records):
            return
        await asyncio.sleep(0.05)


async def _expect(world: World, run: str, wanted: str, figures: Figures) -> None:
    until = time.monotonic() + END_SECONDS
    while True:
        found = await world.client.call("GET", f"/api/v1/runs/{run}")
        steps = await world.client.steps(run)
        kind = "limited" if wanted == "timed_out" else "free"
        if found["finished_at"] is not None or time.monotonic() > until:
            break
        await asyncio.sleep(0.1)
    if kind not in steps or steps[kind]["status"] != wanted:
        figures.breaches.append(f"{run}: the step is {steps.get(kind, {}).get('status')}, not {wanted}")


async def _failing(world: World, figures: Figures) -> None:
    """C9: simultaneous failures do not come back all at once."""
    count = world.number(NIGHTLY_FAILURES)
    items: list[tuple[dict[str, Any], str]] = [({}, f"failing-{number}") for number in range(count)]
    runs = set(await world.client.start_many(FAILING, items))
    await world.client.until_ended(FAILING, 120)
    starts = [one for one in world.sink.of(runs) if one.what == "start"]
    by_attempt = Counter(one.attempt for one in starts)
    if set(by_attempt.values()) != {count} or len(by_attempt) != 3:
        figures.breaches.append(f"{count} failing steps of three attempts started {dict(by_attempt)}")
    seconds = Counter(int(one.at) for one in starts if one.attempt > 1)
    share = max(seconds.values(), default=0) / max(1, sum(seconds.values()))
    figures.runs += count
    figures.more["largest_second_of_retries"] = round(share, 3)
    if count >= 100 and share > LARGEST_SHARE * 2:
        figures.breaches.append(f"{share:.0%} of the retries fell into one second")


async def _killers(world: World, figures: Figures) -> None:
    count = world.number(NIGHTLY_KILLERS)
    runs = set(await world.client.start_many(KILLER, [({}, f"killer-{number}") for number in range(count)]))
    _, found = await world.client.until_ended(KILLER, 180)
    starts = Counter(one.run for one in world.sink.of(runs) if one.what == "start")
    figures.runs += count
    figures.more["most_starts_of_a_killer"] = max(starts.values(), default=0)
    for run in runs:
        steps = await world.client.steps(run)
        if found[run]["finished_at"] is None or steps["bad"]["status"] != "crashed":
            figures.breaches.append(f"{run} kills its runner and is {found[run]['status']}")
        if starts[run] > KILLER_STARTS:
            figures.breaches.append(f"{run} kills its runner and was started {starts[run]} times")
