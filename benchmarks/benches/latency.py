"""From the sending of the POST to the first line of the step, and to the 202, idle and under load."""

from __future__ import annotations

from typing import Any

from benchmarks import documents
from benchmarks.harness import ROUNDS, Goal, Metric, metric, say
from benchmarks.peers import Celery, Dbos
from benchmarks.platform import Platform, finish_load

SAMPLES, PAUSE = 300, 0.02
DBOS_SAMPLES = 100
LOAD_RUNS, LOAD_CONNECTIONS = 12_000, 32

Values = dict[str, list[float]]


def measure() -> list[Metric]:
    found: Values = {}
    with Platform() as ours, Celery() as celery, Dbos() as dbos:
        for flow, action in (("stamp", "now"), ("probe", "nothing"), ("load", "nothing")):
            ours.publish(documents.one_step(flow, action))
        first_lines(ours)
        celery.latency(50, PAUSE)
        for number in range(ROUNDS):
            _add(found, "first", first_lines(ours))
            _add(found, "celery", celery.latency(SAMPLES, PAUSE))
            _add(found, "dbos", dbos.latency(DBOS_SAMPLES, PAUSE))
            _add(found, "busy", _busy(ours))
            say(f"  round {number + 1}: " + ", ".join(f"{name} {values[-1]:.3g}" for name, values in found.items()))
    return [
        metric("latency_p50", "ms", Goal(3, False), found["first_p50"], "celery", found["celery_p50"]),
        metric("latency_p99", "ms", Goal(10, False), found["first_p99"], "celery", found["celery_p99"]),
        metric("latency_p50_dbos", "ms", Goal(3, False), found["first_p50"], "dbos", found["dbos_p50"]),
        metric("latency_p99_dbos", "ms", Goal(10, False), found["first_p99"], "dbos", found["dbos_p99"]),
        metric("accepted_p50", "ms", Goal(3, False), found["first_accepted_p50"]),
        metric("accepted_p99", "ms", Goal(10, False), found["first_accepted_p99"]),
        metric("accepted_under_load_p99", "ms", Goal(50, False), found["busy_p99"]),
    ]


def _add(found: Values, name: str, measured: dict[str, Any]) -> None:
    for key, value in measured.items():
        if key.endswith("_ms"):
            found.setdefault(f"{name}_{key.removesuffix('_ms')}", []).append(float(value))


def first_lines(ours: Platform) -> dict[str, float]:
    """POST to first line, by the step's own clock, which is this machine's."""
    done = ours.load(kind="probe", flow="stamp", count=SAMPLES, pause=PAUSE)
    late = sorted(_output(ours, run) - sent for run, sent in done["sent"])
    return {
        "p50_ms": late[len(late) // 2] * 1000,
        "p99_ms": late[int(len(late) * 0.99)] * 1000,
        "accepted_p50_ms": done["p50_ms"],
        "accepted_p99_ms": done["p99_ms"],
    }


def _output(ours: Platform, run: str) -> float:
    return float(ours.call("GET", f"/api/v1/runs/{run}/steps/only")["output"])


def _busy(ours: Platform) -> dict[str, Any]:
    """The time to the 202 for one caller while 32 others send as fast as they are answered."""
    load = ours.begin_load(kind="submit", flow="load", count=LOAD_RUNS, bulk=0, connections=LOAD_CONNECTIONS)
    probed = ours.load(kind="probe", flow="probe", count=100, pause=PAUSE)
    if load.poll() is not None:
        raise RuntimeError("the load ended before the probe; raise LOAD_RUNS")
    finish_load(load)
    return probed
