"""Ten thousand schedules due in the same second: when the last of their runs is stored, and that none is lost."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

from benchmarks import documents
from benchmarks.harness import Goal, Metric, metric, say
from benchmarks.peers import Celery
from benchmarks.platform import PATIENCE_SECONDS, Platform

SCHEDULES, CELERY_SCHEDULES = 10_000, 500
OURS, THEIRS = "*/2", "1-59/2"  # the minutes of each, so that they take turns
ROUNDS = 2
LOOK_SECONDS = 0.1
PUBLISHERS = 4

Lags = dict[str, list[float]]


def measure() -> list[Metric]:
    found: Lags = {"half": [], "all": [], "celery": []}
    with Platform() as ours, Celery() as celery:
        ours.publish(documents.one_step("warm", "nothing"))
        _publish(ours)
        beat = celery.begin_beat(CELERY_SCHEDULES, THEIRS)
        try:
            for number in range(ROUNDS):
                half, whole = _ours(ours)
                found["half"].append(half)
                found["all"].append(whole)
                found["celery"].append(_theirs(celery))
                say(f"  round {number + 1}: " + ", ".join(f"{name} {lags[-1]:.3g} s" for name, lags in found.items()))
        finally:
            beat.terminate()
            beat.wait(30)
    peer = f"celery beat, {CELERY_SCHEDULES} schedules"
    return [
        metric("schedules_10000", "s", Goal(3, False), found["all"], peer, found["celery"]),
        metric("schedules_10000_half", "s", Goal(3, False), found["half"]),
    ]


def _publish(ours: Platform) -> None:
    flows = [documents.scheduled(f"scheduled-{number}", "nothing", f"{OURS} * * * *") for number in range(SCHEDULES)]
    requests = [("PUT", f"/api/v1/flows/{flow['id']}", {"document": flow}) for flow in flows]
    done = ours.load(kind="ask", requests=requests, connections=PUBLISHERS, count=len(requests))
    say(f"  {SCHEDULES} flows published, {done['per_second']:.0f} a second")


def _due(remainder: int) -> float:
    """Waits for the next full minute whose number leaves this remainder; answers that instant."""
    minute = int(time.time() // 60) + 1
    due = 60.0 * (minute + (minute + remainder) % 2)
    time.sleep(due - time.time())
    return due


def _ours(ours: Platform) -> tuple[float, float]:
    """Seconds from the due instant until half of the runs are committed, and until all are."""
    with closing(sqlite3.connect(f"file:{ours.data / 'monjolo.db'}?mode=ro", uri=True)) as database:
        database.execute("PRAGMA query_only = 1")
        _until_quiet(database)
        (last,) = database.execute("SELECT COALESCE(MAX(id), '') FROM runs").fetchone()
        due = _due(0)
        lags: list[float] = []
        while time.time() < due + PATIENCE_SECONDS / 2 and len(lags) < 2:
            (count,) = database.execute("SELECT COUNT(*) FROM runs WHERE id > ?", (last,)).fetchone()
            while len(lags) < 2 and count >= SCHEDULES * (len(lags) + 1) // 2:
                lags.append(time.time() - due)
            time.sleep(LOOK_SECONDS)
        _until_quiet(database)
        ended = "SELECT COUNT(*), COUNT(DISTINCT flow_id), SUM(status = 'succeeded') FROM runs WHERE id > ?"
        if database.execute(ended, (last,)).fetchone() != (SCHEDULES, SCHEDULES, SCHEDULES):
            raise RuntimeError(f"of {SCHEDULES} runs there are {database.execute(ended, (last,)).fetchone()}")
    return lags[0], lags[1]


def _until_quiet(database: sqlite3.Connection) -> None:
    """Until no run is under way."""
    until = time.monotonic() + PATIENCE_SECONDS
    while database.execute("SELECT 1 FROM runs WHERE finished_at IS NULL LIMIT 1").fetchone():
        if time.monotonic() > until:
            raise RuntimeError("runs have not ended")
        time.sleep(1)


def _theirs(celery: Celery) -> float:
    """Seconds from the due instant until the last of Celery's tasks began."""
    celery.ticks()
    due = _due(1)
    time.sleep(due + 20 - time.time())
    lags = celery.ticks()
    if len(lags) != CELERY_SCHEDULES:
        raise RuntimeError(f"{len(lags)} of {CELERY_SCHEDULES} tasks began")
    return lags[-1]
