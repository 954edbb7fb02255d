"""History in bulk: `python -m benchmarks.seed DATA_FOLDER COUNT` makes COUNT runs of those that are there.

The platform must be stopped. Its ended runs (at most a hundred) are the patterns, copied in turn and then removed.
Each copy has an id, a number and instants of its own, spread over the last days, so lists, retention and statistics
find what they would find after COUNT real runs.
"""

from __future__ import annotations

import argparse
import random
import re
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Cell = Callable[[str, int, int], Any]  # (run id, number, microseconds later) -> what the copy has in this column

DAYS = 5
COPIED = {"runs": "id", "steps": "run_id", "attempts": "run_id", "log_chunks": "run_id"}  # table: the run's id in it
BATCH, PATTERNS = 5_000, 100
_INSTANT = re.compile(r"\b1[0-9]{15}\b")  # microseconds since the epoch, until 2033
_EPOCH = 10**15


def seed(data: Path, count: int, days: float = DAYS) -> float:
    """Seconds that it took."""
    began = time.perf_counter()
    connection = sqlite3.connect(data / "monjolo.db", isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        patterns = _patterns(connection)
        _copy(connection, patterns, count, int(days * 86_400_000_000))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    return time.perf_counter() - began


class _Pattern:
    """One ended run and all its rows, as functions of what differs in a copy."""

    def __init__(self, connection: sqlite3.Connection, run: sqlite3.Row) -> None:
        self.id, self.flow_id, self.created_at = str(run["id"]), str(run["flow_id"]), int(run["created_at"])
        self.rows: dict[str, list[list[Cell]]] = {}
        for table, column in COPIED.items():
            found = connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (run["id"],)).fetchall()
            self.rows[table] = [
                [_cell(name, row[name], run["id"], run["number"]) for name in dict(row)] for row in found
            ]


def _patterns(connection: sqlite3.Connection) -> list[_Pattern]:
    connection.row_factory = sqlite3.Row
    runs = connection.execute("SELECT id, number, flow_id, created_at, finished_at FROM runs ORDER BY id").fetchall()
    if not 0 < len(runs) <= PATTERNS or any(run["finished_at"] is None for run in runs):
        raise SystemExit(f"There must be 1 to {PATTERNS} runs to copy, all of them ended; there are {len(runs)}.")
    return [_Pattern(connection, run) for run in runs]


def _cell(name: str, value: Any, run_id: str, number: int) -> Cell:
    if name == "number":
        return lambda _id, own, _later: own
    if isinstance(value, int) and value >= _EPOCH and name.endswith("_at"):
        return lambda _id, _own, later: value + later
    if isinstance(value, bytes) and value.startswith(b"j"):  # a chunk of log lines that is not compressed
        text = _cell(name, value.decode(), run_id, number)
        return lambda own_id, own, later: text(own_id, own, later).encode()
    if isinstance(value, str) and value == run_id:
        return lambda own_id, _own, _later: own_id
    if isinstance(value, str) and (run_id in value or _INSTANT.search(value)):
        return _text(value, run_id, number)
    return lambda _id, _own, _later: value


def _text(value: str, run_id: str, number: int) -> Cell:
    """JSON with the run's id, its number or instants in it."""
    value = value.replace("%", "%%").replace(run_id, "%(id)s").replace(f'"number":{number}', '"number":%(number)d')
    instants = [int(found) for found in _INSTANT.findall(value)]
    pieces = iter(range(len(instants)))
    template = _INSTANT.sub(lambda _found: f"%({next(pieces)})d", value)

    def copy(own_id: str, own: int, later: int) -> str:
        told: dict[str, Any] = {str(place): instant + later for place, instant in enumerate(instants)}
        return template % {"id": own_id, "number": own, **told}

    return copy


def _copy(connection: sqlite3.Connection, patterns: list[_Pattern], count: int, span: int) -> None:
    newest = max(pattern.created_at for pattern in patterns)
    numbers = dict.fromkeys((pattern.flow_id for pattern in patterns), 0)
    made: dict[str, list[list[Any]]] = {table: [] for table in COPIED}
    connection.execute("BEGIN IMMEDIATE")
    for table, column in COPIED.items():
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(pattern.id,) for pattern in patterns])
    for place in range(count):
        pattern = patterns[place % len(patterns)]
        numbers[pattern.flow_id] += 1
        at = newest - span + span * (place + 1) // count
        run_id, number, later = _id_at(at), numbers[pattern.flow_id], at - pattern.created_at
        for table, rows in pattern.rows.items():
            made[table] += [[cell(run_id, number, later) for cell in row] for row in rows]
        if place % BATCH == BATCH - 1:
            _insert(connection, made)
    _insert(connection, made)
    connection.execute("COMMIT")


def _insert(connection: sqlite3.Connection, made: dict[str, list[list[Any]]]) -> None:
    for table, rows in made.items():
        if rows:
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
            rows.clear()


def _id_at(at: int) -> str:
    """A UUIDv7 of the instant."""
    text = f"{at // 1000:012x}{0x7000 | random.getrandbits(12):04x}{(2 << 62) | random.getrandbits(62):016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="seed", description=__doc__)
    parser.add_argument("data", type=Path, help="the data folder of a stopped platform")
    parser.add_argument("count", type=int)
    parser.add_argument("--days", type=float, default=DAYS, help="over which the runs are spread, back from now")
    given = parser.parse_args()
    print(f"{given.count} runs in {seed(given.data, given.count, given.days):.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
