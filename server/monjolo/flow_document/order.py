"""The order of a list of steps: what each waits for, what waits for it, and what has ended before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monjolo.flow_document.names import suggestion
from monjolo.flow_document.parse import Path
from monjolo.flow_document.shapes import Report
from monjolo.flow_document.types import Step


@dataclass(frozen=True, slots=True)
class Order:
    """By step id: its needs, its dependents, and the set of steps that have ended before it (as bits)."""

    needs: dict[str, tuple[str, ...]]
    dependents: dict[str, tuple[str, ...]]
    upstream: dict[str, int]


def order_of(steps: Sequence[Step], visible: Mapping[str, int], path: Path, report: Report) -> Order:
    """Reports unknown needs and cycles; a need that is wrong is left out.

    `visible` gives, for each step, the bits of what may be read once it has ended: itself and what it holds.
    Bits, because the sets of a long sequence would grow with its square.
    """
    needs = _needs(steps, path, report)
    dependents: dict[str, list[str]] = {step.id: [] for step in steps}
    for step_id, wanted in needs.items():
        for other in wanted:
            dependents[other].append(step_id)
    waiting = {step_id: len(wanted) for step_id, wanted in needs.items()}
    ready = [step_id for step_id, count in waiting.items() if count == 0]
    upstream: dict[str, int] = {}
    while ready:
        done = ready.pop()
        bits = 0
        for other in needs[done]:
            bits |= upstream[other] | visible[other]
        upstream[done] = bits
        for follower in dependents[done]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                ready.append(follower)
    if len(upstream) < len(needs):
        _report_cycle(steps, needs, upstream, path, report)
    return Order(needs, {key: tuple(value) for key, value in dependents.items()}, upstream)


def _needs(steps: Sequence[Step], path: Path, report: Report) -> dict[str, tuple[str, ...]]:
    ids = {step.id for step in steps}
    found: dict[str, tuple[str, ...]] = {}
    above: str | None = None
    for index, step in enumerate(steps):
        if step.needs is None:
            found[step.id] = () if above is None else (above,)
        else:
            for position, other in enumerate(step.needs):
                if other not in ids:
                    message = f"There is no step `{other}` in this list{suggestion(other, ids)}."
                    report((*path, index, "needs", position), "unknown_need", message)
            found[step.id] = tuple(dict.fromkeys(other for other in step.needs if other in ids))
        above = step.id
    return found


def _report_cycle(
    steps: Sequence[Step],
    needs: dict[str, tuple[str, ...]],
    upstream: dict[str, int],
    path: Path,
    report: Report,
) -> None:
    """Follow the needs that are not met until a step comes up twice: that is one cycle."""
    current = next(step.id for step in steps if step.id not in upstream)
    trail: list[str] = []
    while current not in trail:
        trail.append(current)
        current = next(other for other in needs[current] if other not in upstream)
    circle = [*trail[trail.index(current) :], current]
    index = next(i for i, step in enumerate(steps) if step.id == current)
    named = (*path, index, "needs") if steps[index].needs is not None else (*path, index)
    report(named, "cycle", f"These steps wait for each other: {' → '.join(circle)}; take one `needs` away.")
