"""Memory and processor time at rest, time to ready, and from a saved module file to the first run of its action."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks import documents
from benchmarks.harness import Goal, Metric, in_turn, metric
from benchmarks.peers import Celery, Dbos
from benchmarks.platform import Platform
from benchmarks.process_tree import cpu_seconds, pss_mib

SETTLE_SECONDS, IDLE_SECONDS = 5, 30
MODULE = """from monjolo_sdk import Module

module = Module("saved{number}", version="1.0.0")


@module.action()
def hello() -> str:
    return "hello"
"""


def measure() -> list[Metric]:
    ours = _ours()
    with Celery() as celery, Dbos() as dbos:
        process, dbos_start = dbos.begin_idle()
        time.sleep(SETTLE_SECONDS)
        dbos_memory, celery_memory = pss_mib(process.pid), pss_mib(celery.pid)
        cpu = _share(celery.pid)
        dbos.end_idle(process)
        celery.stop()
        celery_start = celery.start()
    return [
        metric("idle_memory", "MiB", Goal(150, False), ours["memory"], "celery", [celery_memory]),
        metric("idle_memory_dbos", "MiB", Goal(150, False), ours["memory"], "dbos", [dbos_memory]),
        metric("idle_processor", "% of a core", Goal(0.5, False), ours["processor"], "celery", [cpu]),
        metric("first_start", "s", Goal(2.5, False), ours["first_start"], "celery", [celery_start]),
        metric("second_start", "s", Goal(2.5, False), ours["second_start"], "dbos", [dbos_start]),
        metric("module_saved_to_run", "s", Goal(1.0, False), ours["module"]),
    ]


def _ours() -> dict[str, list[float]]:
    first = []
    for _ in range(2):
        with Platform(start=False) as fresh:
            first.append(fresh.start())
    with Platform(start=False) as platform:
        first.append(platform.start())
        platform.publish(documents.one_step("nothing", "nothing"))
        platform.run("nothing")
        time.sleep(SETTLE_SECONDS)
        found = {"memory": [pss_mib(platform.pid)], "processor": [_share(platform.pid)], "first_start": first}
        numbers = iter(range(100))
        module: Callable[[], float] = lambda: _saved(platform, next(numbers))  # noqa: E731
        found["module"] = in_turn({"module": module})["module"]
        found["second_start"] = in_turn({"start": lambda: _again(platform)})["start"]
    return found


def _share(pid: int) -> float:
    """Processor time in percent of one core while nothing is asked."""
    before = cpu_seconds(pid)
    time.sleep(IDLE_SECONDS)
    return (cpu_seconds(pid) - before) / IDLE_SECONDS * 100


def _saved(platform: Platform, number: int) -> float:
    """Seconds from the saved file to the end of a run of its action."""
    document = documents.one_step(f"saved-{number}", "hello")
    document["steps"][0]["uses"] = f"saved{number}/hello"
    began = time.perf_counter()
    (platform.data / "modules" / f"saved{number}.py").write_text(MODULE.format(number=number))
    platform.publish(document)
    platform.run(f"saved-{number}")
    return time.perf_counter() - began


def _again(platform: Platform) -> float:
    platform.stop()
    return platform.start()
