"""Drives the peer Celery: reads one order as JSON from stdin, prints one result. Its worker runs beside it."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from celery import chain
from celery_tasks import STAMPS, app, counted, counters, fib, nothing, stamp

PATIENCE_SECONDS = 300.0
MEMORY = counters()


def wait_for(target: int, pause: float = 0.002) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while counted(MEMORY) < target:
        if time.monotonic() > until:
            raise RuntimeError(f"{counted(MEMORY)} of {target} tasks were done")
        time.sleep(pause)


def throughput(count: int) -> dict[str, Any]:
    """Produced one after another while the worker consumes."""
    target = counted(MEMORY) + count
    began = time.perf_counter()
    for _ in range(count):
        nothing.delay()
    wait_for(target)
    return {"seconds": time.perf_counter() - began}


def latency(count: int, pause: float) -> dict[str, Any]:
    STAMPS.unlink(missing_ok=True)
    target = counted(MEMORY)
    for _ in range(count):
        time.sleep(pause)
        target += 1
        stamp.delay(time.time())
    wait_for(target)
    late = sorted(float(line) for line in STAMPS.read_text().splitlines())
    return {"p50_ms": late[len(late) // 2] * 1000, "p99_ms": late[int(len(late) * 0.99)] * 1000}


def sequence(steps: int, n: int) -> dict[str, Any]:
    target = counted(MEMORY) + steps
    began = time.perf_counter()
    chain(*(fib.si(n) for _ in range(steps))).apply_async()
    wait_for(target, 0.0005)
    return {"seconds": time.perf_counter() - began}


def forget() -> dict[str, Any]:
    """Removes the queue."""
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete(app.conf.task_default_queue)
    return {}


KINDS = {"throughput": throughput, "latency": latency, "sequence": sequence, "forget": forget}

if __name__ == "__main__":
    order = json.load(sys.stdin)
    json.dump(KINDS[order.pop("kind")](**order), sys.stdout)
