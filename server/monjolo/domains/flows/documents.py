"""Between a flow's text and a version: checked as a whole, its actions pinned, compiled."""

from __future__ import annotations

import json as text_json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from monjolo import flow_document
from monjolo.flow_document import Catalogue, Compiled, ResolvedAction
from monjolo.kit.errors import InvalidInput, PayloadTooLarge, Problem

MAX_SOURCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Checked:
    """`document` is None when the text could not be read; `resolved` maps each `uses` to what it means today."""

    source: str
    problems: list[Problem]
    document: dict[str, Any] | None = None
    resolved: dict[str, Any] = field(default_factory=dict)


def as_text(source: str | None, document: Mapping[str, Any] | None) -> str:
    """The text of a flow that was sent as one or the other; a document becomes JSON, which is YAML too."""
    if (source is None) == (document is None):
        raise InvalidInput("Send the flow as `source` (text) or as `document` (an object): one of the two.")
    if source is None:
        source = text_json.dumps(document, indent=2, ensure_ascii=False)
    if len(source) > MAX_SOURCE or len(source.encode("utf-8", "surrogatepass")) > MAX_SOURCE:
        raise PayloadTooLarge("A flow may be at most 1 MiB of text.", code="flow_too_large")
    return source


def check(source: str, catalogue: Catalogue, known_flows: frozenset[str]) -> Checked:
    """Everything that can be known before a run. Slow for a large flow: call it outside the event loop."""
    parsed = flow_document.parse(source)
    problems = list(flow_document.validate(source, catalogue, known_flows))
    if parsed.document is None or any(p.severity == "error" for p in problems):
        return Checked(source, problems, parsed.document)
    resolved = _resolve(parsed.document, catalogue)
    flow_document.compile_plan(parsed.document, parsed.document["id"], 1, resolved)
    return Checked(
        source, problems, parsed.document, {uses: asdict(action) for uses, action in resolved.items()}
    )


def compile_stored(document: dict[str, Any], slug: str, number: int, resolved: Mapping[str, Any]) -> Compiled:
    """A published version as it was meant then: with the modules that it was published with."""
    actions = {uses: ResolvedAction(**action) for uses, action in resolved.items()}
    return flow_document.compile_plan(document, slug, number, actions)


def _resolve(document: Mapping[str, Any], catalogue: Catalogue) -> dict[str, ResolvedAction]:
    found = {uses: catalogue.resolve(uses) for uses in sorted(_uses_below(document))}
    return {uses: action for uses, action in found.items() if action is not None}


_DATA = frozenset(
    {"with", "inputs", "outputs", "vars", "labels"}
)  # what stands below these is the flow's own data


def _uses_below(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*(_uses_below(child) for child in node)) if node else set()
    if not isinstance(node, Mapping):
        return set()
    below = [_uses_below(child) for key, child in node.items() if key not in _DATA]
    own = {node["uses"]} if isinstance(node.get("uses"), str) else set()
    return own.union(*below)
