"""The peer Prefect, on its own server: reads one order as JSON from stdin, prints one result.

The flows run in this process, as a script of a user does, except those that are asked of a deployment.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from counting import fib, percentiles
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner


@task
def nothing(number: int) -> None:
    """Nothing."""


@task
def now() -> float:
    return time.time()


@task
def slow(n: int) -> int:
    return fib(n)


@flow
def one_step() -> None:
    nothing(0)


@flow
def stamped() -> float:
    return now()


@flow
def steps_of(steps: int, n: int) -> None:
    for _ in range(steps):
        slow(n)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=16))
def many(count: int) -> None:
    for future in [nothing.submit(number) for number in range(count)]:
        future.wait()


def _seconds(work: Any, *given: Any) -> dict[str, Any]:
    began = time.perf_counter()
    work(*given)
    return {"seconds": time.perf_counter() - began}


def throughput(count: int) -> dict[str, Any]:
    """Flow runs of one task, one after another."""
    one_step()
    return _seconds(lambda: [one_step() for _ in range(count)])


def latency(count: int, pause: float) -> dict[str, Any]:
    """From the call of the flow, in a process that has imported everything, to the first line of its task."""
    late = []
    stamped()
    for _ in range(count):
        time.sleep(pause)
        sent = time.time()
        late.append(stamped() - sent)
    return percentiles(late)


def sequence(steps: int, n: int) -> dict[str, Any]:
    return _seconds(steps_of, steps, n)


def fan_out(count: int) -> dict[str, Any]:
    return _seconds(many, count)


KINDS = {known.__name__: known for known in (throughput, latency, sequence, fan_out)}

if __name__ == "__main__":
    order = json.load(sys.stdin)
    result = KINDS[order.pop("kind")](**order)
    sys.stdout.write("\n" + json.dumps(result) + "\n")
