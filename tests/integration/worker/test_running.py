"""What becomes of tasks that behave."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path

import pytest

from monjolo.worker.worker import Worker, WorkerSettings
from monjolo_sdk.wire import Finished, Released, Started

from .conftest import StartWorker
from .fakes import FakeBroker, FakeDoor, task


async def test_a_task_is_run_and_its_message_acknowledged(worker: Worker, broker: FakeBroker) -> None:
    one = task("echo", {"value": "olá"})
    message = broker.put(one)
    finished = await broker.finished(one)
    assert (finished.status, finished.output) == ("succeeded", {"value": "olá"})
    assert finished.started_at <= finished.at
    await broker.until(lambda: broker.acknowledged == [message.id])
    assert worker.stats().held == 0


async def test_a_message_of_many_is_acknowledged_once_after_all_are_reported(
    worker: Worker, broker: FakeBroker
) -> None:
    tasks = [task("noop") for _ in range(32)]
    message = broker.put(*tasks)
    for one in tasks:
        assert (await broker.finished(one)).status == "succeeded"
    await broker.until(lambda: broker.acknowledged)
    assert broker.acknowledged == [message.id]
    assert len([report for report in broker.reports if isinstance(report, Finished)]) == 32


async def test_short_sync_tasks_queue_in_one_runner_one_at_a_time(start: StartWorker, broker: FakeBroker) -> None:
    await start(WorkerSettings(slots=1))
    tasks = [task("nap", {"seconds": 0.02}) for _ in range(6)]
    broker.put(*tasks)
    spans = sorted([(await broker.finished(one)).output for one in tasks], key=lambda span: span["begun"])
    assert all(first["ended"] <= then["begun"] for first, then in itertools.pairwise(spans))


async def test_async_actions_run_side_by_side(start: StartWorker, broker: FakeBroker) -> None:
    worker = await start(WorkerSettings(slots=1))
    tasks = [task("async_nap", {"seconds": 0.3}) for _ in range(20)]
    broker.put(*tasks)
    spans = [(await broker.finished(one)).output for one in tasks]
    assert max(span["begun"] for span in spans) < min(span["ended"] for span in spans)
    assert worker.stats().warm_runners == 1


async def test_tasks_that_travel_alone_fill_the_slots_and_no_more(start: StartWorker, broker: FakeBroker) -> None:
    worker = await start(WorkerSettings(slots=2))
    tasks = [task("nap", {"seconds": 0.3}, alone=True) for _ in range(4)]
    for one in tasks:
        broker.put(one)
    spans = [(await broker.finished(one)).output for one in tasks]
    instants = [span["begun"] for span in spans]
    together = [sum(span["begun"] <= at < span["ended"] for span in spans) for at in instants]
    assert max(together) == 2
    assert worker.stats().warm_runners == 2


async def test_tasks_not_known_to_be_short_do_not_queue_behind_each_other(
    start: StartWorker, broker: FakeBroker
) -> None:
    worker = await start(WorkerSettings(slots=2))
    tasks = [task("nap", {"seconds": 0.3}, short=False) for _ in range(4)]
    for one in tasks:
        broker.put(one)
    spans = [(await broker.finished(one)).output for one in tasks]
    together = [sum(span["begun"] <= other["begun"] < span["ended"] for span in spans) for other in spans]
    assert max(together) == 2
    assert worker.stats().warm_runners == 2


async def test_a_task_past_a_second_is_leased_and_those_behind_it_go_back(
    start: StartWorker, broker: FakeBroker
) -> None:
    await start(WorkerSettings(slots=1))
    long, *behind = [task("nap", {"seconds": 3.0}), *(task("noop") for _ in range(5))]
    message = broker.put(long, *behind)
    await broker.until(lambda: broker.of(long, Started) and all(broker.of(one, Released) for one in behind))
    assert not broker.of(long, Finished)
    await broker.until(lambda: broker.acknowledged == [message.id])
    assert (await broker.finished(long)).status == "succeeded"
    assert all(len(broker.of(one)) == 1 for one in behind)


async def test_nothing_is_taken_while_every_slot_is_held_by_a_long_task(start: StartWorker, broker: FakeBroker) -> None:
    await start(WorkerSettings(slots=1))
    long, first, second = task("nap", {"seconds": 2.5}), task("noop"), task("noop")
    broker.put(long)
    await broker.until(lambda: broker.of(long, Started))
    broker.put(first)
    broker.put(second)
    await broker.until(lambda: broker.of(first))  # its delivery was already awaited
    assert isinstance(broker.of(first)[0], Released)
    assert broker.messages.qsize() == 1
    await broker.finished(long)
    assert (await broker.finished(second)).status == "succeeded"


async def test_the_same_runner_serves_task_after_task(worker: Worker, broker: FakeBroker) -> None:
    pids = set()
    for _ in range(3):
        one = task("pid")
        broker.put(one)
        pids.add((await broker.finished(one)).output)
    assert len(pids) == 1


async def test_an_idle_runner_is_ended_after_its_time(start: StartWorker, broker: FakeBroker) -> None:
    worker = await start(WorkerSettings(slots=1, idle_seconds=0.2))
    one = task("pid")
    broker.put(one)
    pid = (await broker.finished(one)).output
    await broker.until(lambda: worker.stats().warm_runners == 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_warm_runners_over_the_budget_of_memory_make_room(
    start: StartWorker, broker: FakeBroker, door: FakeDoor, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text((Path(__file__).parent / "bundles" / "sample.py").read_text())
    door.folder = tmp_path
    worker = await start(WorkerSettings(slots=1, memory_bytes=1))
    for name in ("one", "two"):
        other = task("pid", digest=name)
        broker.put(other)
        await broker.finished(other)
    await broker.until(lambda: worker.stats().warm_runners == 1)


async def test_the_runner_sees_a_clean_environment(worker: Worker, broker: FakeBroker, monkeypatch: object) -> None:
    one = task("where")
    broker.put(one)
    seen = (await broker.finished(one)).output
    assert set(seen["environment"]) <= {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HOME", "TMPDIR"} | {
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    }
    assert seen["folder"] == seen["environment"]["HOME"] == seen["environment"]["TMPDIR"]
    assert seen["group"]


async def test_state_artifacts_and_progress_go_through_the_door(
    worker: Worker, broker: FakeBroker, door: FakeDoor
) -> None:
    door.state["cursor"] = 4
    one = task("keep")
    broker.put(one)
    finished = await broker.finished(one)
    assert finished.output == {"before": 4, "after": 5, "blob": "blob-report.txt"}
    assert finished.state_writes == {"cursor": 5}
    assert finished.artifacts[0]["size"] == 9
    assert door.asked == [("report.txt", b"some text")]


async def test_state_written_by_a_failed_attempt_is_not_kept(worker: Worker, broker: FakeBroker) -> None:
    one = task("keep_and_fail")
    broker.put(one)
    finished = await broker.finished(one)
    assert (finished.status, finished.state_writes) == ("failed", {})
    assert finished.error is not None
    assert (finished.error.type, finished.error.message) == ("ValueError", "after writing")
    assert finished.error.traceback is not None
    assert "keep_and_fail" in finished.error.traceback


async def test_reports_that_are_not_taken_are_sent_again_before_the_message_is_acknowledged(
    worker: Worker, broker: FakeBroker
) -> None:
    broker.failures = 3
    one = task("noop")
    message = broker.put(one)
    await broker.finished(one)
    await broker.until(lambda: broker.acknowledged == [message.id])
    assert len(broker.of(one)) == 1


async def test_heartbeats_name_what_is_held(start: StartWorker, broker: FakeBroker) -> None:
    await start(WorkerSettings(slots=1, heartbeat_seconds=0.05, heartbeat_when_idle=False))
    await broker.until(lambda: broker.beats)
    one = task("nap", {"seconds": 0.6})
    broker.put(one)
    await broker.until(lambda: broker.beats[-1].held == ((one.run_id, one.key, one.token),))
    await broker.finished(one)
    await broker.until(lambda: not broker.beats[-1].held or broker.beats)
    told = len(broker.beats)
    await asyncio.sleep(0.3)
    assert len(broker.beats) <= told + 1, "no heart beats while nothing is held"
