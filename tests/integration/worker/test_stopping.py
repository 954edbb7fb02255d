"""Time-outs and cancels: whatever the step has started is gone before its end is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from monjolo.worker.worker import Worker, WorkerSettings
from monjolo_sdk.wire import Cancel, Finished, Released, Started

from .conftest import StartWorker
from .fakes import FakeBroker, task

SECOND = 1_000_000


def alive(marker: str) -> list[int]:
    """Processes that carry the marker in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"WORKER_TEST_MARKER={marker}".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


async def test_at_its_time_out_a_step_leaves_no_process(
    worker: Worker, broker: FakeBroker, request: pytest.FixtureRequest
) -> None:
    marker = f"time-out-{time.time_ns()}"
    one = task("scatter_and_stay", {"marker": marker}, timeout=1 * SECOND)
    broker.put(one)
    await broker.until(lambda: len(alive(marker)) >= 3)
    finished = await broker.finished(one, 10)
    assert finished.status == "timed_out"
    assert alive(marker) == []


async def test_after_a_cancel_a_step_leaves_no_process(worker: Worker, broker: FakeBroker) -> None:
    marker = f"cancel-{time.time_ns()}"
    one = task("scatter_and_stay", {"marker": marker})
    broker.put(one)
    await broker.until(lambda: len(alive(marker)) >= 3)
    broker.orders.put_nowait(Cancel(one.run_id, one.key, one.token, grace=SECOND // 2))
    finished = await broker.finished(one, 10)
    assert finished.status == "cancelled"
    assert alive(marker) == []


async def test_a_step_that_heeds_its_cancel_but_left_processes_leaves_none(worker: Worker, broker: FakeBroker) -> None:
    marker = f"heed-{time.time_ns()}"
    one = task("scatter_and_heed", {"marker": marker})
    broker.put(one)
    await broker.until(lambda: len(alive(marker)) >= 3)
    broker.orders.put_nowait(Cancel(one.run_id, one.key, one.token))
    assert (await broker.finished(one, 10)).status in ("cancelled", "succeeded")
    assert alive(marker) == []


async def test_an_async_step_at_its_time_out_leaves_no_process_and_its_neighbour_may_finish(
    worker: Worker, broker: FakeBroker
) -> None:
    marker = f"async-{time.time_ns()}"
    one = task("scatter_and_wait", {"marker": marker}, timeout=SECOND // 2)
    neighbour = task("async_nap", {"seconds": 1.0})
    broker.put(one, neighbour)
    assert (await broker.finished(one, 10)).status == "timed_out"
    assert alive(marker) == []
    assert (await broker.finished(neighbour)).status == "succeeded"


async def test_an_endless_loop_is_ended_and_those_behind_it_go_back(start: StartWorker, broker: FakeBroker) -> None:
    await start(WorkerSettings(slots=1))
    one = task("loop_for_ever", timeout=SECOND // 2)
    behind = [task("noop") for _ in range(3)]
    broker.put(one, *behind)
    assert (await broker.finished(one, 10)).status == "timed_out"
    for other in behind:
        await broker.until(lambda other=other: broker.of(other))
        assert [type(report) for report in broker.of(other)] == [Released]
    again = task("noop")
    broker.put(again)
    assert (await broker.finished(again)).status == "succeeded"


async def test_a_time_out_counts_from_the_real_begin(start: StartWorker, broker: FakeBroker) -> None:
    await start(WorkerSettings(slots=1))
    tasks = [task("nap", {"seconds": 0.15}, timeout=int(0.4 * SECOND)) for _ in range(5)]
    broker.put(*tasks)
    assert [(await broker.finished(one)).status for one in tasks] == ["succeeded"] * 5


async def test_a_step_that_looks_at_cancelled_ends_by_itself(worker: Worker, broker: FakeBroker) -> None:
    one, after = task("until_cancelled"), task("pid")
    broker.put(one)
    await broker.until(lambda: broker.of(one, Started))
    broker.orders.put_nowait(Cancel(one.run_id, one.key, one.token))
    assert (await broker.finished(one)).status == "cancelled"
    assert worker.stats().warm_runners == 1, "nothing was left, so nothing had to be killed"
    broker.put(after)
    await broker.finished(after)


async def test_a_cancel_of_what_has_not_begun_does_not_let_it_begin(
    start: StartWorker, broker: FakeBroker, tmp_path: Path
) -> None:
    await start(WorkerSettings(slots=1))
    mark = tmp_path / "mark"
    first = task("nap", {"seconds": 0.5}, alone=True)
    second = task("nap", {"seconds": 0.0, "mark": str(mark)}, alone=True)
    broker.put(first)
    broker.put(second)
    await broker.until(lambda: broker.messages.empty())
    broker.orders.put_nowait(Cancel(second.run_id, second.key, second.token))
    assert (await broker.finished(second)).status == "cancelled"
    await broker.finished(first)
    assert not mark.exists()


async def test_neighbours_in_a_killed_runner_crash_when_begun(worker: Worker, broker: FakeBroker) -> None:
    neighbour = task("async_nap", {"seconds": 30.0})
    one = task("loop_for_ever", timeout=SECOND)
    broker.put(neighbour, one)
    assert (await broker.finished(one, 10)).status == "timed_out"
    finished = await broker.finished(neighbour)
    assert finished.status == "crashed"
    assert finished.error is not None
    assert "stopped" in finished.error.message


WORKER_PROGRAM = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.integration.worker.fakes import FakeBroker, FakeDoor, task
from monjolo.worker.worker import Worker, WorkerSettings

async def main():
    broker = FakeBroker()
    worker = Worker(broker, FakeDoor(Path(sys.argv[2])), WorkerSettings(slots=1))
    await worker.start()
    broker.put(task("scatter_and_stay", {"marker": sys.argv[3]}))
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_when_the_worker_is_killed_everything_below_it_goes(broker: FakeBroker) -> None:
    marker = f"worker-{time.time_ns()}"
    here = Path(__file__).parent
    command = [sys.executable, "-c", WORKER_PROGRAM, str(here.parents[2]), str(here / "bundles"), marker]
    program = subprocess.Popen(command)  # noqa: ASYNC220 the test is about this process
    try:
        await broker.until(lambda: len(alive(marker)) >= 3, 20)
    finally:
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
    await broker.until(lambda: alive(marker) == [], 10)


async def test_drain_lets_the_begun_finish_and_gives_the_others_back(start: StartWorker, broker: FakeBroker) -> None:
    worker = await start(WorkerSettings(slots=1))
    begun = task("nap", {"seconds": 1.2}, alone=True)
    waiting = task("nap", {"seconds": 1.2}, alone=True)
    broker.put(begun)
    broker.put(waiting)
    await broker.until(lambda: worker.stats().running == 1 and worker.stats().held == 2)
    assert not await worker.drain(0.1) or broker.of(begun, Finished)
    assert [type(report) for report in broker.of(waiting)] == [Released]
    assert (await broker.finished(begun)).status == "succeeded"
    assert await worker.drain(0.1)
