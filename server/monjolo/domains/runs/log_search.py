"""A text in the logs of all runs of a time: the newest runs first, never more reading than a request may cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from monjolo.domains.runs.logs import lines_of
from monjolo.kit.ids import lowest_id
from monjolo.kit.time import MINUTE, from_rfc3339, to_rfc3339
from monjolo.storage.port import Connection

CHUNKS_READ = 20_000
_RUNS_AT_ONCE = 500
_RUN = "r.id, r.flow, r.number, r.created_at"
_CHUNKS = "SELECT * FROM log_chunks WHERE run_id = ? AND to_at >= ? AND from_at < ? ORDER BY stored, key, token, first"
_LIVE = "'queued', 'running', 'waiting', 'cancelling'"


def search(
    connection: Connection,
    workspace_id: str,
    *,
    query: str,
    levels: Sequence[str],
    start: int,
    end: int,
    limit: int,
    flow: str | None = None,
    step: str | None = None,
    chunks_read: int = CHUNKS_READ,
) -> dict[str, Any]:
    """`{items, complete}`: lines from `start` up to `end` that hold the text, whatever its case.

    Not `complete`: there may be more, in runs that began before `searched_to`.
    """
    found: list[dict[str, Any]] = []
    wanted, left = query.lower(), chunks_read
    for run in _runs(connection, workspace_id, start, end):
        if flow is not None and run["flow"] != flow:
            continue
        stopped = {"items": found, "complete": False, "searched_to": to_rfc3339(run["created_at"])}
        for chunk in connection.execute(_CHUNKS, (run["id"], start, end)):
            left -= 1
            if left < 0:
                return stopped
            if step is not None and chunk["key"] != step:
                continue
            for line in lines_of(chunk, None):
                if wanted not in line["text"].lower() or (levels and line["level"] not in levels):
                    continue
                if start <= from_rfc3339(line["at"]) < end:
                    if len(found) == limit:
                        return stopped
                    found.append({"run": run["id"], "flow": run["flow"], "number": run["number"], **line})
    return {"items": found, "complete": True}


def _runs(connection: Connection, workspace_id: str, start: int, end: int) -> Iterator[Any]:
    """Those that were there between two instants: begun in it, then begun before it and not over by then."""
    lowest = lowest_id(start - MINUTE)  # an id is made by the machine's clock, a moment from `created_at`
    before = "~"
    while True:
        rows = connection.execute(
            f"SELECT {_RUN} FROM runs r WHERE CAST(r.workspace_id AS TEXT) = ? AND r.id >= ? AND r.id < ?"  # noqa: S608
            " AND r.created_at < ? ORDER BY r.id DESC LIMIT ?",
            (workspace_id, lowest, before, end, _RUNS_AT_ONCE),
        ).fetchall()
        yield from rows
        if len(rows) < _RUNS_AT_ONCE:
            break
        before = rows[-1]["id"]
    yield from connection.execute(
        f"SELECT {_RUN} FROM runs r WHERE r.workspace_id = ? AND r.status IN ({_LIVE}) AND r.id < ? UNION ALL "  # noqa: S608
        f"SELECT {_RUN} FROM flows f JOIN runs r ON r.flow_id = f.id AND r.finished_at >= ? "
        "WHERE f.workspace_id = ? AND r.id < ? ORDER BY 1 DESC",
        (workspace_id, lowest, start, workspace_id, lowest),
    ).fetchall()
