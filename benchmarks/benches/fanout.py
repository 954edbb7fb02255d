"""A `for_each` of ten thousand items in one run: steps a second, and what an item costs beside one of a hundred."""

from __future__ import annotations

from benchmarks import documents
from benchmarks.harness import Goal, Metric, in_turn, metric
from benchmarks.peers import Celery, Dbos
from benchmarks.platform import Platform
from benchmarks.process_tree import cpu_seconds
from benchmarks.times import seconds_of

MANY, FEW, TIMES_FEW = 10_000, 100, 40
DBOS_STEPS = 1_000


def measure() -> list[Metric]:
    with Platform() as ours, Celery() as celery, Dbos() as dbos:
        ours.publish(documents.fan_out("fan"))
        for _ in range(5):
            _measured(ours, FEW, 1)
        celery.throughput(500)
        processor: dict[str, list[float]] = {"many": [], "few": []}

        def item(name: str, items: int, times: int) -> float:
            seconds, used = _measured(ours, items, times)
            processor[name].append(used * 1e6)
            return seconds * 1e6

        found = in_turn(
            {
                "many": lambda: item("many", MANY, 1),
                "few": lambda: item("few", FEW, TIMES_FEW),
                "celery": lambda: celery.throughput(MANY),
                "dbos": lambda: DBOS_STEPS / dbos.fan_out(DBOS_STEPS),
            }
        )
    rates = [1e6 / cost for cost in found["many"]]
    other = "ours, 100 items"
    return [
        metric("fanout_10000", "steps/s", Goal(40 * 95, True), rates, "celery", found["celery"]),
        metric("fanout_10000_dbos", "steps/s", Goal(1, True, True), rates, "dbos", found["dbos"]),
        metric("fanout_cost_of_an_item", "us", Goal(1.3, False, True), found["many"], other, found["few"]),
        metric("fanout_processor_of_an_item", "us", Goal(1.3, False, True), processor["many"], other, processor["few"]),
    ]


def _measured(ours: Platform, items: int, times: int) -> tuple[float, float]:
    """For one item: seconds from the run's acceptance to its end, and seconds of processor time of all processes."""
    used = cpu_seconds(ours.pid)
    seconds = sum(seconds_of(ours.run("fan", {"numbers": list(range(items))})) for _ in range(times))
    return seconds / (items * times), (cpu_seconds(ours.pid) - used) / (items * times)
