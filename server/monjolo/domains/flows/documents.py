"""Between a flow's text and a version: checked as a whole, its actions pinned, compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from monjolo import flow_document
from monjolo.flow_document import Catalogue, Compiled, ResolvedAction
from monjolo.kit.errors import InvalidInput, PayloadTooLarge, Problem

MAX_SOURCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Checked:
    """`document` is None when a problem is an error; `resolved` maps each `uses` to what it means today.

    `awaits` are the types of event that its steps wait for.
    """

    source: str
    problems: list[Problem]
    document: dict[str, Any] | None = None
    resolved: dict[str, Any] = field(default_factory=dict)
    awaits: list[str] = field(default_factory=list)


def as_text(source: str | None, document: Mapping[str, Any] | None) -> str:
    """The text of a flow that was sent as one or the other; a document becomes YAML."""
    if (source is None) == (document is None):
        raise InvalidInput("Send the flow as `source` (text) or as `document` (an object): one of the two.")
    if source is None:
        source = flow_document.dump(dict(document or {}))
    if len(source) > MAX_SOURCE or len(source.encode("utf-8", "surrogatepass")) > MAX_SOURCE:
        raise PayloadTooLarge("A flow may be at most 1 MiB of text.", code="flow_too_large")
    return source


def check(source: str, catalogue: Catalogue, known_flows: frozenset[str]) -> Checked:
    """Everything that can be known before a run. Slow for a large flow: call it outside the event loop."""
    problems = flow_document.validate(source, catalogue, known_flows)
    if any(problem.severity == "error" for problem in problems):
        return Checked(source, problems)
    document = flow_document.parse(source).document or {}
    resolved = flow_document.resolve_actions(document, catalogue)
    pinned = {uses: asdict(action) for uses, action in resolved.items()}
    return Checked(source, problems, document, pinned, flow_document.awaited_events(document))


def compile_stored(document: dict[str, Any], slug: str, number: int, resolved: Mapping[str, Any]) -> Compiled:
    """A published version as it was meant then: with the modules that it was published with."""
    actions = {uses: ResolvedAction(**action) for uses, action in resolved.items()}
    return flow_document.compile_plan(document, slug, number, actions)
