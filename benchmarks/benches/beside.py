"""Monjolo beside one more peer, whatever of the usual rows that peer can do: `make bench NAME=n8n`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import documents
from benchmarks.benches.latency import first_lines
from benchmarks.harness import ROUNDS, Goal, Metric, in_turn, metric, say
from benchmarks.peers import absent
from benchmarks.peers_airflow import Airflow
from benchmarks.peers_n8n import N8n
from benchmarks.peers_prefect import Prefect
from benchmarks.peers_queues import Dramatiq, Procrastinate, Taskiq
from benchmarks.platform import Platform
from benchmarks.process_tree import pss_mib
from benchmarks.times import seconds_of

RUNS, BULK, CONNECTIONS = 5_000, 500, 4
ITEMS = 10_000
SETTLE_SECONDS = 5
SEQUENCES = ((40, 10), (10, 33))


@dataclass(frozen=True, slots=True)
class Beside:
    """How much of everything is asked of a peer, and what was promised."""

    make: Callable[[], Any]
    units: int  # of throughput
    samples: int = 100
    pause: float = 0.02
    throughput: Goal | None = None
    fan_out: int = 0  # tasks in one flow
    sequences: tuple[tuple[int, int], ...] = SEQUENCES
    rounds: int = ROUNDS  # 1 for one that takes minutes


PEERS = {
    "dramatiq": Beside(Dramatiq, 3_000),
    "taskiq": Beside(Taskiq, 1_000),
    "procrastinate": Beside(Procrastinate, 500, sequences=SEQUENCES[:1]),
    "n8n": Beside(N8n, 150, samples=50, throughput=Goal(100, True, True)),
    "prefect": Beside(Prefect, 20, samples=20, fan_out=100),
    "airflow": Beside(Airflow, 10, samples=5, sequences=SEQUENCES[:1], rounds=1),
}

Found = dict[str, list[float]]


def measure(name: str) -> list[Metric]:
    order = PEERS[name]
    with Platform() as ours, absent(name, order.make) as peer:
        if peer is None:
            return []
        _prepare(ours)
        metrics = _throughput(ours, peer, name, order) + _fan_out(ours, peer, name, order)
        metrics += _latency(ours, peer, name, order) + _sequences(ours, peer, name, order)
        return metrics + _footprint(ours, peer, name, order)


def _prepare(ours: Platform) -> None:
    for flow, action in (("stamp", "now"), ("bulk", "nothing")):
        ours.publish(documents.one_step(flow, action))
    ours.publish(documents.fan_out("fan"))
    for steps, n in SEQUENCES:
        ours.publish(documents.sequence(f"fib-{steps}-{n}", steps, n))
        ours.run(f"fib-{steps}-{n}")
    ours.load(kind="submit", flow="bulk", count=1_000, bulk=100, connections=2)


def _throughput(ours: Platform, peer: Any, name: str, order: Beside) -> list[Metric]:
    def rate() -> float:
        done = ours.load(kind="submit", flow="bulk", count=RUNS, bulk=BULK, connections=CONNECTIONS)
        return RUNS / float(done["ended_seconds"])

    found = in_turn({"ours": rate, name: lambda: peer.throughput(order.units)}, order.rounds)
    return [metric(f"throughput_bulk_{name}", "runs/s", order.throughput, found["ours"], name, found[name])]


def _fan_out(ours: Platform, peer: Any, name: str, order: Beside) -> list[Metric]:
    if not order.fan_out:
        return []
    numbers = {"numbers": list(range(ITEMS))}
    found = in_turn(
        {
            "ours": lambda: ITEMS / seconds_of(ours.run("fan", numbers)),
            name: lambda: peer.fan_out(order.fan_out),
        },
        order.rounds,
    )
    goal = Goal(40, True, True)
    return [metric(f"fanout_10000_{name}", "steps/s", goal, found["ours"], name, found[name])]


def _latency(ours: Platform, peer: Any, name: str, order: Beside) -> list[Metric]:
    found: Found = {}
    for number in range(order.rounds):
        for which, late in (("ours", first_lines(ours)), (name, peer.latency(order.samples, order.pause))):
            for key in ("p50_ms", "p99_ms"):
                found.setdefault(f"{which} {key}", []).append(float(late[key]))
        say(f"  round {number + 1}: " + ", ".join(f"{key} {values[-1]:.3g}" for key, values in found.items()))
    return [
        metric(f"latency_{p}_{name}", "ms", goal, found[f"ours {p}_ms"], name, found[f"{name} {p}_ms"])
        for p, goal in (("p50", Goal(3, False)), ("p99", Goal(10, False)))
    ]


def _sequences(ours: Platform, peer: Any, name: str, order: Beside) -> list[Metric]:
    metrics = []
    for steps, n in order.sequences:

        def took(steps: int = steps, n: int = n) -> float:
            began = time.perf_counter()
            ours.run(f"fib-{steps}-{n}")
            return time.perf_counter() - began

        def theirs(steps: int = steps, n: int = n) -> float:
            return float(peer.sequence(steps, n))

        if order.rounds > 1:
            theirs()
        found = in_turn({"ours": took, name: theirs}, order.rounds)
        metrics.append(metric(f"sequence_{steps}_fib_{n}_{name}", "s", None, found["ours"], name, found[name]))
    return metrics


def _footprint(ours: Platform, peer: Any, name: str, order: Beside) -> list[Metric]:
    """Memory a moment after the work, then the start on the data that is there."""
    time.sleep(SETTLE_SECONDS)
    memory = pss_mib(ours.pid), pss_mib(peer.pid)

    def again(one: Any) -> float:
        one.stop()
        return float(one.start())

    found = in_turn({"ours": lambda: again(ours), name: lambda: again(peer)}, min(2, order.rounds))
    return [
        metric(f"memory_after_work_{name}", "MiB", None, [memory[0]], name, [memory[1]]),
        metric(f"second_start_{name}", "s", Goal(2.5, False), found["ours"], name, found[name]),
    ]
