"""One sentence that says why a run is where it is, and the parts it is made of."""

from __future__ import annotations

from typing import Any

from monjolo.domains.runs import queries
from monjolo.kit import json
from monjolo.kit.time import to_rfc3339
from monjolo.storage.port import Connection


def explain(connection: Connection, workspace_id: str, run_id: str) -> dict[str, Any]:
    """`{status, sentence, parts: [{step, code, …}]}`; `code` is stable, the sentence is for people."""
    run = queries.get(connection, workspace_id, run_id)
    if run["quarantined"]:
        return _answer(run, "The run is set aside: the engine could not go on with it. Please report it.", [])
    if run["status"] in queries.ENDED:
        return _answer(run, _ended(run), [])
    live = queries.live_parts(connection, run_id)
    parts = [_slot(connection, workspace_id, slot) for slot in live["slots"]]
    tasks = {row["key"]: row for row in live["tasks"]}
    waits = {row["key"]: row["type"] for row in live["waits"]}
    for row in live["steps"]:
        part = _wait(row, waits) or _step(row, tasks.get(row["key"]), live["ahead"])
        if part is not None:
            parts.append(part)
    sentence = " ".join(part["sentence"] for part in parts[:3])
    if len(parts) > 3:
        sentence += f" And {len(parts) - 3} more."
    return _answer(run, sentence or "The run was accepted and is about to begin.", parts)


def _answer(run: dict[str, Any], sentence: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"run": run["id"], "status": run["status"], "sentence": sentence, "parts": parts}


def _ended(run: dict[str, Any]) -> str:
    words = f"The run ended: {run['status'].replace('_', ' ')}"
    if run["error"]:
        at = f" at step {run['error']['step']}" if run["error"].get("step") else ""
        return f"{words}{at}: {run['error']['message']}"
    return f"{words} ({run['reason']})." if run["reason"] else f"{words}."


def _slot(connection: Connection, workspace_id: str, slot: Any) -> dict[str, Any]:
    owners = queries.slot_owners(connection, workspace_id, slot["slot_key"])
    names = ", ".join(f"{row['flow']} #{row['number']}" for row in owners) or "nobody"
    before = queries.slots_before(connection, workspace_id, slot["slot_key"], slot["queue_at"])
    turn = (
        "It is the next." if not before else f"{before}{'' if before < queries.COUNTED else ' or more'} come before it."
    )
    what = f"Step {slot['key']}" if slot["key"] else "The run"
    return {
        "step": slot["key"] or None,
        "code": "concurrency",
        "slot": slot["slot_key"],
        "limit": slot["slot_limit"],
        "held_by": [row["id"] for row in owners],
        "before": before,
        "sentence": f"{what} waits for a place: {slot['slot_limit']} at once, held by {names}. {turn}",
    }


def _wait(row: Any, types: dict[str, str]) -> dict[str, Any] | None:
    """A step that waits for an event, and why the last one that came was not it, if that could not be told."""
    if row["reason"] != "event":
        return None
    key, state = row["key"], json.loads(row["state"])
    until = to_rfc3339(state["wake_at"]) if state.get("wake_at") else None
    sentence = f"Step {key} waits for an event {types[key]}{f' until {until}' if until else ''}."
    if row["error"]:
        error = json.loads(row["error"])
        sentence += f" It could not tell whether {error['details']['event']} is it: {error['message']}"
    return {"step": key, "code": "event", "attempt": row["attempt"], "event": types[key], "wake_at": until,
            "sentence": sentence}  # fmt: skip


def _interval(key: str, state: dict[str, Any]) -> dict[str, Any]:
    most, begun, wake_at = state["loop"][0], state["loop"][1], to_rfc3339(state["wake_at"])
    sentence = f"Step {key} has done {begun} of at most {most} iterations; the next begins at {wake_at}."
    return {"step": key, "code": "interval", "wake_at": wake_at, "sentence": sentence}


def _step(row: Any, task: Any, ahead: int) -> dict[str, Any] | None:
    key, state = row["key"], json.loads(row["state"])
    if "loop" in state and row["reason"] == "interval":
        return _interval(key, state)
    if not {"scope", "fan", "loop"}.isdisjoint(state) or row["reason"] == "concurrency":
        return None
    part: dict[str, Any] = {"step": key, "code": row["reason"] or row["status"], "attempt": row["attempt"]}
    wake_at = to_rfc3339(state["wake_at"]) if state.get("wake_at") else None
    if row["status"] == "retrying":
        cause = json.loads(row["error"])["message"] if row["error"] else "it failed"
        part["sentence"] = f"Step {key} is tried again at {wake_at}: {cause}"
        part["wake_at"] = wake_at
    elif row["reason"] == "sleep":
        part["sentence"] = f"Step {key} sleeps until {wake_at}."
        part["wake_at"] = wake_at
    elif row["reason"] == "subflow":
        part["sentence"] = f"Step {key} waits for the run {state.get('child', 'of its sub-flow')}."
        part["child"] = state.get("child")
    elif row["reason"] in ("cancelling", "timing_out"):
        part["sentence"] = f"Step {key} was told to stop and has a moment to do so."
    elif task is not None and task["state"] == "ready":
        part["sentence"] = (
            f"Step {key} waits for a worker, with priority {task['priority']}; {ahead} steps wait in all."
        )
        part["priority"] = task["priority"]
        part["code"] = "no_worker_free"
    elif task is not None and task["state"] == "dispatched":
        part["sentence"] = f"Step {key} is on its way to a worker."
        part["code"] = "dispatched"
    else:
        worker = f" on {task['worker']}" if task is not None and task["worker"] else ""
        part["sentence"] = f"Step {key} is running{worker} (attempt {row['attempt']})."
    return part
