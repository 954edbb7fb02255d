"""A `for_each` of ten thousand items in one run: steps a second, and what an item costs beside one of a hundred."""

from __future__ import annotations

import statistics

from benchmarks import documents
from benchmarks.harness import Goal, Metric, in_turn, metric
from benchmarks.peers import Celery, Dbos
from benchmarks.platform import Platform
from benchmarks.times import seconds_of

MANY, FEW, TIMES_FEW = 10_000, 100, 20
DBOS_STEPS = 1_000


def measure() -> list[Metric]:
    with Platform() as ours, Celery() as celery, Dbos() as dbos:
        ours.publish(documents.fan_out("fan"))
        for _ in range(5):
            _seconds(ours, FEW)
        celery.throughput(500)
        found = in_turn(
            {
                "many": lambda: MANY / _seconds(ours, MANY),
                "few": lambda: FEW / statistics.median(_seconds(ours, FEW) for _ in range(TIMES_FEW)),
                "celery": lambda: celery.throughput(MANY),
                "dbos": lambda: DBOS_STEPS / dbos.fan_out(DBOS_STEPS),
            }
        )
    many = [1e6 / rate for rate in found["many"]]
    few = [1e6 / rate for rate in found["few"]]
    return [
        metric("fanout_10000", "steps/s", Goal(40 * 95, True), found["many"], "celery", found["celery"]),
        metric("fanout_10000_dbos", "steps/s", Goal(1, True, True), found["many"], "dbos", found["dbos"]),
        metric("fanout_cost_of_an_item", "us", Goal(1.3, False, True), many, "ours, 100 items", few),
    ]


def _seconds(ours: Platform, items: int) -> float:
    return seconds_of(ours.run("fan", {"numbers": list(range(items))}))
