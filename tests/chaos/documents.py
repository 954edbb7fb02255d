"""The flows of the fault tests."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

MANY_CRASHES = 100  # steps that meet many kills must still have a way to their end

GRAPH, LINES, STUBBORN, HOOK, FAILING, KILLER = (
    "chaos-graph",
    "chaos-lines",
    "chaos-stubborn",
    "chaos-hook",
    "chaos-failing",
    "chaos-killer",
)
WAITS, TURNS, EVENT, ITERATIONS = "chaos-waits", "chaos-turns", "chaos.go", 3
GRAPH_STEPS = ("first", "left", "right", "join", "last")
ONCE_STEPS = ("right", "last")  # delivery: at_most_once


def all_of(sink: int, folder: str) -> list[Document]:
    return [
        _graph(sink),
        _lines(folder),
        _stubborn(sink),
        _hook(sink),
        _failing(sink),
        _killer(sink),
        _waits(sink),
        _turns(sink),
    ]


def _flow(slug: str, steps: list[Document], properties: Document | None = None, **more: Any) -> Document:
    inputs = {"type": "object", "properties": properties or {}}
    head: Document = {"schema": "monjolo/flow/v1", "id": slug, "name": slug, "inputs": inputs}
    return head | {"steps": steps} | more


def _effect(step: str, sink: int, needs: list[str], action: str = "effect", **more: Any) -> Document:
    inputs = {"sink": sink, "pause_ms": "${{ inputs.pause_ms }}"} | more.pop("inputs", {})
    return {"id": step, "uses": f"chaos/{action}", "needs": needs, "with": inputs} | more


def _graph(sink: int) -> Document:
    """Five steps with a fork and a join; some are retried, two run at most once."""
    retry = {"max_attempts": 5, "backoff": "constant", "delay": "200ms"}
    crashes: Document = {"max_crashes": MANY_CRASHES}
    steps = [
        _effect("first", sink, [], **crashes),
        _effect("left", sink, ["first"], inputs={"fail_first": "${{ inputs.fail_first }}"}, retry=retry, **crashes),
        _effect("right", sink, ["first"], delivery="at_most_once", continue_on_error=True),
        _effect("join", sink, ["left", "right"], action="effect_sync", **crashes),
        _effect("last", sink, ["join"], delivery="at_most_once"),
    ]
    number = {"type": "integer", "default": 0}
    return _flow(GRAPH, steps, {"pause_ms": number, "fail_first": number})


def _lines(folder: str) -> Document:
    inputs = {"folder": folder, "count": "${{ inputs.count }}", "every_ms": 50}
    step = {"id": "say", "uses": "chaos/lines", "max_crashes": MANY_CRASHES, "with": inputs}
    return _flow(LINES, [step], {"count": {"type": "integer", "default": 200}})


def _stubborn(sink: int) -> Document:
    inputs: Document = {"sink": sink, "mark": "${{ inputs.mark }}"}
    text, limit = {"type": "string"}, {"type": "boolean", "default": False}
    steps: list[Document] = [
        {"id": "free", "if": "!inputs.limited", "uses": "chaos/stubborn", "max_crashes": 0, "with": inputs},
        {"id": "limited", "if": "inputs.limited", "uses": "chaos/stubborn", "timeout": "3s", "max_crashes": 0,
         "retry": {"max_attempts": 1}, "with": inputs},
        {"id": "after", "uses": "chaos/effect", "with": {"sink": sink}},
    ]  # fmt: skip
    return _flow(STUBBORN, steps, {"mark": text, "limited": limit})


def _hook(sink: int) -> Document:
    trigger: Document = {"id": "call", "type": "webhook", "path": HOOK, "auth": {"type": "none"}}
    trigger["dedupe_key"] = "${{ event.body.delivery }}"
    step = {"id": "only", "uses": "core/transform", "with": {"value": 1}}
    return _flow(HOOK, [step], triggers=[trigger])


def _failing(sink: int) -> Document:
    retry = {"max_attempts": 3, "backoff": "exponential", "delay": "4s", "factor": 2, "jitter": 1.0}
    return _flow(FAILING, [{"id": "bad", "uses": "chaos/fails", "retry": retry, "with": {"sink": sink}}])


def _killer(sink: int) -> Document:
    retry = {"max_attempts": 2, "backoff": "constant", "delay": "100ms"}
    step = {"id": "bad", "uses": "chaos/kills_its_runner", "retry": retry, "max_crashes": 3, "with": {"sink": sink}}
    return _flow(KILLER, [step])


def _waits(sink: int) -> Document:
    """An effect, an event that it waits for, and three more effects in a loop with a pause."""
    crashes: Document = {"max_crashes": MANY_CRASHES}
    inputs: Document = {"sink": sink, "pause_ms": 20}
    body: Document = {"id": "do", "uses": "chaos/effect", "with": inputs, **crashes}
    loop = {"if": f"index < {ITERATIONS}", "max_iterations": ITERATIONS, "interval": "100ms", "steps": [body]}
    steps: list[Document] = [
        {"id": "first", "uses": "chaos/effect", "with": inputs, **crashes},
        {"id": "go", "wait_for": {"event": EVENT, "when": "event.data.number == inputs.number"}},
        {"id": "again", "while": loop},
    ]
    return _flow(WAITS, steps, {"number": {"type": "integer"}})


def _turns(sink: int) -> Document:
    """One of a group at a time, and of those that wait the newest."""
    step = {"id": "only", "uses": "chaos/effect", "with": {"sink": sink, "pause_ms": 50}, "max_crashes": MANY_CRASHES}
    turn = {"key": "${{ inputs.group }}", "limit": 1, "coalesce": "newest"}
    return _flow(TURNS, [step], {"group": {"type": "integer"}}, concurrency=turn)
