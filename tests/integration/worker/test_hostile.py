"""A step that misbehaves costs its own attempt; the worker goes on."""

from __future__ import annotations

import pytest

from monjolo.worker.worker import Worker, WorkerSettings
from monjolo_sdk.wire import Finished, Limits, Released, Task

from .conftest import StartWorker
from .fakes import FakeBroker, task


async def ends_as(broker: FakeBroker, one: Task, status: str) -> Finished:
    """Runs `one`, and then another to see that the worker is well."""
    message = broker.put(one)
    finished = await broker.finished(one, 30)
    assert finished.status == status, finished
    after = task("noop")
    broker.put(after)
    assert (await broker.finished(after)).status == "succeeded"
    await broker.until(lambda: message.id in broker.acknowledged)
    return finished


@pytest.mark.parametrize(
    ("action", "word"), [("end_process", "exit code 3"), ("end_by_signal", "SIGKILL"), ("break_protocol", "protocol")]
)
async def test_a_runner_that_dies_is_a_crashed_attempt(
    worker: Worker, broker: FakeBroker, action: str, word: str
) -> None:
    finished = await ends_as(broker, task(action), "crashed")
    assert finished.error is not None
    assert word in finished.error.message


async def test_those_behind_a_crash_go_back_unbegun(start: StartWorker, broker: FakeBroker) -> None:
    await start(WorkerSettings(slots=1))
    one, behind = task("end_process"), [task("noop") for _ in range(4)]
    broker.put(one, *behind)
    assert (await broker.finished(one)).status == "crashed"
    for other in behind:
        await broker.until(lambda other=other: broker.of(other))
        assert [type(report) for report in broker.of(other)] == [Released]


async def test_what_it_printed_before_it_died_is_kept(worker: Worker, broker: FakeBroker) -> None:
    one = task("end_process")
    await ends_as(broker, one, "crashed")
    assert "about to go" in broker.lines(one)


async def test_sys_exit_is_an_ordinary_failure(worker: Worker, broker: FakeBroker) -> None:
    finished = await ends_as(broker, task("system_exit"), "failed")
    assert finished.error is not None
    assert finished.error.type == "SystemExit"


@pytest.mark.parametrize(
    "line",
    [
        '{"jsonrpc": "2.0"}\n',
        "[]\n",
        '{"jsonrpc": "2.0", "id": 99999, "result": {}}\n',
        '{"jsonrpc": "2.0", "method": "logs", "params": {"task": "1", "lines": [[1]]}}\n',
        '{"jsonrpc": "2.0", "method": "unheard-of", "params": {"task": "1"}}\n',
    ],
)
async def test_json_that_is_not_of_the_protocol_ends_the_runner(worker: Worker, broker: FakeBroker, line: str) -> None:
    await ends_as(broker, task("break_protocol", {"line": line}), "crashed")


async def test_a_forged_answer_ends_the_attempt_that_forged_it(worker: Worker, broker: FakeBroker) -> None:
    line = '{"jsonrpc": "2.0", "id": 1, "result": 5}\n'
    await ends_as(broker, task("break_protocol", {"line": line}), "crashed")


async def test_a_line_without_an_end_is_bounded(worker: Worker, broker: FakeBroker) -> None:
    finished = await ends_as(broker, task("endless_line"), "crashed")
    assert finished.error is not None
    # the runner's own thread may put a line of its, with an end, in the middle of it
    assert "longer than" in finished.error.message or "not of the protocol" in finished.error.message


async def test_a_step_that_takes_too_much_memory_fails_alone(worker: Worker, broker: FakeBroker) -> None:
    limits = Limits(memory_bytes=400 * 1024 * 1024)
    finished = await ends_as(broker, task("take_memory", limits=limits), "failed")
    assert finished.error is not None
    assert finished.error.type == "MemoryError"


async def test_open_files_and_the_size_of_a_file_are_limited(worker: Worker, broker: FakeBroker) -> None:
    finished = await ends_as(broker, task("open_many", limits=Limits(open_files=256)), "failed")
    assert finished.error is not None
    assert "Too many open files" in finished.error.message
    await ends_as(broker, task("fill_disk", limits=Limits(file_bytes=8 * 1024 * 1024)), "failed")


async def test_processor_time_is_limited_per_attempt(worker: Worker, broker: FakeBroker) -> None:
    finished = await ends_as(broker, task("loop_for_ever", limits=Limits(cpu_seconds=1)), "crashed")
    assert finished.error is not None
    assert "SIGXCPU" in finished.error.message


async def test_a_module_that_cannot_be_imported_fails_its_step_with_its_error(
    worker: Worker, broker: FakeBroker
) -> None:
    finished = await ends_as(broker, task("noop", digest="broken"), "failed")
    assert finished.error is not None
    assert "cannot be imported" in finished.error.message
    assert finished.error.traceback is not None


async def test_a_module_that_dies_while_it_is_imported_is_a_crash(worker: Worker, broker: FakeBroker) -> None:
    finished = await ends_as(broker, task("noop", digest="dies"), "crashed")
    assert finished.error is not None
    assert "exit code 7" in finished.error.message


async def test_a_bundle_that_is_not_to_be_had_fails_the_step(worker: Worker, broker: FakeBroker) -> None:
    finished = await ends_as(broker, task("noop", digest="nowhere"), "failed")
    assert finished.error is not None
    assert "nowhere" in finished.error.message


async def test_an_output_over_the_limit_is_refused(worker: Worker, broker: FakeBroker) -> None:
    limits = Limits(output_bytes=10_000)
    finished = await ends_as(broker, task("large_output", {"size": 20_000}, limits=limits), "failed")
    assert finished.error is not None
    assert (finished.error.type, finished.error.retryable) == ("OutputTooLarge", False)
