"""A run that is dropped from memory between any two events ends with the same rows as one that is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.runs.house import PATIENCE, House

from monjolo_sdk.wire import Task

FLOWS = {
    "join": """
  - {id: a, needs: [], uses: core/log, with: {message: a}}
  - {id: b, needs: [], uses: core/log, with: {message: b}}
  - {id: c, needs: [a, b], uses: core/log, with: {m: "${{ steps.a.output.message + steps.b.output.message }}"}}
  - {id: d, if: "steps.c.output.m == 'x'", uses: core/log, with: {message: d}}
  - {id: e, uses: core/log, with: {message: "${{ steps.d.status }}"}}
""",
    "items": """
  - id: each
    for_each: {items: "${{ [1, 2, 3, 4, 5, 6, 7] }}", as: n, max_parallel: 2}
    uses: core/log
    with: {message: "${{ n }}"}
  - {id: last, uses: core/log, with: {all: "${{ steps.each.output }}"}}
""",
    "collected": """
  - id: each
    for_each: {items: "${{ [1, 2, 3, 4, 5] }}", as: n, max_parallel: 2, on_item_error: collect}
    uses: core/fail_on
    with: {n: "${{ n }}", bad: [2, 5]}
  - {id: last, uses: core/log, with: {all: "${{ steps.each.output }}"}}
""",
    "nested": """
  - id: lots
    for_each: {items: "${{ ['x', 'y', 'z'] }}", as: name, max_parallel: 2}
    steps:
      - {id: read, uses: core/log, with: {message: "${{ name }}"}}
      - id: inner
        for_each: {items: "${{ [10, 20] }}", as: k}
        uses: core/log
        with: {message: "${{ name }}", k: "${{ k }}", index: "${{ index }}"}
      - {id: write, uses: core/log, with: {r: "${{ steps.read.output.message }}", i: "${{ steps.inner.output }}"}}
  - {id: last, uses: core/log, with: {all: "${{ steps.lots.output }}"}}
""",
    "groups": """
  - id: g
    group:
      steps:
        - {id: a, needs: [], uses: core/log, with: {message: a}}
        - {id: b, needs: [], uses: core/fail_on, with: {n: 1, bad: [1]}, continue_on_error: true}
        - {id: c, needs: [a, b], run_when: all_done, uses: core/log, with: {s: "${{ steps.b.status }}"}}
  - id: s
    switch:
      value: "${{ steps.g.output.a.message }}"
      cases:
        a:
          - {id: in_a, uses: core/log, with: {message: case}}
          - {id: more, uses: core/log, with: {message: "${{ steps.in_a.output.message }}"}}
      default:
        - {id: other, uses: core/log, with: {message: default}}
""",
    "retries": """
  - {id: a, uses: core/fail_twice, with: {x: 1}, retry: {max_attempts: 4, delay: 10s, backoff: constant}}
  - {id: nap, sleep: 1m}
  - {id: b, uses: core/log, with: {at: "${{ steps.a.output }}"}}
""",
    "handled": """
  - {id: a, uses: core/fail_on, with: {n: 1, bad: [1]}}
  - {id: never, uses: core/log, with: {message: no}}
""",
    "sub": """
  - {id: one, uses: core/log, with: {message: one}}
  - {id: call, subflow: {flow: called, inputs: {x: "${{ steps.one.output.message }}"}}}
  - {id: after, uses: core/log, with: {o: "${{ steps.call.output.outputs }}"}}
""",
}
MORE = {
    "handled": "on_failure:\n  - {id: alert, uses: core/log, with: {m: '${{ error.message }}'}}\n"
    "finally:\n  - {id: clean, uses: core/log, with: {message: clean}}",
    "sub": "concurrency: {limit: 1}",
    "join": "outputs: {c: '${{ steps.c.output.m }}'}",
}
CALLED = "  - {id: a, uses: core/log, with: {message: '${{ inputs.x }}'}}"
CALLED_MORE = (
    "inputs: {type: object, properties: {x: {type: string}}}\noutputs: {said: '${{ steps.a.output.message }}'}"
)


def _script(house: House) -> Callable[[Task], Any]:
    tried: dict[str, int] = {}

    def script(task: Task) -> Any:
        tried[task.key] = tried.get(task.key, 0) + 1
        if task.action == "fail_on" and task.inputs["n"] in task.inputs["bad"]:
            return house.failed(task)
        if task.action == "fail_twice" and tried[task.key] <= 2:
            return house.failed(task)
        return house.finished(task, task.inputs)

    return script


async def _play(house: House, slug: str, *, forget: bool) -> dict[str, Any]:
    """One run from its beginning to its end, one event at a time."""
    script = _script(house)
    run = await house.begin(slug)

    def drop() -> None:
        if forget:
            for run_id in list(house.cache._entries):
                house.cache.drop(run_id)

    async with asyncio.timeout(PATIENCE):
        while (await house.run(run.id))["finished_at"] is None:
            drop()
            await house.advance.submit([])
            try:
                tasks = await asyncio.wait_for(house.tasks(), 0.03)
            except TimeoutError:
                house.move(61)
                continue
            for task in tasks:
                drop()
                if task.action != "fail_on":
                    await house.report(house.started(task))
                drop()
                await house.report(script(task))
    return await _rows(house, run.id)


async def _rows(house: House, run_id: str) -> dict[str, Any]:
    """Everything of the run that does not carry its id or its time."""
    found = await house.rows("SELECT id FROM runs WHERE root_run_id = ? ORDER BY depth", run_id)
    names = {row["id"]: f"run {place}" for place, row in enumerate(found)}

    def plain(value: Any) -> Any:
        if isinstance(value, str):
            for run, name in names.items():
                value = value.replace(run, name)
        return value

    rows = {}
    for run in names:
        head = await house.rows("SELECT status, reason, outputs, error FROM runs WHERE id = ?", run)
        steps = await house.rows(
            "SELECT key, status, reason, attempt, ended, output, error FROM steps WHERE run_id = ? ORDER BY key", run
        )
        attempts = await house.rows(
            "SELECT key, token, attempt, status, error FROM attempts WHERE run_id = ? ORDER BY key, token", run
        )
        rows[names[run]] = [{name: plain(v) for name, v in row.items()} for row in (*head, *steps, *attempts)]
    for table in ("tasks", "timers", "slots", "inbox"):
        rows[table] = await house.rows(f"SELECT * FROM {table}")
        assert rows[table] == []
    return rows


@pytest.mark.parametrize("slug", sorted(FLOWS))
async def test_forgotten_between_any_two_events_a_run_ends_the_same(house: House, slug: str) -> None:
    await house.publish("called", CALLED, CALLED_MORE)
    await house.publish(slug, FLOWS[slug].strip("\n"), MORE.get(slug, ""))
    kept = await _play(house, slug, forget=False)
    forgotten = await _play(house, slug, forget=True)
    assert forgotten == kept
    assert kept["run 0"][0]["status"] == ("failed" if slug == "handled" else "succeeded")
