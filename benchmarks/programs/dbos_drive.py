"""The peer DBOS, a library in one process: reads one order as JSON from stdin, prints one result."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from dbos import DBOS

FOLDER = os.environ["BENCH_FOLDER"]


def _fib(n: int) -> int:
    return n if n < 2 else _fib(n - 1) + _fib(n - 2)


@DBOS.step()
def nothing() -> None:
    pass


@DBOS.step()
def now() -> float:
    return time.time()


@DBOS.step()
def fib(n: int) -> int:
    return _fib(n)


@DBOS.workflow()
def one_step() -> None:
    nothing()


@DBOS.workflow()
def stamped() -> float:
    return now()


@DBOS.workflow()
def steps_of(count: int, n: int) -> None:
    for _ in range(count):
        fib(n)


@DBOS.workflow()
def many(count: int) -> None:
    for _ in range(count):
        nothing()


def throughput(count: int) -> dict[str, Any]:
    """Workflows of one step, started without waiting; until all are stored as done."""
    began = time.perf_counter()
    handles = [DBOS.start_workflow(one_step) for _ in range(count)]
    for handle in handles:
        handle.get_result()
    return {"seconds": time.perf_counter() - began}


def latency(count: int, pause: float) -> dict[str, Any]:
    late = []
    for _ in range(count):
        time.sleep(pause)
        sent = time.time()
        late.append(DBOS.start_workflow(stamped).get_result() - sent)
    late.sort()
    return {"p50_ms": late[len(late) // 2] * 1000, "p99_ms": late[int(len(late) * 0.99)] * 1000}


def sequence(steps: int, n: int) -> dict[str, Any]:
    began = time.perf_counter()
    steps_of(steps, n)
    return {"seconds": time.perf_counter() - began}


def fan_out(count: int) -> dict[str, Any]:
    """That many steps in one workflow."""
    began = time.perf_counter()
    many(count)
    return {"seconds": time.perf_counter() - began}


def idle(ready: str, stop: str) -> dict[str, Any]:
    """Says when it is ready and stays until told."""
    Path(ready).touch()
    while not Path(stop).exists():
        time.sleep(0.1)
    return {}


KINDS = {"throughput": throughput, "latency": latency, "sequence": sequence, "fan_out": fan_out, "idle": idle}

if __name__ == "__main__":
    order = json.load(sys.stdin)
    kind = order.pop("kind")
    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{FOLDER}/dbos.sqlite", "log_level": "ERROR"})
    DBOS.launch()
    one_step()
    result = KINDS[kind](**order)
    DBOS.destroy()
    json.dump(result, sys.stdout)
