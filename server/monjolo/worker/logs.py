"""The log of an attempt on its way to the store: gathered, bounded, masked, durable before its end is told."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from monjolo.broker.port import WorkerBroker
from monjolo.kit.json import dumpb
from monjolo.kit.time import Clock
from monjolo.worker.masking import Masker
from monjolo_sdk.wire import LogBatch, LogLine, Task

logger = structlog.get_logger(__name__)

BATCH_BYTES = 64 * 1024
FLUSH_SECONDS = 0.9  # with the runner's own gathering a line is on its way within a second
LONGEST_LINE = 64 * 1024
LINE_BYTES = 32  # what a line counts besides its text, here as in the runner
LAST_WORDS_BYTES = 128 * 1024  # over the limit, for what a runner that keeps it says about having dropped lines
DEFAULT_LOG_BYTES = 64 * 1024 * 1024
BACKLOG_BYTES = 8 * 1024 * 1024  # beyond it, runners that log are not read until the store has caught up
RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
LEVELS = frozenset(("debug", "info", "warning", "error", "critical"))
STREAMS = frozenset(("log", "stdout", "stderr", "system"))
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


class AttemptLog:
    """Lines of one attempt, kept as the raw arrays `[at, level, stream, text, fields]` until they leave."""

    __slots__ = ("_clock", "_dropped", "_lines", "_masker", "_next", "_room", "_shipper", "_size", "_task")

    def __init__(self, task: Task, masker: Masker, shipper: LogShipper, clock: Clock) -> None:
        self._task, self._masker, self._shipper, self._clock = task, masker, shipper, clock
        self._lines: list[Any] = []
        self._size = 0
        self._next = 1
        self._room = (task.limits.log_bytes or DEFAULT_LOG_BYTES) + LAST_WORDS_BYTES
        self._dropped = 0

    def add(self, lines: Sequence[Any], size: int) -> None:
        """`size` is what the lines took on the wire. Lines past the attempt's limit are counted, not kept."""
        # Counted as the runner counts, which drops first; the size on the wire holds one that hides it in fields.
        charge = max(sum([LINE_BYTES + len(line[3]) for line in lines]), size // 4)
        if charge > self._room:
            lines, charge = self._that_fit(lines)
            size = min(size, 4 * charge)
        if not lines:
            return
        self._room -= charge
        if not self._lines:
            self._shipper.watch(self)
        self._lines.extend(lines)
        self._size += size
        if self._size >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._lines:
            self._ship(self._cut(last=False), None)

    def whole(self) -> LogBatch | None:
        """All lines of a log of which nothing has left yet: they can travel with the end of the attempt."""
        if self._next > 1 or self._dropped or not self._lines:
            return None
        batch = self._cut(last=True)
        self._lines, self._size = [], 0
        return batch

    def end(self, then: Callable[[], None]) -> None:
        """`then` is called once all lines are durable; at once when nothing was ever logged."""
        if self._dropped:
            limit = self._task.limits.log_bytes or DEFAULT_LOG_BYTES
            text = f"{self._dropped} lines were dropped: the step's log limit of {limit} bytes was reached"
            self._lines.append([self._clock.now(), "warning", "system", text, None])
        if self._lines or self._next > 1:
            self._ship(self._cut(last=True), then)
        else:
            then()

    def _that_fit(self, lines: Sequence[Any]) -> tuple[Sequence[Any], int]:
        if self._dropped:  # the log is a prefix: after the first dropped line none is kept
            self._dropped += len(lines)
            return (), 0
        total = 0
        for count, line in enumerate(lines):
            size = LINE_BYTES + len(line[3]) + (len(dumpb(line[4])) if line[4] else 0)
            if total + size > self._room:
                self._dropped = len(lines) - count
                return lines[:count], total
            total += size
        return lines, min(total, self._room)

    def _cut(self, last: bool) -> LogBatch:
        task, masker = self._task, self._masker
        lines = tuple([self._line(raw, masker) for raw in self._lines])
        batch = LogBatch(task.run_id, task.key, task.attempt, task.token, self._next, lines, last)
        self._next += len(lines)
        return batch

    def _ship(self, batch: LogBatch, then: Callable[[], None] | None) -> None:
        size, self._size = self._size, 0
        self._lines = []
        self._shipper.ship(batch, size, then)

    def _line(self, raw: Any, masker: Masker) -> LogLine:
        at, level, stream, text, fields = raw
        if masker:
            text = masker.text(text)
            fields = masker.value(fields) if fields else fields
        if len(text) > LONGEST_LINE:
            text = f"{text[:LONGEST_LINE]}… ({len(text) - LONGEST_LINE} more characters)"
        if not text.isprintable():
            text = CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
        return LogLine(
            at if type(at) is int else self._clock.now(),
            level if level in LEVELS else "info",
            stream if stream in STREAMS else "log",
            text,
            fields if type(fields) is dict else {},
        )


class LogShipper:
    """Sends what is there, one call for many batches; keeps the order; tries again until the store takes it."""

    def __init__(self, broker: WorkerBroker) -> None:
        self._broker = broker
        self._open: list[AttemptLog] = []
        self._timer: asyncio.TimerHandle | None = None
        self._pending: list[tuple[LogBatch, int, Callable[[], None] | None]] = []
        self._backlog = 0
        self._sender: asyncio.Task[None] | None = None
        self._waiters: list[Callable[[], None]] = []

    @property
    def full(self) -> bool:
        return self._backlog > BACKLOG_BYTES

    def when_room(self, call: Callable[[], None]) -> None:
        self._waiters.append(call)

    def watch(self, log: AttemptLog) -> None:
        """`log` has its first unsent line: it leaves within a second. One timer serves all, none when idle."""
        self._open.append(log)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush_open)

    def ship(self, batch: LogBatch, size: int, then: Callable[[], None] | None) -> None:
        self._pending.append((batch, size, then))
        self._backlog += size
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send())

    async def close(self) -> None:
        self._flush_open()
        if self._timer is not None:
            self._timer.cancel()
        while self._sender is not None:
            sender = self._sender
            try:
                await asyncio.wait((sender,))
            except asyncio.CancelledError:  # the caller's patience is over
                sender.cancel()
                raise

    def _flush_open(self) -> None:
        self._timer = None
        logs, self._open = self._open, []
        for log in logs:
            log.flush()

    async def _send(self) -> None:
        while self._pending:
            taken, self._pending = self._pending, []
            await self._deliver([batch for batch, _, _ in taken])
            self._backlog -= sum(size for _, size, _ in taken)
            for _, _, then in taken:
                if then is not None:
                    then()
            if self._waiters and self._backlog <= BACKLOG_BYTES // 2:
                waiters, self._waiters = self._waiters, []
                for call in waiters:
                    call()
        self._sender = None

    async def _deliver(self, batches: list[LogBatch]) -> None:
        for tries in itertools.count():
            try:
                await self._broker.logs(batches)
                return
            except Exception as error:
                logger.warning("logs_not_taken", batches=len(batches), tries=tries, error=repr(error))
            await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
