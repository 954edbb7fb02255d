"""A log as a reader with a window sees it: how long it is, any stretch of it, and every place that a text stands.

Lines are counted from 1 in the order of the log that is asked for: of one attempt, of a step, or of the whole run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from monjolo.domains.runs.logs import lines_of
from monjolo.kit import json
from monjolo.storage.port import Connection

PLACES = 50_000  # of lines that are found


def index(connection: Connection, run_id: str, step: str | None, attempt: int | None) -> dict[str, Any]:
    """`{lines, bytes, levels, errors}`: `errors` are the numbers of the lines at level error and worse."""
    levels: dict[str, int] = {}
    lines = size = 0
    errors: list[int] = []
    for chunk in _chunks(connection, run_id, step, attempt):
        counts = json.loads(chunk["levels"])
        for level, count in counts.items():
            levels[level] = levels.get(level, 0) + count
        if ("error" in counts or "critical" in counts) and len(errors) < PLACES:
            found = _decoded(connection, chunk)
            errors += [lines + n for n, line in enumerate(found, 1) if line["level"] in ("error", "critical")]
        lines += chunk["lines"]
        size += chunk["bytes"]
    return {"lines": lines, "bytes": size, "levels": levels, "errors": errors[:PLACES]}


def window(
    connection: Connection, run_id: str, step: str | None, attempt: int | None, first: int, limit: int
) -> list[dict[str, Any]]:
    """Up to `limit` lines from the number `first` on, each with its number `n`."""
    found: list[dict[str, Any]] = []
    before = 0
    for chunk in _chunks(connection, run_id, step, attempt):
        if before + chunk["lines"] >= first:
            numbered = enumerate(_decoded(connection, chunk), before + 1)
            found += [{"n": n, **line} for n, line in numbered if first <= n < first + limit]
        before += chunk["lines"]
        if before + 1 >= first + limit:
            break
    return found


def matches(
    connection: Connection, run_id: str, step: str | None, attempt: int | None, query: str, levels: Sequence[str]
) -> list[int]:
    """The numbers of all lines that hold the text, whatever its case; at most `PLACES`."""
    found: list[int] = []
    wanted = query.lower()
    before = 0
    for chunk in _chunks(connection, run_id, step, attempt):
        if not levels or any(level in levels for level in json.loads(chunk["levels"])):
            for n, line in enumerate(_decoded(connection, chunk), before + 1):
                if (not levels or line["level"] in levels) and wanted in line["text"].lower():
                    found.append(n)
                    if len(found) == PLACES:
                        return found
        before += chunk["lines"]
    return found


def _chunks(connection: Connection, run_id: str, step: str | None, attempt: int | None) -> Iterator[Any]:
    """All but the lines themselves, in the order of the log."""
    sql = "SELECT run_id, key, attempt, token, first, lines, bytes, levels FROM log_chunks WHERE run_id = ?"
    values: list[Any] = [run_id]
    if step is not None:
        sql += " AND key = ?"
        values.append(step)
    if attempt is not None:
        sql += " AND attempt = ?"
        values.append(attempt)
    rows = connection.execute(sql + " ORDER BY stored, key, token, first", values).fetchall()
    return iter(rows)


def _decoded(connection: Connection, chunk: Any) -> list[dict[str, Any]]:
    row = connection.execute(
        "SELECT * FROM log_chunks WHERE run_id = ? AND key = ? AND attempt = ? AND token = ? AND first = ?",
        (chunk["run_id"], chunk["key"], chunk["attempt"], chunk["token"], chunk["first"]),
    ).fetchone()
    return list(lines_of(row, None))
