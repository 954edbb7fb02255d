"""What steps said: stored as compressed chunks per attempt, read back by line, searched, downloaded whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import zstandard

from monjolo.bus.port import Bus
from monjolo.kit import json
from monjolo.kit.time import Clock, to_rfc3339
from monjolo.storage.port import Connection, Database
from monjolo_sdk.wire import LogBatch, LogLine

_PLAIN, _ZSTD = b"j", b"z"
_SMALL = 1_024  # bytes; below it compressing costs more than it saves
_LEVELS = ("debug", "info", "warning", "error", "critical")
_CHUNKS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands in a run's logs: chunks in the order they were stored, lines within them.

    Not in the order of their first lines: of two steps side by side the slower one's earlier lines come later,
    and who has read on past them would never see them.
    """

    stored: int
    key: str
    token: int
    line: int

    def text(self) -> str:
        return f"{self.stored}.{self.token}.{self.line}.{self.key}"

    @staticmethod
    def parse(text: str) -> Place:
        """Raises ValueError."""
        stored, token, line, key = text.split(".", 3)
        return Place(int(stored), key, int(token), int(line))


def _encode(lines: Sequence[LogLine]) -> bytes:
    raw = json.dumpb([[line.at, line.level, line.stream, line.text, line.fields] for line in lines])
    if len(raw) < _SMALL:
        return _PLAIN + raw
    return _ZSTD + zstandard.ZstdCompressor(level=1).compress(raw)


def _decode(data: bytes) -> list[list[Any]]:
    kind, body = data[:1], data[1:]
    raw = zstandard.ZstdDecompressor().decompress(body) if kind == _ZSTD else body
    lines: list[list[Any]] = json.loads(raw)
    return lines


def _row(batch: LogBatch) -> tuple[Any, ...]:
    levels: dict[str, int] = {}
    size = 0
    for line in batch.lines:
        levels[line.level] = levels.get(line.level, 0) + 1
        size += len(line.text)
    return (
        batch.run_id, batch.key, batch.attempt, batch.token, batch.first, len(batch.lines), size,
        batch.lines[0].at, batch.lines[-1].at, json.dumps(levels), _encode(batch.lines),
    )  # fmt: skip


Chunk = tuple[LogBatch, tuple[Any, ...]]  # lines, and the row they are stored as


def chunk_of(batch: LogBatch) -> Chunk:
    try:
        return batch, _row(batch)
    except TypeError:  # half characters of a foreign encoding, values that no JSON knows
        cleaned = _cleaned(batch)
        return cleaned, _row(cleaned)


def _cleaned(batch: LogBatch) -> LogBatch:
    lines = (
        line._replace(text=_clean(line.text), fields={_clean(str(k)): _clean(str(v)) for k, v in line.fields.items()})
        for line in batch.lines
    )
    return batch._replace(lines=tuple(lines))


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode()


class LogStore:
    def __init__(self, database: Database, bus: Bus, clock: Clock) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._stored = 0

    async def store(self, batches: Sequence[LogBatch]) -> None:
        """Durable when it returns. A batch that comes twice is stored once."""
        chunks = [chunk_of(batch) for batch in batches if batch.lines]
        if chunks:
            await self._database.write(lambda connection: self.insert(connection, chunks))
        self.announce(chunks)

    def insert(self, connection: Connection, chunks: Sequence[Chunk]) -> None:
        """In the caller's transaction, where alone the order of the commits is known."""
        first = max(self._clock.now(), self._stored + 1)
        self._stored = first + len(chunks)
        connection.executemany(
            "INSERT INTO log_chunks (run_id, key, attempt, token, first, lines, bytes, from_at, to_at, levels, data, "
            "stored) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (run_id, key, attempt, token, first) DO NOTHING",
            [(*row, stored) for stored, (_, row) in enumerate(chunks, first)],
        )

    def announce(self, chunks: Iterable[Chunk]) -> None:
        """To whoever looks on, after the commit."""
        for batch, _ in chunks:
            topic = f"run:{batch.run_id}"
            if self._bus.wants(topic):
                self._bus.publish(topic, "log", {"lines": [_shown(batch, n, li) for n, li in _numbered(batch)]})

    async def page(
        self, run_id: str, *, step: str | None, attempt: int | None, after: Place | None, limit: int,
        query: str | None = None, levels: Sequence[str] = (),
    ) -> tuple[list[dict[str, Any]], Place | None]:  # fmt: skip
        """Up to `limit` lines after a place, and the place to go on from (None when there are no more)."""
        found, place, more = await self._page(run_id, step, attempt, after, limit, query, levels)
        return found, place if more else None

    async def read_on(
        self, run_id: str, after: Place | None, limit: int
    ) -> tuple[list[dict[str, Any]], Place | None, bool]:
        """Lines of all steps after a place, the place of the last of them, and whether there are more now."""
        return await self._page(run_id, None, None, after, limit, None, ())

    async def _page(
        self, run_id: str, step: str | None, attempt: int | None, after: Place | None, limit: int,
        query: str | None, levels: Sequence[str],
    ) -> tuple[list[dict[str, Any]], Place | None, bool]:  # fmt: skip
        found: list[dict[str, Any]] = []
        place = after
        while True:
            at = place
            chunks = await self._database.read(lambda c, a=at: _chunks(c, run_id, step, attempt, a))  # type: ignore[misc]
            for chunk in chunks:
                for line in lines_of(chunk, place):
                    place = Place(chunk["stored"], chunk["key"], chunk["token"], line["line"])
                    if _matches(line, query, levels):
                        found.append(line)
                        if len(found) == limit:
                            return found, place, True
                last = chunk["first"] + chunk["lines"] - 1
                place = Place(chunk["stored"], chunk["key"], chunk["token"], last)
            if len(chunks) < _CHUNKS_AT_ONCE:
                return found, place, False

    async def whole(self, run_id: str, *, step: str | None, attempt: int | None) -> AsyncIterator[dict[str, Any]]:
        """Every line, without holding them all."""
        place: Place | None = None
        while True:
            lines, place = await self.page(run_id, step=step, attempt=attempt, after=place, limit=5_000)
            for line in lines:
                yield line
            if place is None:
                return


def _chunks(
    connection: Connection, run_id: str, step: str | None, attempt: int | None, after: Place | None
) -> list[Any]:
    sql, values = "SELECT * FROM log_chunks WHERE run_id = ?", [run_id]
    parameters: list[Any] = list(values)
    if step is not None:
        sql += " AND key = ?"
        parameters.append(step)
    if attempt is not None:
        sql += " AND attempt = ?"
        parameters.append(attempt)
    if after is not None:
        sql += (
            " AND (stored > ? OR (stored = ? AND (key > ? OR (key = ? AND (token > ? OR (token = ? AND "
            "first + lines - 1 > ?))))))"
        )
        parameters += [after.stored, after.stored, after.key, after.key, after.token, after.token, after.line]
    sql += " ORDER BY stored, key, token, first LIMIT ?"
    return connection.execute(sql, (*parameters, _CHUNKS_AT_ONCE)).fetchall()


def lines_of(chunk: Any, after: Place | None) -> Iterator[dict[str, Any]]:
    same = after is not None and (after.stored, after.key, after.token) == (
        chunk["stored"], chunk["key"], chunk["token"],
    )  # fmt: skip
    for number, (at, level, stream, text, fields) in enumerate(_decode(chunk["data"]), chunk["first"]):
        if same and after is not None and number <= after.line:
            continue
        yield {
            "at": to_rfc3339(at),
            "step": chunk["key"],
            "attempt": chunk["attempt"],
            "line": number,
            "level": level,
            "stream": stream,
            "text": text,
            "fields": fields,
        }


def _matches(line: dict[str, Any], query: str | None, levels: Sequence[str]) -> bool:
    if levels and line["level"] not in levels:
        return False
    return query is None or query.lower() in line["text"].lower()


def levels_from(level: str | None) -> tuple[str, ...]:
    """`warning` means warning and worse. Raises ValueError for a level that is none."""
    return () if level is None else _LEVELS[_LEVELS.index(level) :]


def _numbered(batch: LogBatch) -> Iterator[tuple[int, LogLine]]:
    return enumerate(batch.lines, batch.first)


def _shown(batch: LogBatch, number: int, line: LogLine) -> dict[str, Any]:
    return {
        "at": to_rfc3339(line.at),
        "step": batch.key,
        "attempt": batch.attempt,
        "line": number,
        "level": line.level,
        "stream": line.stream,
        "text": line.text,
        "fields": line.fields,
    }
