"""Forty short steps one after another, and ten long ones, in sequence and side by side, beside the bare function."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks import documents
from benchmarks.harness import Goal, Metric, in_turn, metric
from benchmarks.peers import Celery, Dbos
from benchmarks.platform import Platform

SHORT_STEPS, SHORT = 40, 10
LONG_STEPS, LONG = 10, 33
BARE = """
import time
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
began = time.perf_counter()
for _ in range({steps}): fib({n})
print(time.perf_counter() - began)
"""


def measure() -> list[Metric]:
    with Platform() as ours, Celery() as celery, Dbos() as dbos:
        ours.publish(documents.sequence("short", SHORT_STEPS, SHORT))
        ours.publish(documents.sequence("long", LONG_STEPS, LONG))
        ours.publish(documents.side_by_side("wide", LONG_STEPS, LONG))
        for _ in range(3):
            _seconds(ours, "short")
        celery.sequence(SHORT_STEPS, SHORT)
        short = in_turn(
            {
                "ours": lambda: _seconds(ours, "short"),
                "celery": lambda: celery.sequence(SHORT_STEPS, SHORT),
                "dbos": lambda: dbos.sequence(SHORT_STEPS, SHORT),
            },
            rounds=7,
        )
        long = in_turn(
            {
                "sequence": lambda: _seconds(ours, "long"),
                "bare": _bare,
                "parallel": lambda: _seconds(ours, "wide"),
            }
        )
    return [
        metric("sequence_40_fib_10", "s", Goal(1.0, False, True), short["ours"], "celery", short["celery"]),
        metric("sequence_40_fib_10_dbos", "s", Goal(1.0, False, True), short["ours"], "dbos", short["dbos"]),
        metric("sequence_10_fib_33", "s", Goal(1.05, False, True), long["sequence"], "bare loop", long["bare"]),
        metric("parallel_10_fib_33", "s", Goal(0.55, False, True), long["parallel"], "bare loop", long["bare"]),
    ]


def _seconds(ours: Platform, flow: str) -> float:
    """As the caller sees it: from the POST to the answer that it has ended."""
    began = time.perf_counter()
    ours.run(flow)
    return time.perf_counter() - began


def _bare() -> float:
    """The function in a loop in the same Python, with nothing around it."""
    script = BARE.format(steps=LONG_STEPS, n=LONG)
    return float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
