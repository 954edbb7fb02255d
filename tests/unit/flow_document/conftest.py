"""A catalogue of three actions, and the short way to evaluate one expression."""

from __future__ import annotations

import pytest

from monjolo.engine.values import Failure, Value
from monjolo.flow_document.actions import ResolvedAction
from monjolo.flow_document.builder import Builder
from monjolo.flow_document.names import Known, Place

REPORT = {
    "type": "object",
    "properties": {
        "rows": {"type": "array"},
        "owners": {"type": "array"},
        "total": {"type": "integer"},
        "repo": {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": False},
    },
    "additionalProperties": False,
}
SEND = {
    "type": "object",
    "properties": {
        "to": {"type": "string"},
        "times": {"type": "integer", "minimum": 1},
        "body": {},
        "kind": {"enum": ["plain", "html"]},
    },
    "required": ["to"],
    "additionalProperties": False,
}


class Catalogue:
    """`git/report` with closed output, `mail/send` with closed input, `core/log` open on both sides."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def resolve(self, uses: str) -> ResolvedAction | None:
        self.asked.append(uses)
        module, _, action = uses.partition("/")
        name = f"{module.partition('@')[0]}/{action}"
        if name == "git/report":
            return ResolvedAction("git", "1.4.2", "sha256:git", "report", {"type": "object"}, REPORT)
        if name == "mail/send":
            return ResolvedAction("mail", "2.0.0", "sha256:mail", "send", SEND, None)
        if name == "core/log":
            return ResolvedAction("core", "1.0.0", "sha256:core", "log", {"type": "object"}, None)
        return None


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


class Outcome:
    """Compiles one value of a document in a place where every name is known, and evaluates it."""

    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []
        self.builder = Builder(lambda path, code, message: self.problems.append((code, message)))
        names = frozenset(
            ["inputs", "steps", "run", "flow", "trigger", "event", "vars", "error", "x", "y", "item", "index"]
        )
        known = Known(steps={"a": 1, "b": 2}, inputs={"additionalProperties": True})
        self.place = Place(known, names, upstream=3, secrets=True)

    def of(self, text: object, **names: object) -> Value | Failure:
        row = self.builder.value(text, self.place, ("here",))
        assert not self.problems, self.problems
        return self.builder.finish().evaluate(row, names)

    def cel(self, source: str, **names: object) -> object:
        """The value of an expression, or the code of its failure."""
        found = self.of("${{ " + source + " }}", **names)
        return found.value if isinstance(found, Value) else found.code

    def problem(self, source: str) -> str:
        self.builder.value("${{ " + source + " }}", self.place, ("here",))
        assert self.problems, f"{source} was taken"
        return self.problems[0][0]


@pytest.fixture
def outcome() -> Outcome:
    return Outcome()
