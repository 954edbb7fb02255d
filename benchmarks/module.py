"""What the benchmarks run in our platform. This file is dropped into its modules folder as `bench.py`."""

from __future__ import annotations

import time

from monjolo_sdk import Context, Module

module = Module("bench", version="1.0.0", title="Benchmarks")


def _fib(n: int) -> int:
    return n if n < 2 else _fib(n - 1) + _fib(n - 2)


@module.action(effects="read")
def nothing(ctx: Context) -> None:
    """Nothing, with one line of log."""
    ctx.log.info("done")


@module.action(effects="read")
def item(value: int) -> None:
    """Nothing with an item of a fan-out."""


@module.action(effects="read")
def now() -> float:
    """The instant at which its first line ran, in seconds since the epoch."""
    return time.time()


@module.action(effects="read")
def fib(n: int) -> int:
    """The n-th Fibonacci number, the slow way."""
    return _fib(n)


@module.action(effects="read")
def compute(lines: int, spins: int, loud: bool) -> int:
    """`lines` times `spins` turns of arithmetic; when `loud` with a printed line after each."""
    value = 0
    for line in range(lines):
        for turn in range(spins):
            value += turn ^ line
        said = f"line {line} of a computation that tells how far it is"
        if loud:
            print(said)
    return value
