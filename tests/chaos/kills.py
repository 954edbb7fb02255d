"""Round `kills` (C1, C2, C7, C11, C12): runs keep coming while processes are killed."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from tests.chaos import judge
from tests.chaos.client import ENDED
from tests.chaos.documents import GRAPH, GRAPH_STEPS, LINES, ONCE_STEPS
from tests.chaos.judge import Figures
from tests.chaos.world import World

NIGHTLY_RUNS, NIGHTLY_KILLS, NIGHTLY_LINES = 10_000, 200, 200
SETTLE_SECONDS = 120.0
SLOTS = 16  # steps at the same time, the platform's default
AT_ONCE = 8  # of the runs sent in bulk


async def run(world: World) -> Figures:
    figures = Figures()
    count = world.number(NIGHTLY_RUNS)
    earlier = set(await world.client.runs(GRAPH))
    accepted: dict[str, str] = {}
    said: dict[str, str] = {}
    ended: dict[str, str] = {}
    async with asyncio.TaskGroup() as group:
        group.create_task(_feed(world, count, accepted))
        group.create_task(_feed_lines(world, world.number(NIGHTLY_LINES), said))
        group.create_task(_kill_all(world, world.number(NIGHTLY_KILLS), ended, figures))
    settled, runs = await world.client.until_ended(GRAPH, SETTLE_SECONDS)
    more_settled, line_runs = await world.client.until_ended(LINES, SETTLE_SECONDS)
    runs = {run: row for run, row in runs.items() if run not in earlier}
    figures.runs = len(accepted) + len(said)
    figures.kills, figures.restarts = len(world.kills), world.platform.starts - 1
    figures.more = {"killed": world.killed, "settled_seconds": round(settled + more_settled, 1)}
    for answered, found in ((accepted, runs), (said, line_runs)):
        breaches, lost = judge.accepted_and_ended(answered, found)
        figures.breaches += breaches
        figures.lost += len(lost)
    _judge_finality(ended, runs | line_runs, figures)
    _judge_effects(world, runs, figures)
    await _judge_unknown(world, runs, figures)
    await _judge_lines(world, line_runs, figures)
    return figures


# --- what happens -------------------------------------------------------------------------------------------


async def _feed(world: World, count: int, accepted: dict[str, str]) -> None:
    """Runs at a pace at which the kills fall among them, one by one and in bulk, each under its key."""
    dice = world.dice
    pause = 4.0 * world.number(NIGHTLY_KILLS) / count  # about four seconds a kill
    sent = 0
    while sent < count:
        size = 1 if dice.random() < 0.5 else min(AT_ONCE, count - sent)
        items = []
        for number in range(sent, sent + size):
            inputs = {"pause_ms": dice.randrange(0, 300), "fail_first": int(dice.random() < 0.2)}
            items.append((inputs, f"graph-{number}"))
        if size == 1:
            answered = [await world.client.start(GRAPH, *items[0])]
        else:
            answered = await world.client.start_many(GRAPH, items)
        accepted.update(zip((key for _, key in items), answered, strict=True))
        sent += size
        await asyncio.sleep(pause * size)


async def _feed_lines(world: World, count: int, said: dict[str, str]) -> None:
    for number in range(count):
        key = f"lines-{number}"
        said[key] = await world.client.start(LINES, {"count": world.dice.randrange(20, 240)}, key)
        await asyncio.sleep(4.0 * world.number(NIGHTLY_KILLS) / count)


async def _kill_all(world: World, count: int, ended: dict[str, str], figures: Figures) -> None:
    kinds: list[str] = []
    while len(world.kills) < count:
        await asyncio.sleep(world.dice.uniform(0.2, 4.0))
        if not kinds:  # every kind comes up, in an order of the dice
            kinds = ["platform"] * 5 + ["runner", "supervisor"] * 2
            world.dice.shuffle(kinds)
        kind = kinds.pop()
        if kind != "platform":
            world.kill_child(kind)
            continue
        runs = await world.client.runs(GRAPH)
        for run, row in runs.items():
            if row["status"] in ENDED and ended.setdefault(run, row["status"]) != row["status"]:
                figures.breaches.append(f"a final state changed: {run} from {ended[run]} to {row['status']}")
        await world.kill_platform()


# --- what must hold -----------------------------------------------------------------------------------------


def _judge_finality(ended: dict[str, str], runs: dict[str, dict[str, Any]], figures: Figures) -> None:
    changed = [run for run, status in ended.items() if run in runs and runs[run]["status"] != status]
    figures.breaches += [f"a final state changed: {run} was {ended[run]}" for run in changed]


def _judge_effects(world: World, runs: dict[str, dict[str, Any]], figures: Figures) -> None:
    told = world.sink.of(set(runs))
    statuses = Counter(run["status"] for run in runs.values())
    figures.more["statuses"] = dict(statuses)
    figures.more["starts"] = sum(one.what == "start" for one in told)
    figures.breaches += judge.effects(runs, told, [step for step in GRAPH_STEPS if step != "right"])
    twice = judge.started_twice(told, ONCE_STEPS)
    figures.duplicates = len(twice)
    figures.breaches += [f"at_most_once: {what}" for what in twice]
    figures.breaches += judge.keys(told)
    if statuses["succeeded"] < len(runs) / 2:
        figures.breaches.append(f"fewer than half of the runs succeeded: {dict(statuses)}")
    found = judge.takeovers(told, world.kills, ONCE_STEPS)
    figures.worst_takeover = max(found, default=0.0)
    figures.more["takeovers"] = len(found)
    if figures.worst_takeover > judge.TAKEOVER_SECONDS:
        figures.breaches.append(f"a takeover took {figures.worst_takeover:.1f} s")


async def _judge_unknown(world: World, runs: dict[str, dict[str, Any]], figures: Figures) -> None:
    """A run may only fail because a step of it is `unknown`; `right` may be so without failing the run."""
    effects = {(one.run, one.step) for one in world.sink.records if one.what == "effect"}
    for run, row in runs.items():
        if row["status"] == "succeeded" and (run, "right") in effects:
            continue
        steps = await world.client.steps(run)
        unknown = [key for key, step in steps.items() if step["status"] == "unknown"]
        figures.unknown += len(unknown)
        if not unknown:
            figures.breaches.append(f"{run} is {row['status']} ({row['error']}), and no step of it is unknown")
    bound = len(world.kills) * SLOTS
    if figures.unknown > bound:
        figures.breaches.append(f"{figures.unknown} unknown steps, more than kills x slots = {bound}")


async def _judge_lines(world: World, runs: dict[str, dict[str, Any]], figures: Figures) -> None:
    worst, cut = 0.0, 0
    readable: dict[str, list[int]] = defaultdict(list)
    for run in runs:
        for text in await world.client.log_lines(run):
            execution, _, number = text.partition(" ")
            if number.isdigit():
                readable[execution].append(int(number))
    for file in (world.folder / "said").iterdir():
        execution = file.name.split(".")[1]
        said, ended = _said(file)
        cut += not ended
        gap, breach = judge.log_prefix(said, ended, readable[execution])
        worst = max(worst, gap)
        if breach:
            figures.breaches.append(f"log of {file.name}: {breach}")
    figures.more |= {"cut_logs": cut, "worst_log_gap": round(worst, 2)}


def _said(file: Path) -> tuple[list[tuple[int, float]], bool]:
    lines = file.read_text().splitlines()
    ended = bool(lines) and lines[-1] == "end"
    pairs = [line.split() for line in (lines[:-1] if ended else lines)]
    return [(int(pair[0]), float(pair[1])) for pair in pairs if len(pair) == 2], ended
