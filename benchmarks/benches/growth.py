"""What a million runs of history cost: throughput, a step, a page of the list and a start, beside ten thousand."""

from __future__ import annotations

from benchmarks import documents, seed
from benchmarks.harness import ROUNDS, Goal, Metric, metric, say
from benchmarks.platform import PORT, Platform
from benchmarks.process_tree import cpu_seconds
from benchmarks.times import seconds_of

FEW, MANY = 10_000, 1_000_000
RUNS, BULK, CONNECTIONS = 5_000, 500, 4
STEPS = 40
PAGES = [("GET", "/api/v1/runs?limit=50", None)]

Values = dict[str, list[float]]


def with_history(platform: Platform, count: int) -> None:
    """`count` ended runs of two flows; the platform is stopped for it and started again."""
    for flow in ("often", "seldom"):
        platform.publish(documents.one_step(flow, "nothing"))
    for _ in range(9):
        platform.run("often")
    platform.run("seldom")
    platform.stop()
    say(f"  {count} runs of history made in {seed.seed(platform.data, count):.0f} s")
    platform.start()


def measure() -> list[Metric]:
    with Platform() as small, Platform(PORT + 1) as large:
        for platform, count in ((small, FEW), (large, MANY)):
            with_history(platform, count)
            platform.publish(documents.sequence("short", STEPS, 10))
            for flow in ("bulk", "warm"):
                platform.publish(documents.one_step(flow, "nothing"))
            platform.load(kind="submit", flow="warm", count=1_000, bulk=100, connections=2)
        found: dict[str, Values] = {"small": {}, "large": {}}
        for number in range(ROUNDS):
            for name, platform in (("small", small), ("large", large)):
                for what, value in _measured(platform).items():
                    found[name].setdefault(what, []).append(value)
                last = ", ".join(f"{what} {values[-1]:.4g}" for what, values in found[name].items())
                say(f"  round {number + 1}, {name}: {last}")
    few, many, other = found["small"], found["large"], f"ours, {FEW:,} runs"
    return [
        metric("growth_throughput", "runs/s", Goal(0.8, True, True), many["runs"], other, few["runs"]),
        metric("growth_processor_of_a_run", "us", Goal(1.25, False, True), many["processor"], other, few["processor"]),
        metric("growth_step", "ms", Goal(1.25, False, True), many["step"], other, few["step"]),
        metric("growth_list_p50", "ms", Goal(1.25, False, True), many["list"], other, few["list"]),
        metric("growth_start", "s", Goal(2.5, False), many["start"], other, few["start"]),
    ]


def _measured(ours: Platform) -> dict[str, float]:
    ours.stop()
    start = ours.start()
    ours.load(kind="submit", flow="warm", count=1_000, bulk=100, connections=2)
    used = cpu_seconds(ours.pid)
    done = ours.load(kind="submit", flow="bulk", count=RUNS, bulk=BULK, connections=CONNECTIONS)
    used = cpu_seconds(ours.pid) - used
    steps = min(seconds_of(ours.run("short")) for _ in range(5))
    listed = ours.load(kind="ask", requests=PAGES, connections=1, count=200)
    return {
        "runs": RUNS / float(done["ended_seconds"]),
        "processor": used / RUNS * 1e6,
        "step": steps / STEPS * 1000,
        "list": float(listed["p50_ms"]),
        "start": start,
    }
