"""Expressions meet a run: the names they may read are gathered from its state, only those that they read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monjolo.domains.runs.codec import error_to_json
from monjolo.engine import graph
from monjolo.engine.draft import Evaluate, Scope
from monjolo.engine.types import OUTPUTS_KEPT, ExprId, Plan, StepKind, StepState
from monjolo.engine.values import Failure, Value
from monjolo.flow_document import Compiled
from monjolo.kit.time import to_rfc3339

_FIXED = frozenset({"flow", "trigger", "event", "vars"})


class Evaluator:
    """One per compiled flow version; it keeps what each expression reads."""

    def __init__(self, compiled: Compiled) -> None:
        self._plan: Plan = compiled.plan
        self._expressions = compiled.expressions
        self._needs: dict[ExprId, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._paths = {step.id: path for path, step in compiled.plan.steps.items() if not path.endswith("]")}

    def __call__(self, expression: ExprId, scope: Scope) -> Value | Failure:
        needs = self._needs.get(expression)
        if needs is None:
            reads = self._expressions.reads(expression)
            tops = tuple(sorted({path[0] for path in reads}))
            steps = tuple(sorted({path[1] for path in reads if path[0] == "steps" and len(path) > 1}))
            needs = self._needs[expression] = (tops, steps)
        names = self._names(scope, *needs) if needs[0] else {}
        value = self._expressions.evaluate(expression, names)
        for step in needs[1]:
            if _is_reference(names["steps"][step]["output"]) and not _holds_reference(value):
                return Failure(
                    "paged_output",
                    f"step {step} has more than {OUTPUTS_KEPT:,} items, so its output is a reference: hand it on, "
                    "or read the items page by page from the API",
                )
        return value

    def _names(self, scope: Scope, tops: tuple[str, ...], steps: tuple[str, ...]) -> dict[str, Any]:
        names: dict[str, Any] = {}
        state = scope.view.state
        given = scope.given
        for top in tops:
            if given is not None and top in given:
                names[top] = event_names(given[top]) if top == "event" else given[top]
            elif top == "inputs":
                names[top] = state.inputs
            elif top == "steps":
                names[top] = {step: self._step(scope, step) for step in steps}
            elif top == "error":
                names[top] = error_to_json(scope.error or scope.view.error_for(scope.key))
            elif top == "run":
                names[top] = {**state.context["run"], "created_at": to_rfc3339(state.created_at)}
            elif top in _FIXED:
                names[top] = state.context.get(top)
            elif top != "secrets":
                found, value = self._item(scope, top)
                if found:
                    names[top] = value
        return names

    def _step(self, scope: Scope, step_id: str) -> dict[str, Any]:
        path = self._paths.get(step_id)
        step = scope.view.get(graph.key_from(path, scope.key)) if path is not None else None
        step = step or StepState()
        return {"status": str(step.status), "output": step.output, "error": error_to_json(step.error)}

    def _item(self, scope: Scope, name: str) -> tuple[bool, Any]:
        """The item, or its index, of the innermost `for_each` around the step that has this name."""
        key = scope.key
        while key:
            if key.endswith("]"):
                fan_key, index = graph.parent_of(key), graph.item_index(key)
                if name == "index":
                    return True, index
                plan = self._plan.steps[graph.path_of(fan_key)]
                if plan.kind is StepKind.FOR_EACH and plan.for_each and plan.for_each.as_name == name:
                    return True, scope.view.items(fan_key)[index]
            key = graph.parent_of(key)
        return False, None


def event_names(event: Mapping[str, Any]) -> dict[str, Any]:
    """What a flow sees as `event`: the data's own fields, and beside them what the event is."""
    return {**event, **event["data"], "data": event["data"]}


def _is_reference(output: Any) -> bool:
    return isinstance(output, dict) and "$items" in output


def _holds_reference(found: Value | Failure) -> bool:
    """Only a result that hands the reference on makes sense; anything computed from it would be wrong."""
    todo = [found.value] if isinstance(found, Value) else []
    while todo:
        node = todo.pop()
        if _is_reference(node):
            return True
        todo += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return isinstance(found, Failure)


class Evaluators:
    """The evaluator of each compiled version, for as long as that version is in memory."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Compiled, Evaluator]] = {}

    def of(self, compiled: Compiled) -> Evaluate:
        kept = self._kept.get(id(compiled))
        if kept is None or kept[0] is not compiled:
            if len(self._kept) > 1_000:
                self._kept.clear()
            kept = self._kept[id(compiled)] = (compiled, Evaluator(compiled))
        return kept[1]
