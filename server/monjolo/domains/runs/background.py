"""What stands around a run: its neighbours, how long it usually takes, and, when it failed, what changed before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from monjolo.domains.flows.diff import Change, document_diff
from monjolo.domains.runs import queries
from monjolo.domains.runs.codec import STEP_OUTPUT_LIMIT
from monjolo.kit import json
from monjolo.storage.port import Connection

LOOKED_BACK = 10_000  # runs of the flow, so that a flow that never worked costs no more than this
COUNTED_BACK = 100  # runs that are compared with a failure
TYPICAL_OF = 20  # runs whose middle duration is what is usual
CHANGES_SHOWN = 40
VALUE_SHOWN = 2_000  # characters of a changed value

_FRAME = re.compile(r'File "([^"]+)", line (\d+)(?:, in (\S+))?')
_VARYING = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+", re.IGNORECASE)
_ITEM = re.compile(r"\[\d+\]")
_BROKEN = ("failed", "timed_out", "crashed")


def of(connection: Connection, workspace_id: str, run_id: str) -> dict[str, Any]:
    """`{typical_ms, previous, next, repeats, last_good, cause}`; `cause` is null for a run that did not fail."""
    run = queries.get(connection, workspace_id, run_id)
    flow_id = run["flow_id"]
    good = _last_good(connection, flow_id, run_id)
    found: dict[str, Any] = {
        "typical_ms": _typical(connection, flow_id, run_id),
        "previous": _neighbour(connection, flow_id, run_id, "<", "DESC"),
        "next": _neighbour(connection, flow_id, run_id, ">", "ASC"),
        "repeats": _repeats(connection, flow_id, run_id),
        "repeat_of": None if run["repeat_of"] is None else _named(connection, run["repeat_of"]),
        "last_good": good and {"id": good["id"], "number": good["number"], "version": good["version"]},
        "cause": None,
    }
    if run["status"] in _BROKEN and run["error"] is not None:
        found["cause"] = _cause(connection, run, good)
    return found


def _named(connection: Connection, run_id: str) -> dict[str, Any] | None:
    row = connection.execute("SELECT id, number FROM runs WHERE id = ?", (run_id,)).fetchone()
    return None if row is None else {"id": row["id"], "number": row["number"]}


def _neighbour(connection: Connection, flow_id: str, run_id: str, sign: str, order: str) -> dict[str, Any] | None:
    row = connection.execute(
        f"SELECT id, number FROM runs WHERE flow_id = ? AND id {sign} ? ORDER BY id {order} LIMIT 1",  # noqa: S608
        (flow_id, run_id),
    ).fetchone()
    return None if row is None else {"id": row["id"], "number": row["number"]}


def _repeats(connection: Connection, flow_id: str, run_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        "SELECT id, number, status FROM (SELECT id, number, status, repeat_of FROM runs WHERE flow_id = ? AND id > ? "
        "ORDER BY id LIMIT ?) AS later WHERE repeat_of = ? ORDER BY id LIMIT 20",
        (flow_id, run_id, LOOKED_BACK, run_id),
    ).fetchall()
    return [{"id": row["id"], "number": row["number"], "status": row["status"]} for row in rows]


def _last_good(connection: Connection, flow_id: str, run_id: str) -> Any:
    return connection.execute(
        "SELECT * FROM (SELECT id, number, version, status, inputs FROM runs WHERE flow_id = ? AND id < ? "
        "ORDER BY id DESC LIMIT ?) AS earlier WHERE status = 'succeeded' ORDER BY id DESC LIMIT 1",
        (flow_id, run_id, LOOKED_BACK),
    ).fetchone()


def _typical(connection: Connection, flow_id: str, run_id: str) -> int | None:
    rows = connection.execute(
        "SELECT finished_at - created_at AS length FROM (SELECT id, status, created_at, finished_at FROM runs "
        "WHERE flow_id = ? AND id < ? ORDER BY id DESC LIMIT ?) AS earlier WHERE status = 'succeeded' "
        "ORDER BY id DESC LIMIT ?",
        (flow_id, run_id, COUNTED_BACK, TYPICAL_OF),
    ).fetchall()
    lengths = sorted(row["length"] for row in rows)
    return lengths[len(lengths) // 2] // 1_000 if lengths else None


# --- the cause of a failure ---------------------------------------------------------------------------------


def _cause(connection: Connection, run: dict[str, Any], good: Any) -> dict[str, Any]:
    error = run["error"]
    step = error.get("step")
    changes, unchanged = ([], []) if good is None else _compare(connection, run, good, step)
    return {
        "step": step,
        "type": _inner(error).get("type") or error["type"],
        "message": error["message"],
        "place": place_of(_inner(error).get("traceback") or error.get("traceback")),
        "same_in_a_row": _in_a_row(connection, run),
        "changes": changes[:CHANGES_SHOWN],
        "more_changes": max(len(changes) - CHANGES_SHOWN, 0),
        "unchanged": unchanged,
    }


def _inner(error: dict[str, Any]) -> dict[str, Any]:
    """What a script raised, within the error of the action that ran it."""
    details = error.get("details")
    return details if isinstance(details, dict) else {}


def place_of(traceback: str | None) -> dict[str, Any] | None:
    """The innermost frame that a traceback tells; of the file only its name, folders change from run to run."""
    frames = _FRAME.findall(traceback or "")
    if not frames:
        return None
    file, line, function = frames[-1]
    return {"file": file.replace("\\", "/").rpartition("/")[2], "line": int(line), "function": function or None}


def fingerprint(error: dict[str, Any]) -> tuple[str, ...]:
    """Equal for failures of the same kind at the same place: numbers and ids in the message do not count."""
    inner = _inner(error)
    place = place_of(inner.get("traceback") or error.get("traceback")) or {}
    return (
        _ITEM.sub("[]", error.get("step") or ""),
        str(inner.get("type") or error["type"]),
        _VARYING.sub("#", error["message"]),
        f"{place.get('file', '')}:{place.get('function', '')}",
    )


def _in_a_row(connection: Connection, run: dict[str, Any]) -> int:
    """How many runs of the flow up to this one ended with the same failure; it is one of them."""
    rows = connection.execute(
        "SELECT status, error FROM runs WHERE flow_id = ? AND id < ? AND finished_at IS NOT NULL "
        "ORDER BY id DESC LIMIT ?",
        (run["flow_id"], run["id"], COUNTED_BACK),
    ).fetchall()
    own, count = fingerprint(run["error"]), 1
    for row in rows:
        if row["status"] not in _BROKEN or row["error"] is None or fingerprint(json.loads(row["error"])) != own:
            break
        count += 1
    return count


def _compare(
    connection: Connection, run: dict[str, Any], good: Any, step: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """What differs from the last good run, and what was looked at and is the same."""
    changes, unchanged = [], []
    versions = _versions(connection, run["flow_id"], run["version"], good["version"])
    before, now = versions.get(good["version"]), versions.get(run["version"])
    compared = {
        "inputs": document_diff(json.loads(good["inputs"]), run["inputs"]),
        "outputs": _outputs(connection, run["id"], good["id"], step),
        "flow": document_diff(before["document"], now["document"]) if before and now else [],
        "modules": document_diff(before["resolved"], now["resolved"]) if before and now else [],
        "worker": _workers(connection, run["id"], good["id"], step),
    }
    for what, found in compared.items():
        changes += [_shown(what, change) for change in found]
        if not found:
            unchanged.append(what)
    return changes, unchanged


def _versions(connection: Connection, flow_id: str, *numbers: int) -> dict[int, dict[str, Any]]:
    found = {}
    for number in set(numbers):
        row = connection.execute(
            "SELECT document, resolved FROM flow_versions WHERE flow_id = ? AND number = ?", (flow_id, number)
        ).fetchone()
        if row is not None:
            found[number] = {name: json.loads(row[name]) for name in ("document", "resolved")}
    return found


def _outputs(connection: Connection, run_id: str, good_id: str, step: str | None) -> list[Change]:
    """Of the steps that had ended before the one that failed: those are what it was given."""
    if step is None:
        return []
    now, before = (_outputs_of(connection, each, step) for each in (run_id, good_id))
    return [
        change
        for key, output in now.items()
        if key in before
        for change in document_diff({key: before[key]}, {key: output})
    ]


def _outputs_of(connection: Connection, run_id: str, step: str) -> dict[str, Any]:
    rows = connection.execute(
        "SELECT s.key, s.output FROM steps s JOIN steps f ON f.run_id = s.run_id AND f.key = ? "
        "WHERE s.run_id = ? AND s.item = 0 AND s.status = 'succeeded' AND s.output IS NOT NULL "
        "AND LENGTH(s.output) <= ? AND s.finished_at <= COALESCE(f.started_at, f.finished_at) ORDER BY s.key LIMIT 50",
        (step, run_id, STEP_OUTPUT_LIMIT),
    ).fetchall()
    return {row["key"]: json.loads(row["output"]) for row in rows}


def _workers(connection: Connection, run_id: str, good_id: str, step: str | None) -> list[Change]:
    names: Sequence[Any] = [
        connection.execute(
            "SELECT worker FROM attempts WHERE run_id = ? AND key = ? ORDER BY token DESC LIMIT 1", (each, step or "")
        ).fetchone()
        for each in (good_id, run_id)
    ]
    before, now = (None if row is None else row["worker"] for row in names)
    return [Change("", "changed", before, now)] if before and now and before != now else []


def _shown(what: str, change: Change) -> dict[str, Any]:
    return {
        "what": what,
        "path": change.path,
        "kind": change.kind,
        "before": _short(change.before),
        "after": _short(change.after),
    }


def _short(value: Any) -> Any:
    text = json.dumps(value)
    return value if len(text) <= VALUE_SHOWN else text[:VALUE_SHOWN] + "…"
