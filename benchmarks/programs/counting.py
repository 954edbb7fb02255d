"""What the programs of the peers share: how tasks are counted over processes, their stamps, the function they run."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["BENCH_FOLDER"])
COUNTS, STAMPS = FOLDER / "done", FOLDER / "stamps"
PATIENCE_SECONDS = 300.0
_done = os.open(COUNTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def count() -> None:
    """One task more is done: a byte at the end of a file, which needs no lock between processes."""
    os.write(_done, b".")


def counted() -> int:
    return os.fstat(_done).st_size


def wait_for(target: int, pause: float = 0.002) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while counted() < target:
        if time.monotonic() > until:
            raise RuntimeError(f"{counted()} of {target} tasks were done")
        time.sleep(pause)


def stamp(sent: float) -> None:
    """How long after `sent` the first line ran; a task like any other."""
    late = time.time() - sent
    with STAMPS.open("a") as file:
        file.write(f"{late}\n")
    count()


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def percentiles(late: list[float]) -> dict[str, float]:
    late = sorted(late)
    return {"p50_ms": late[len(late) // 2] * 1000, "p99_ms": late[int(len(late) * 0.99)] * 1000}


class Queue:
    """The orders that every queue of tasks takes, by how it sends a task."""

    def __init__(
        self,
        nothing: Callable[[], Any],
        stamped: Callable[[float], Any],
        chain: Callable[[int, int], Any],
        forget: Callable[[], Any],
    ) -> None:
        self._nothing, self._stamped, self._chain, self._forget = nothing, stamped, chain, forget

    def throughput(self, count: int) -> dict[str, Any]:
        """Produced one after another while the worker consumes."""
        target = counted() + count
        began = time.perf_counter()
        for _ in range(count):
            self._nothing()
        wait_for(target)
        return {"seconds": time.perf_counter() - began}

    def latency(self, count: int, pause: float) -> dict[str, Any]:
        STAMPS.unlink(missing_ok=True)
        target = counted()
        for _ in range(count):
            time.sleep(pause)
            target += 1
            self._stamped(time.time())
        wait_for(target)
        return percentiles([float(line) for line in STAMPS.read_text().splitlines()])

    def sequence(self, steps: int, n: int) -> dict[str, Any]:
        target = counted() + steps
        began = time.perf_counter()
        self._chain(steps, n)
        wait_for(target, 0.0005)
        return {"seconds": time.perf_counter() - began}

    def forget(self) -> dict[str, Any]:
        """Removes what the tasks left in the broker."""
        self._forget()
        return {}

    def serve(self) -> None:
        """One order from stdin, one result to stdout."""
        order = json.load(sys.stdin)
        orders = (self.throughput, self.latency, self.sequence, self.forget)
        kinds = {known.__name__: known for known in orders}
        json.dump(kinds[order.pop("kind")](**order), sys.stdout)
