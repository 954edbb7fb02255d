"""The one question the platform asks of a document before it keeps it: what is wrong, and where?"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from monjolo.flow_document.actions import Catalogue, ResolvedAction
from monjolo.flow_document.compile import compile_flow
from monjolo.flow_document.parse import Path, Positions, document_problem, parse, path_text
from monjolo.flow_document.rules import all_steps, check_rules
from monjolo.flow_document.types import FLOW, Flow
from monjolo.kit.errors import Problem

MAX_PROBLEMS = 200
_AT_KEY = frozenset({"unknown_key", "unknown_input", "no_effect", "two_things", "duplicate_id"})


def validate(
    source: str | dict[str, Any], catalogue: Catalogue, known_flows: Collection[str] | None = None
) -> list[Problem]:
    """Every problem of a document, with its place; an empty list (or only warnings) means it can be published.

    `source` is text, or a document that came as JSON (which has no lines). With `known_flows`, a sub-flow
    that does not exist is a warning. The limits of text hold for both.
    """
    if isinstance(source, str):
        parsed = parse(source)
        if parsed.document is None:
            return parsed.problems
        return check(parsed.document, parsed.positions, catalogue, known_flows)
    problem = document_problem(source)
    return [problem] if problem else check(source, Positions(), catalogue, known_flows)


def check(
    document: dict[str, Any],
    positions: Positions,
    catalogue: Catalogue,
    known_flows: Collection[str] | None = None,
) -> list[Problem]:
    """`validate` for a document that has been parsed already."""
    problems: list[Problem] = []

    def report(path: Path, code: str, message: str, severity: str = "error") -> None:
        at = positions.key(path) if code in _AT_KEY else positions.value(path)
        line, column = at or (None, None)
        found = Problem(path_text(path), code, message, line, column, severity)
        if len(problems) < MAX_PROBLEMS and found not in problems[-20:]:
            problems.append(found)

    FLOW.check(document, (), report)
    if problems:
        return problems
    flow: Flow = FLOW.build(document)
    check_rules(flow, document, report)
    if any(problem.code in ("duplicate_id", "two_things", "nothing_to_do") for problem in problems):
        return problems  # the plan of such a document has no meaning
    compile_flow(flow, flow.id, 0, _remembering(catalogue), report)
    if known_flows is not None:
        _check_subflows(flow, known_flows, report)
    return problems


def resolve_actions(document: dict[str, Any], catalogue: Catalogue) -> dict[str, ResolvedAction]:
    """What each `uses` of a valid document means now: kept with a published version, given to compile_plan."""
    resolve = _remembering(catalogue)
    found = {step.uses: resolve(step.uses) for step, _ in all_steps(FLOW.build(document)) if step.uses}
    return {uses: action for uses, action in found.items() if action is not None}


def awaited_events(document: dict[str, Any]) -> list[str]:
    """The types of event that the steps of a valid document wait for."""
    found = {step.wait_for.event for step, _ in all_steps(FLOW.build(document)) if step.wait_for is not None}
    return sorted(found)


def _remembering(catalogue: Catalogue) -> Callable[[str], ResolvedAction | None]:
    known: dict[str, ResolvedAction | None] = {}

    def resolve(uses: str) -> ResolvedAction | None:
        if uses not in known:
            known[uses] = catalogue.resolve(uses)
        return known[uses]

    return resolve


def _check_subflows(flow: Flow, known_flows: Collection[str], report: Callable[..., None]) -> None:
    for step, path in all_steps(flow):
        if step.subflow is not None and step.subflow.flow not in known_flows and step.subflow.flow != flow.id:
            message = f"There is no flow `{step.subflow.flow}` yet; the step fails until there is."
            report((*path, "subflow", "flow"), "unknown_flow", message, "warning")
