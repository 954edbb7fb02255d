"""The one place where a run's state changes: a decision is folded into it."""

from __future__ import annotations

from monjolo.engine.draft import Decision
from monjolo.engine.types import OUTPUTS_KEPT, State


def evolve(state: State, decision: Decision) -> State:
    """Returns `state`, changed. The cost is that of the decision, not of the run."""
    if decision.head is not None:
        state.head = decision.head
    state.steps.update(decision.steps)
    state.items.update(decision.items)
    for fan, index, output in decision.ended_items:
        if len(state.items.get(fan, ())) <= OUTPUTS_KEPT:
            state.item_outputs.setdefault(fan, {})[index] = output
    for key in decision.forget:
        state.steps.pop(key, None)
        state.items.pop(key, None)
        state.item_outputs.pop(key, None)
    return state
