"""What the benchmarks run in the peer Airflow. This file is dropped into its folder of DAGs."""

from __future__ import annotations

import time

from airflow.sdk import dag, task
from airflow.sdk.bases.operator import chain


def _fib(n: int) -> int:
    return n if n < 2 else _fib(n - 1) + _fib(n - 2)


@task
def nothing() -> None:
    """Nothing."""


@task
def now() -> float:
    """The instant at which its first line ran, in seconds since the epoch."""
    return time.time()


@task
def fib(n: int) -> int:
    """The n-th Fibonacci number, the slow way."""
    return _fib(n)


@dag(dag_id="bench-nothing", schedule=None, is_paused_upon_creation=False)
def one_step() -> None:
    nothing()


@dag(dag_id="bench-now", schedule=None, is_paused_upon_creation=False)
def stamped() -> None:
    now()


@dag(dag_id="bench-fib-40-10", schedule=None, is_paused_upon_creation=False)
def sequence() -> None:
    chain(*(fib(10) for _ in range(40)))


one_step()
stamped()
sequence()
