"""What a step says: in order, numbered, bounded, masked, and stored before its end is told."""

from __future__ import annotations

import base64

from monjolo.worker.worker import Worker
from monjolo_sdk.wire import Finished, Limits, LogBatch, Task

from .fakes import FakeBroker, task


def batches(broker: FakeBroker, one: Task) -> list[LogBatch]:
    return [batch for batch in broker.log_batches if batch.run_id == one.run_id]


async def test_lines_are_numbered_without_a_gap_and_stored_before_the_end(worker: Worker, broker: FakeBroker) -> None:
    one = task("speak", {"lines": 5_000})
    broker.put(one)
    await broker.finished(one)
    expected = 1
    for batch in batches(broker, one):
        assert batch.first == expected
        expected += len(batch.lines)
    assert broker.lines(one) == [f"line {number}" for number in range(5_000)]
    assert [batch.last for batch in batches(broker, one)][-1]
    kinds = [kind for kind, thing in broker.events if thing.run_id == one.run_id]
    assert kinds[-1] == "report"
    assert set(kinds[:-1]) == {"logs"}


async def test_every_way_to_speak_is_a_line_with_its_stream_and_level(worker: Worker, broker: FakeBroker) -> None:
    one = task("all_streams")
    broker.put(one)
    await broker.finished(one)
    lines = [line for batch in batches(broker, one) for line in batch.lines]
    told = {(line.stream, line.level, line.text) for line in lines}
    assert {
        ("stdout", "info", "printed"),
        ("stderr", "warning", "complained"),
        ("log", "error", "logged"),
        ("log", "debug", "told"),
        ("stdout", "info", "ring \\x07 colour \\x1b[31m"),
    } <= told
    assert next(line.fields for line in lines if line.text == "told") == {"answer": 42}


async def test_a_line_leaves_within_two_seconds_while_the_step_goes_on(worker: Worker, broker: FakeBroker) -> None:
    one = task("speak_then_stay", {"mark": ""}, timeout=3_000_000)
    broker.put(one)
    await broker.until(lambda: broker.lines(one), 2.5)
    assert not broker.of(one, Finished)
    await broker.finished(one)


async def test_lines_beyond_the_limit_are_counted_and_dropped(worker: Worker, broker: FakeBroker) -> None:
    one = task("print_lines", {"lines": 50_000, "width": 100}, limits=Limits(log_bytes=500_000))
    broker.put(one)
    assert (await broker.finished(one, 30)).status == "succeeded"
    lines = broker.lines(one)
    assert len(lines) < 10_000
    assert "dropped" in lines[-1]
    kept = len(lines) - 1
    assert lines[:kept] == [f"{number:09d}".ljust(100, ".") for number in range(kept)]
    assert str(50_000 - kept) in lines[-1]


async def test_a_store_that_is_slow_slows_the_writer_and_loses_nothing(worker: Worker, broker: FakeBroker) -> None:
    broker.store_open.clear()
    one = task("print_lines", {"lines": 200_000, "width": 120})
    broker.put(one)
    await broker.until(lambda: worker.attempts.shipper.full)
    assert not broker.of(one, Finished)
    broker.store_open.set()
    assert (await broker.finished(one, 60)).status == "succeeded"
    assert len(broker.lines(one)) == 200_000


async def test_secrets_are_masked_in_lines_outputs_and_errors(worker: Worker, broker: FakeBroker) -> None:
    secret = "s3cr3t/with+signs"
    hidden = base64.b64encode(f"user:{secret}".encode()).decode()
    one = task("leak", {"value": f"{secret} {hidden}"}, secrets=(secret,))
    two = task("leak_by_failing", {"value": secret}, secrets=(secret,))
    broker.put(one, two)
    finished = await broker.finished(one)
    failed = await broker.finished(two)
    everything = repr((broker.reports, broker.log_batches))
    assert secret not in everything
    assert hidden not in everything
    assert finished.output["told"].startswith("*** ")
    assert failed.error is not None
    assert failed.error.message == "cannot sign in with ***"
