"""What a repeat from a step takes over from the run that it repeats, and from where there can be none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from monjolo.domains.runs import queries
from monjolo.domains.runs.models import Taken
from monjolo.engine import graph
from monjolo.engine.transitions import STEP_FAILED
from monjolo.engine.types import OUTPUTS_KEPT, Phase, Plan, ScopePlan, StepKind, StepPlan
from monjolo.flow_document import Compiled
from monjolo.kit.errors import Conflict, InvalidInput
from monjolo.storage.port import Connection

_KEY = re.compile(r"[a-z][a-z0-9_]*(\[[0-9]{1,9}\])*(\.[a-z][a-z0-9_]*(\[[0-9]{1,9}\])*)*")
_FINAL_SKIPS = frozenset({"condition_false", "none_failed", "concurrency_limit", "coalesced", "reused"})


def step_key(compiled: Compiled, name: str) -> str:
    """The key of a step named by its id or by its key. Raises InvalidInput for one that no repeat can begin at."""
    plan = compiled.plan
    if not _KEY.fullmatch(name) or graph.path_of(name) not in plan.steps:
        name = _key_of_id(compiled, name)
    if not graph.HANDLERS.isdisjoint(name.split(".")):
        raise InvalidInput(
            f"Step {name} belongs to a handler, which runs when the steps it is for have ended; repeat from one of "
            "them.",
            code="step_in_handler",
        )
    for place in _chain(name):
        if place.endswith("]") and plan.steps[graph.path_of(graph.parent_of(place))].kind is StepKind.WHILE:
            loop = graph.parent_of(place)
            raise InvalidInput(
                f"An iteration of {loop} goes on from the one before it, so it cannot be repeated alone; "
                f"repeat from {loop}.",
                code="step_in_loop",
            )
    return name


def _key_of_id(compiled: Compiled, name: str) -> str:
    path = compiled.step_paths.get(name)
    if path is None:
        for key, step in compiled.plan.steps.items():
            if step.kind is StepKind.SUBFLOW and name.startswith(f"{key}."):
                message = f"Step {key} runs another flow; repeat that run (`child_run` of the step), or from {key}."
                raise InvalidInput(message, code="step_of_other_run")
        known = ", ".join(list(compiled.step_paths)[:50])
        raise InvalidInput(f"There is no step {name} to repeat from; there are: {known}.", code="unknown_step")
    if "[]" in path:
        example = path.replace("[]", "[0]")
        message = f"Step {name} runs once for each item; name the item too, such as {example}."
        raise InvalidInput(message, code="item_not_named")
    return path


def taken_over(connection: Connection, run_id: str, plan: Plan, key: str) -> dict[str, Taken]:
    """What need not be done again: whatever does not come after the step, in each list that it stands in, and the
    other items of each `for_each` around it. Raises Conflict when the step would have nothing to go on.
    """
    found: dict[str, Taken] = {}
    needed: list[str] = []
    for place in _chain(key):
        parent = graph.parent_of(place)
        run_id = queries.origin_of(connection, run_id, parent)
        if place.endswith("]"):
            wanted = _other_items(connection, run_id, parent, graph.item_index(place))
        else:
            step = plan.steps[graph.path_of(place)]
            plans = {each.id: each for each in _list_of(connection, run_id, plan, parent, step).steps}
            wanted = list(_beside(plans, step.id, parent))
            needed += [graph.child_key(parent, plans[need]) for need in _needs(plans, step.id)]
        for name, taken in queries.ends_of(connection, run_id, wanted).items():
            if _reusable(taken, plan.steps[graph.path_of(name)]):
                found[name] = taken
    missing = [name for name in needed if name not in found]
    if missing:
        raise Conflict(
            f"Step {missing[0]} did not succeed in that run, so {key} has nothing to go on; "
            f"repeat from {missing[0]} instead.",
            code="step_not_reusable",
        )
    return found


def _beside(plans: Mapping[str, StepPlan], step_id: str, parent: str) -> Iterator[str]:
    """What does not come after the step in its list, with all that it holds."""
    again = _followers(plans, step_id)
    for each in plans.values():
        if each.id not in again:
            sibling = graph.child_key(parent, each)
            yield sibling
            yield from graph.keys_below(each, sibling)


def _chain(key: str) -> list[str]:
    """The step and everything around it, from the outside in."""
    chain = []
    while key:
        chain.append(key)
        key = graph.parent_of(key)
    return chain[::-1]


def _reusable(taken: Taken, step: StepPlan) -> bool:
    if taken.status == "skipped":
        return taken.reason in _FINAL_SKIPS
    return taken.status == "succeeded" or (taken.status in STEP_FAILED and step.continue_on_error)


def _other_items(connection: Connection, run_id: str, fan_key: str, index: int) -> list[str]:
    total = queries.item_count(connection, run_id, fan_key)
    if total is None or index >= total:
        there = "did not begin" if total is None else f"had {total} items, from [0] on"
        raise Conflict(f"{fan_key} {there} in that run; repeat from {fan_key} instead.", code="step_not_reached")
    if total > OUTPUTS_KEPT:
        raise Conflict(
            f"{fan_key} had {total:,} items; one of more than {OUTPUTS_KEPT:,} cannot be repeated by itself. "
            f"Repeat from {fan_key} instead.",
            code="too_many_items",
        )
    return [graph.item_key(fan_key, number) for number in range(total) if number != index]


def _list_of(connection: Connection, run_id: str, plan: Plan, parent: str, step: StepPlan) -> ScopePlan:
    """The list that the step stands in; of a switch, it must be the one that was chosen in that run."""
    holder = plan.steps[graph.path_of(parent)] if parent else None
    if holder is None or holder.kind is not StepKind.SWITCH:
        listed = graph.scope_plan(plan, holder, Phase.BODY, None)
        assert listed is not None
        return listed
    began, case = queries.case_of(connection, run_id, parent)
    listed = graph.scope_plan(plan, holder, Phase.BODY, case)
    if not began or listed is None or step not in listed.steps:
        went = f"went to {case or 'default'}" if began else "did not begin"
        raise Conflict(
            f"{parent} {went} in that run, so {step.id} was not its turn; repeat from {parent} instead.",
            code="step_not_reached",
        )
    return listed


def _followers(plans: Mapping[str, StepPlan], step_id: str) -> set[str]:
    again, todo = {step_id}, [step_id]
    while todo:
        for follower in plans[todo.pop()].dependents:
            if follower not in again:
                again.add(follower)
                todo.append(follower)
    return again


def _needs(plans: Mapping[str, StepPlan], step_id: str) -> Sequence[str]:
    """Every step that comes before this one, nearest first."""
    found: dict[str, None] = {}
    todo = list(plans[step_id].needs)
    while todo:
        need = todo.pop(0)
        if need not in found:
            found[need] = None
            todo += plans[need].needs
    return list(found)
