"""What every broker must do for workers and the orchestrator; one line more for each new adapter."""

from __future__ import annotations

import asyncio

import pytest

from monjolo.broker.memory import MemoryBroker
from monjolo.kit.errors import Unavailable
from monjolo_sdk.wire import Cancel, Drain, Finished, Heartbeat, LogBatch, LogLine, Task, TaskMessage

PATIENCE = 5.0


@pytest.fixture(params=[MemoryBroker])
def broker(request: pytest.FixtureRequest) -> MemoryBroker:
    return request.param()


def task(run: str) -> Task:
    return Task(run, "a", 1, 1, "core", "1", "sha256:abc", "log", {})


def message(*runs: str, group: str = "default") -> TaskMessage:
    return TaskMessage("m-" + runs[0], group, tuple(task(run) for run in runs))


def finished(run: str) -> Finished:
    return Finished(run, "a", 1, "w", "succeeded", 1, 1)


async def test_messages_come_in_order_to_their_group_alone(broker: MemoryBroker) -> None:
    await broker.publish([message("a"), message("x", group="other"), message("b", "c")])
    async with asyncio.timeout(PATIENCE):
        first, second = [(await broker.next_message("default")).message for _ in range(2)]
        other = (await broker.next_message("other")).message
    assert (first, second, other) == (message("a"), message("b", "c"), message("x", group="other"))


async def test_a_cancelled_task_that_waits_is_taken_out_and_its_neighbours_stay(broker: MemoryBroker) -> None:
    await broker.publish([message("a"), message("b", "c"), message("d")])
    await broker.control([Cancel("a", "a", 1), Cancel("c", "a", 1), Cancel("d", "a", 2)])
    async with asyncio.timeout(PATIENCE):
        tasks = [(await broker.next_message("default")).message.tasks for _ in range(2)]
    assert tasks == [(task("b"),), (task("d"),)]


async def test_a_report_returns_when_it_was_taken_and_stored(broker: MemoryBroker) -> None:
    sending = [asyncio.create_task(broker.report([finished(run)])) for run in ("a", "b")]
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        reports, receipt = await broker.next_reports()
    assert reports == [finished("a"), finished("b")]
    assert not any(each.done() for each in sending)
    receipt.done()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*sending)


async def test_a_report_that_could_not_be_stored_tells_its_sender(broker: MemoryBroker) -> None:
    sending = asyncio.create_task(broker.report([finished("a")]))
    async with asyncio.timeout(PATIENCE):
        _, receipt = await broker.next_reports()
    receipt.failed(Unavailable("full"))
    with pytest.raises(Unavailable):
        await sending


async def test_log_lines_return_when_they_are_stored_and_a_sender_may_leave(broker: MemoryBroker) -> None:
    batch = LogBatch("a", "a", 1, 1, 1, (LogLine(1, "info", "log", "hi"),))
    sending = asyncio.create_task(broker.logs([batch]))
    async with asyncio.timeout(PATIENCE):
        batches, receipt = await broker.next_logs()
    assert batches == [batch]
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    receipt.done()


async def test_every_worker_hears_every_order_in_turn(broker: MemoryBroker) -> None:
    workers = [broker.controls(name) for name in ("w1", "w2")]
    hearing = [asyncio.create_task(anext(aiter(worker))) for worker in workers]
    await asyncio.sleep(0)
    await broker.control([Drain("w1")])
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*hearing) == [Drain("w1")] * 2


async def test_heartbeats_come_all_that_are_there(broker: MemoryBroker) -> None:
    beats = [Heartbeat("w", "default", at, 4, ()) for at in (1, 2)]
    for beat in beats:
        await broker.heartbeat(beat)
    async with asyncio.timeout(PATIENCE):
        assert await broker.next_heartbeats() == beats
