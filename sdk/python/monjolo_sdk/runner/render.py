"""Turns what gathered in the outbox into lines of the protocol: joins prints, keeps limits, groups log lines.

It runs where the outbox is written, mostly the writer's thread, so that an action that prints pays little for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from monjolo_sdk.runner.messages import dumps, notification, quoted, utf8
from monjolo_sdk.runner.tasks import RunningTask

MAX_LINE = 65_536
MAX_HELD = 1 << 20  # of a line whose end has not come
_MANY_PIECES = 1_024
_LINE_COST = 32  # what a line counts towards the limit besides its text
_NO_FIELDS: dict[str, Any] = {}
_LEVELS = {"stdout": "info", "stderr": "warning"}
_MIDDLES = {stream: f',"{level}","{stream}",' for stream, level in _LEVELS.items()}

Line = tuple[RunningTask | None, int, str, str, str, Mapping[str, Any]]  # task, at, level, stream, text, fields
Chunk = tuple[RunningTask | None, int, str, str | bytes]  # task, at, stream, what was written
Answer = tuple[RunningTask, bytes]
Entry = bytes | RunningTask | Line | Chunk | Answer


class Renderer:
    """Keeps the half lines of no task; those of a task are with the task."""

    def __init__(self) -> None:
        self._loose: dict[str, list[str]] = {}
        self._out: list[bytes] = []
        self._lines: list[str] = []  # as JSON
        self._owner: RunningTask | None = None

    def render(self, entries: Iterable[Entry]) -> bytes:
        """The bytes of some entries, in order."""
        for entry in entries:
            if type(entry) is tuple:
                size = len(entry)
                if size == 4:
                    self._chunk(*entry)
                elif size == 6:
                    self._line(*entry)
                else:
                    self._answer(*entry)
                continue
            self._end_group()
            if isinstance(entry, bytes):
                self._out.append(entry)
            elif isinstance(entry, RunningTask):
                progress, entry.progress = entry.progress, None
                if progress is not None:
                    self._out.append(notification("progress", progress))
        self._end_group()
        out, self._out = self._out, []
        return b"".join(out)

    def _chunk(self, task: RunningTask | None, at: int, stream: str, data: str | bytes) -> None:
        text = data if isinstance(data, str) else _decoded(data)
        all_held = self._loose if task is None else task.held
        if text and text.find("\n") == len(text) - 1 and not all_held.get(stream):
            text = text[:-1]
            if task is not None and task is self._owner and len(text) <= MAX_LINE and task.log_left > 0:
                task.log_left -= len(text) + _LINE_COST  # what `_line` comes to, without the call: most prints end here
                self._lines.append(f"[{at}{_MIDDLES[stream]}{quoted(text)},{{}}]")
            else:
                self._line(task, at, _LEVELS[stream], stream, text, _NO_FIELDS)
            return
        held = all_held.setdefault(stream, [])
        held.append(text)
        if "\n" in text:
            *lines, rest = "".join(held).split("\n")
            held[:] = [rest] if rest else []
            for line in lines:
                self._line(task, at, _LEVELS[stream], stream, line, _NO_FIELDS)
        elif len(held) > _MANY_PIECES or len(text) > MAX_LINE:
            joined = "".join(held)
            held[:] = [joined]
            if len(joined) > MAX_HELD:
                held.clear()
                self._line(task, at, _LEVELS[stream], stream, joined, _NO_FIELDS)

    def _line(
        self, task: RunningTask | None, at: int, level: str, stream: str, text: str, fields: Mapping[str, Any]
    ) -> None:
        if task is not None:
            if task.log_left <= 0:
                task.dropped += 1
                return
            task.log_left -= len(text) + _LINE_COST
        if task is not self._owner:
            self._end_group()
            self._owner = task
        if len(text) <= MAX_LINE:
            self._lines.append(_json(at, level, stream, text, fields))
            return
        # Pieces are marked `part`, from 1, so that a reader can join them; nothing of the line is lost.
        for part, start in enumerate(range(0, len(text), MAX_LINE), 1):
            piece = text[start : start + MAX_LINE]
            self._lines.append(_json(at, level, stream, piece, {**fields, "part": part}))

    def _answer(self, task: RunningTask, line: bytes) -> None:
        at = time.time_ns() // 1000
        for stream, held in task.held.items():
            if held:
                self._line(task, at, _LEVELS[stream], stream, "".join(held), _NO_FIELDS)
        if task.dropped:
            count, task.dropped, task.log_left = task.dropped, 0, 1
            text = f"{count} more log lines were dropped: the step's log limit is reached"
            self._line(task, at, "warning", "system", text, {"dropped": count})
        self._end_group()
        self._out.append(line)

    def _end_group(self) -> None:
        if self._lines:
            name = self._owner.json_id if self._owner is not None else "null"
            lines, self._lines = self._lines, []
            head = f'{{"jsonrpc":"2.0","method":"logs","params":{{"task":{name},"lines":['
            self._out.append(utf8(f"{head}{','.join(lines)}]}}}}\n"))


def _json(at: int, level: str, stream: str, text: str, fields: Mapping[str, Any]) -> str:
    told = dumps(fields) if fields else "{}"
    return f"[{at},{quoted(level)},{quoted(stream)},{quoted(text)},{told}]"


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")
