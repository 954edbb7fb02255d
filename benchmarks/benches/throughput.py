"""Runs of one step a second, from the API to the stored end, beside Celery's live no-op tasks and DBOS."""

from __future__ import annotations

from benchmarks import documents
from benchmarks.harness import Goal, Metric, in_turn, metric
from benchmarks.peers import Celery, Dbos
from benchmarks.platform import Platform

RUNS, BULK, BULK_CONNECTIONS = 5_000, 500, 4
SINGLE_RUNS, CONNECTIONS = 3_000, 32
CELERY_TASKS, DBOS_RUNS = 3_000, 200
IN_TURN = 5


def measure() -> list[Metric]:
    with Platform() as ours, Celery() as celery, Dbos() as dbos:
        for flow in ("bulk", "single", "warm"):
            ours.publish(documents.one_step(flow, "nothing"))
        ours.load(kind="submit", flow="warm", count=1_000, bulk=100, connections=2)
        celery.throughput(500)
        found = in_turn(
            {
                "bulk": lambda: _rate(ours, "bulk", RUNS, BULK, BULK_CONNECTIONS),
                "celery": lambda: celery.throughput(CELERY_TASKS),
                "single": lambda: _rate(ours, "single", SINGLE_RUNS, 0, CONNECTIONS),
                "dbos": lambda: dbos.throughput(DBOS_RUNS),
            },
            IN_TURN,
        )
        _all_succeeded(ours)
    times = found["celery"], found["dbos"]
    return [
        metric("throughput_bulk", "runs/s", Goal(2.5, True, True), found["bulk"], "celery", times[0]),
        metric("throughput_bulk_dbos", "runs/s", Goal(40, True, True), found["bulk"], "dbos", times[1]),
        metric("throughput_single", "runs/s", Goal(1.2, True, True), found["single"], "celery", times[0]),
    ]


def _rate(ours: Platform, flow: str, count: int, bulk: int, connections: int) -> float:
    done = ours.load(kind="submit", flow=flow, count=count, bulk=bulk, connections=connections)
    return count / float(done["ended_seconds"])


def _all_succeeded(ours: Platform) -> None:
    """A fast way to fail would be no throughput."""
    for flow in ("bulk", "single"):
        page = ours.call("GET", f"/api/v1/runs?flow={flow}&status=failed,crashed,timed_out,cancelled&limit=1")
        if page["items"] or ours.succeeded(flow) < 10_000:
            raise RuntimeError(f"not every run of {flow} succeeded")
