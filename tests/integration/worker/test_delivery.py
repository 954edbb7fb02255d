"""Redelivery, claims and permits, and what comes too late: the worker never runs what it may not."""

from __future__ import annotations

from pathlib import Path

from monjolo.kit.time import SECOND, SystemClock
from monjolo.worker.worker import Worker
from monjolo_sdk.wire import Claim, Finished, Redelivered, Released, Started

from .fakes import FakeBroker, task

clock = SystemClock()


async def test_a_redelivered_message_is_reported_and_not_run(
    worker: Worker, broker: FakeBroker, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    tasks = [task("nap", {"seconds": 0.0, "mark": str(mark)}) for _ in range(3)]
    message = broker.put(*tasks, redelivered=True)
    await broker.until(lambda: broker.acknowledged == [message.id])
    assert [type(report) for report in broker.reports] == [Redelivered] * 3
    assert not mark.exists()


async def test_a_second_copy_of_what_is_in_hand_is_not_run(worker: Worker, broker: FakeBroker, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    one = task("nap", {"seconds": 0.4, "mark": str(mark)})
    broker.put(one)
    copy = broker.put(one)
    await broker.finished(one)
    await broker.until(lambda: copy.id in broker.acknowledged)
    assert sorted(type(report).__name__ for report in broker.of(one)) == ["Finished", "Redelivered"]
    assert mark.read_text() == "begun\n"


async def test_what_comes_too_late_is_given_back(worker: Worker, broker: FakeBroker) -> None:
    one = task("noop", not_after=clock.now() - 1)
    message = broker.put(one)
    await broker.until(lambda: broker.acknowledged == [message.id])
    (report,) = broker.of(one)
    assert isinstance(report, Released)
    assert report.reason == "too_late"


async def test_a_lone_task_begins_only_when_its_start_is_durable(
    worker: Worker, broker: FakeBroker, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    one = task("nap", {"seconds": 0.0, "mark": str(mark)}, alone=True)
    broker.reports_open.clear()
    message = broker.put(one)
    await broker.until(lambda: [type(report) for report in broker.offered] == [Started])
    assert not mark.exists()
    broker.reports_open.set()
    assert (await broker.finished(one)).status == "succeeded"
    assert [type(report) for report in broker.of(one)] == [Started, Finished]
    assert broker.acknowledged == [message.id]
    assert mark.read_text() == "begun\n"


async def test_an_at_most_once_task_begins_only_with_a_permit(
    worker: Worker, broker: FakeBroker, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    one = task("nap", {"seconds": 1.3, "mark": str(mark)}, at_most_once=True)
    message = broker.put(one)
    await broker.until(lambda: broker.of(one, Claim))
    assert not mark.exists()
    assert broker.acknowledged == []
    broker.permit(one, worker.name, clock.now() + 10 * SECOND)
    await broker.until(lambda: broker.acknowledged == [message.id])
    assert (await broker.finished(one)).status == "succeeded"
    assert not broker.of(one, Started), "the permit was its lease"
    assert mark.read_text() == "begun\n"


async def test_an_at_most_once_task_whose_runner_dies_is_never_given_back_as_not_begun(
    worker: Worker, broker: FakeBroker
) -> None:
    for _ in range(5):
        one = task("killed_at_once", at_most_once=True)
        broker.put(one)
        await broker.until(lambda one=one: broker.of(one, Claim))
        broker.permit(one, worker.name, clock.now() + 10 * SECOND)
        assert (await broker.finished(one)).status == "crashed"
        assert not broker.of(one, Released)


async def test_a_permit_past_its_deadline_does_not_start_it(worker: Worker, broker: FakeBroker, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    one = task("nap", {"seconds": 0.0, "mark": str(mark)}, at_most_once=True)
    broker.put(one)
    await broker.until(lambda: broker.of(one, Claim))
    broker.permit(one, worker.name, clock.now() - 1)
    await broker.until(lambda: broker.of(one, Released))
    assert not mark.exists()
    after = task("noop")
    broker.put(after)
    assert (await broker.finished(after)).status == "succeeded", "the runner kept for it is free again"


async def test_a_permit_for_another_worker_or_a_second_one_starts_nothing(
    worker: Worker, broker: FakeBroker, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    one = task("nap", {"seconds": 0.2, "mark": str(mark)}, at_most_once=True)
    broker.put(one)
    await broker.until(lambda: broker.of(one, Claim))
    broker.permit(one, "another", clock.now() + 10 * SECOND)
    broker.permit(one, worker.name, clock.now() + 10 * SECOND)
    broker.permit(one, worker.name, clock.now() + 10 * SECOND)
    await broker.finished(one)
    assert mark.read_text() == "begun\n"
    assert len(broker.of(one, Finished)) == 1
