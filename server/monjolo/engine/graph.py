"""Where a step stands: keys, paths and the lists they belong to. Plain functions.

A key names a step of a run (`lote[2].gravar`); its path is the key without the indexes (`lote[].gravar`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from monjolo.engine.types import HandlersPlan, Phase, Plan, ScopePlan, StepKind, StepPlan

HANDLERS = frozenset({Phase.ON_SUCCESS, Phase.ON_FAILURE, Phase.ON_CANCEL, Phase.FINALLY})


@lru_cache(maxsize=65_536)
def path_of(key: str) -> str:
    if "[" not in key:
        return key
    parts = key.split("[")
    return parts[0] + "".join("[" + part[part.index("]") :] for part in parts[1:])


def parent_of(key: str) -> str:
    """The key of what holds this step: a group, an item, a `for_each` for its items; "" for the run."""
    if key.endswith("]"):
        return key[: key.rindex("[")]
    head, _, _ = key.rpartition(".")
    last = head.rpartition(".")[2]
    if last in HANDLERS:
        return head[: -len(last) - 1] if head != last else ""
    return head


def sibling(key: str, own_id: str, other_id: str) -> str:
    """The key of another step of the same list."""
    return key[: len(key) - len(own_id)] + other_id


def child_key(parent: str, step: StepPlan) -> str:
    """The key of a step of the list that `parent` holds, handlers included."""
    name = step.id if step.phase is Phase.BODY else f"{step.phase}.{step.id}"
    return f"{parent}.{name}" if parent else name


def item_key(fan_key: str, index: int) -> str:
    return f"{fan_key}[{index}]"


def item_index(key: str) -> int:
    return int(key[key.rindex("[") + 1 : -1])


def indexes(key: str) -> list[int]:
    return [int(part[: part.index("]")]) for part in key.split("[")[1:]]


def key_from(path: str, near: str) -> str:
    """The key with this path that is visible from the step `near`: the same items, as far as they share them."""
    if "[" not in path:
        return path
    numbers = iter(indexes(near))
    return "".join(part + (f"[{next(numbers, 0)}]" if more else "") for part, more in _split(path))


def _split(path: str) -> Iterator[tuple[str, bool]]:
    parts = path.split("[]")
    for position, part in enumerate(parts):
        yield part, position < len(parts) - 1


def scope_plan(plan: Plan, parent: StepPlan | None, phase: Phase, case: str | None) -> ScopePlan | None:
    """The list of steps that runs in this phase of the run (`parent` None) or of a container."""
    handlers = plan.handlers if parent is None else parent.handlers
    if phase is not Phase.BODY:
        return handler_of(handlers, phase)
    if parent is None:
        return plan.body
    if parent.kind is StepKind.SWITCH:
        return dict(parent.cases).get(case or "", parent.default) if case is not None else parent.default
    return parent.body


def handler_of(handlers: HandlersPlan, phase: Phase) -> ScopePlan | None:
    match phase:
        case Phase.ON_SUCCESS:
            return handlers.on_success
        case Phase.ON_FAILURE:
            return handlers.on_failure
        case Phase.ON_CANCEL:
            return handlers.on_cancel
        case _:
            return handlers.finally_


def scopes_of(step: StepPlan) -> Iterator[ScopePlan]:
    handlers = step.handlers
    cases = (scope for _, scope in step.cases)
    for scope in (step.body, *cases, step.default, handlers.on_success, handlers.on_failure, handlers.on_cancel,
                  handlers.finally_):  # fmt: skip
        if scope is not None:
            yield scope


def keys_below(step: StepPlan, key: str) -> Iterator[str]:
    """Every key that can stand below `key`, but for the items of fan-outs, which leave when they end."""
    for scope in scopes_of(step):
        for child in scope.steps:
            below = child_key(key, child)
            yield below
            yield from keys_below(child, below)
