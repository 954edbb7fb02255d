"""What a computation of ten seconds takes that prints twenty thousand lines a second, beside the silent one."""

from __future__ import annotations

import time

from benchmarks import documents
from benchmarks.harness import Goal, Metric, in_turn, metric
from benchmarks.platform import Platform
from benchmarks.times import seconds_of

SECONDS, LINES_PER_SECOND = 10, 20_000
LINES = SECONDS * LINES_PER_SECOND
LIMIT = {"MONJOLO_STEP_LOG_LIMIT": "64MiB"}  # 200,000 lines are more than what a step keeps by default


def measure() -> list[Metric]:
    spins = _spins()
    with Platform(settings=LIMIT) as ours:
        ours.publish(documents.computation("compute"))
        _computed(ours, 1_000, spins, True)
        found = in_turn(
            {
                "silent": lambda: _computed(ours, LINES, spins, False),
                "loud": lambda: _computed(ours, LINES, spins, True),
            }
        )
    return [
        metric("logs_20000_lines_a_second", "s", Goal(1.1, False, True), found["loud"], "ours, silent", found["silent"])
    ]


def _spins() -> int:
    """Turns of arithmetic that take a processor of this machine the time between two lines."""
    best = 1.0
    for _ in range(5):
        value, began = 0, time.thread_time()
        for turn in range(200_000):
            value += turn ^ 1
        best = min(best, (time.thread_time() - began) / 200_000)
    return max(1, round(1 / LINES_PER_SECOND / best))


def _computed(ours: Platform, lines: int, spins: int, loud: bool) -> float:
    """Seconds of the run, whose log must be whole."""
    run = ours.run("compute", {"lines": lines, "spins": spins, "loud": loud})
    text = ours.text(f"/api/v1/runs/{run['id']}/logs/download")
    said = [line for line in text.splitlines() if " of a computation " in line]
    numbers = [int(line.partition(" of a computation ")[0].rpartition(" ")[2]) for line in said]
    if numbers != (list(range(lines)) if loud else []):
        raise RuntimeError(f"{len(numbers)} lines of {lines} were kept, or not in their order")
    return seconds_of(run)
