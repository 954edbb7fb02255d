"""The tasks of the peer Celery, and how they are counted. Runs in the peer's own environment."""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

from billiard import current_process
from celery import Celery
from celery.schedules import crontab

FOLDER = Path(os.environ["BENCH_FOLDER"])
COUNTS, STAMPS = FOLDER / "counts", FOLDER / "stamps"
PLACES = 64  # one counter for each child, so that none is shared

app = Celery("bench", broker=os.environ.get("BENCH_BROKER", "amqp://guest:guest@127.0.0.1:5672//"))
app.conf.task_default_queue = os.environ["BENCH_QUEUE"]
app.conf.task_ignore_result = True
app.conf.beat_schedule = {
    f"schedule-{number}": {"task": "celery_tasks.tick", "schedule": crontab(minute=os.environ["BENCH_MINUTES"])}
    for number in range(int(os.environ.get("BENCH_SCHEDULES", "0")))
}


def counters() -> mmap.mmap:
    if not COUNTS.exists():
        COUNTS.write_bytes(bytes(8 * PLACES))
    with COUNTS.open("r+b") as file:
        return mmap.mmap(file.fileno(), 8 * PLACES)


def counted(memory: mmap.mmap) -> int:
    return sum(struct.unpack(f"<{PLACES}Q", memory[: 8 * PLACES]))


_memory = counters()


def _count() -> None:
    place = 8 * (current_process().index % PLACES)
    struct.pack_into("<Q", _memory, place, struct.unpack_from("<Q", _memory, place)[0] + 1)


def _fib(n: int) -> int:
    return n if n < 2 else _fib(n - 1) + _fib(n - 2)


@app.task
def nothing() -> None:
    _count()


@app.task
def stamp(sent: float) -> None:
    """How long after `sent` the first line ran."""
    late = time.time() - sent
    with STAMPS.open("a") as file:
        file.write(f"{late}\n")
    _count()


@app.task
def tick() -> None:
    """How long after the full minute its first line ran."""
    late = time.time() % 60
    with STAMPS.open("a") as file:
        file.write(f"{late}\n")
    _count()


@app.task
def fib(n: int) -> int:
    value = _fib(n)
    _count()
    return value
