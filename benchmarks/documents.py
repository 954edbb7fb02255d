"""The flows of the benchmarks."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def one_step(slug: str, action: str) -> Document:
    return _flow(slug, [{"id": "only", "uses": f"bench/{action}"}])


def computation(slug: str) -> Document:
    names = {"lines": "integer", "spins": "integer", "loud": "boolean"}
    given = {name: f"${{{{ inputs.{name} }}}}" for name in names}
    properties = {name: {"type": kind} for name, kind in names.items()}
    step = {"id": "only", "uses": "bench/compute", "with": given}
    return _flow(slug, [step], {"type": "object", "properties": properties, "required": list(names)})


def scheduled(slug: str, action: str, cron: str) -> Document:
    return one_step(slug, action) | {"triggers": [{"id": "clock", "type": "schedule", "cron": cron}]}


def sequence(slug: str, steps: int, n: int) -> Document:
    return _flow(slug, [{"id": f"s{i}", "uses": "bench/fib", "with": {"n": n}} for i in range(steps)])


def side_by_side(slug: str, steps: int, n: int) -> Document:
    return _flow(slug, [{"id": f"s{i}", "uses": "bench/fib", "needs": [], "with": {"n": n}} for i in range(steps)])


def fan_out(slug: str) -> Document:
    step = {
        "id": "each",
        "for_each": {"items": "${{ inputs.numbers }}", "as": "number", "max_parallel": 64},
        "uses": "bench/item",
        "with": {"value": "${{ number }}"},
    }
    numbers = {"type": "array", "items": {"type": "integer"}}
    return _flow(slug, [step], {"type": "object", "properties": {"numbers": numbers}, "required": ["numbers"]})


def _flow(slug: str, steps: list[Document], inputs: Document | None = None) -> Document:
    head: Document = {"schema": "monjolo/flow/v1", "id": slug, "name": slug}
    return head | ({"inputs": inputs} if inputs else {}) | {"steps": steps}
