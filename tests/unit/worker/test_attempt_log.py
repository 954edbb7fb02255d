"""Lines of an attempt are numbered, cleaned and bounded on their way out."""

from __future__ import annotations

from collections.abc import Callable

from monjolo.kit.time import SystemClock
from monjolo.worker.logs import LONGEST_LINE, AttemptLog, LogShipper
from monjolo.worker.masking import NO_MASKER
from monjolo_sdk.wire import Limits, LogBatch, Task


class Shipped(LogShipper):
    """Keeps batches instead of sending them."""

    def __init__(self) -> None:
        self.batches: list[LogBatch] = []

    def watch(self, log: AttemptLog) -> None:
        pass

    def ship(self, batch: LogBatch, size: int, then: Callable[[], None] | None) -> None:
        self.batches.append(batch)
        if then is not None:
            then()


def log_of(shipped: Shipped, limit: int | None = None) -> AttemptLog:
    task = Task("run", "step", 7, 1, "m", "1", "d", "a", {}, limits=Limits(log_bytes=limit))
    return AttemptLog(task, NO_MASKER, shipped, SystemClock())


def line(text: str, at: object = 5, level: str = "info", fields: object = None) -> list[object]:
    return [at, level, "log", text, fields]


def test_batches_carry_the_number_of_their_first_line() -> None:
    shipped = Shipped()
    log = log_of(shipped)
    log.add([line("a"), line("b")], 100)
    log.flush()
    log.add([line("c")], 50)
    ended: list[bool] = []
    log.end(lambda: ended.append(True))
    assert [(batch.first, len(batch.lines), batch.last) for batch in shipped.batches] == [
        (1, 2, False),
        (3, 1, True),
    ]
    assert ended == [True]


def test_a_silent_attempt_ships_nothing() -> None:
    shipped, ended = Shipped(), []
    log_of(shipped).end(lambda: ended.append(True))
    assert (shipped.batches, ended) == ([], [True])


def test_control_characters_are_escaped_and_long_lines_cut() -> None:
    shipped = Shipped()
    log = log_of(shipped)
    log.add([line("a\x00b\x1b[0m\tc\nd"), line("x" * (LONGEST_LINE + 10))], 100)
    log.flush()
    first, second = shipped.batches[0].lines
    assert first.text == "a\\x00b\\x1b[0m\tc\\x0ad"
    assert second.text.endswith("(10 more characters)")


def test_what_a_runner_says_with_wrong_types_is_put_right() -> None:
    shipped = Shipped()
    log = log_of(shipped)
    log.add([line("a", at="yesterday", level="shout", fields=[1])], 50)
    log.flush()
    told = shipped.batches[0].lines[0]
    assert (type(told.at), told.level, told.fields) == (int, "info", {})


def test_after_the_first_dropped_line_none_is_kept() -> None:
    shipped = Shipped()
    log = log_of(shipped, limit=1000)
    for number in range(500):
        log.add([line(f"{number} " + "x" * 1000)], 1050)
    log.end(lambda: None)
    lines = [told for batch in shipped.batches for told in batch.lines]
    numbers = [int(told.text.split()[0]) for told in lines[:-1]]
    assert numbers == list(range(len(numbers)))
    assert f"{500 - len(numbers)} lines were dropped" in lines[-1].text
    assert (lines[-1].stream, lines[-1].level) == ("system", "warning")


def test_bytes_hidden_in_fields_count_too() -> None:
    shipped = Shipped()
    log = log_of(shipped, limit=1000)
    for _ in range(100):
        log.add([line("a", fields={"x": "y" * 10_000})], 10_100)
    log.end(lambda: None)
    kept = [told for batch in shipped.batches for told in batch.lines]
    assert len(kept) < 60
