# ruff: noqa: RUF009 -- `entry` gives a dataclass field
"""The flow test document, v1: every key that may stand in it. Checked by the shapes of the flow document."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from monjolo.engine.graph import path_of
from monjolo.engine.types import StepKind
from monjolo.flow_document import Compiled
from monjolo.flow_document.builder import understand
from monjolo.flow_document.names import suggestion
from monjolo.flow_document.parse import Path
from monjolo.flow_document.schema import page_of
from monjolo.flow_document.shapes import (
    Anything,
    Boolean,
    Duration,
    Either,
    Expression,
    Integer,
    ListOf,
    MapOf,
    Moment,
    OneOf,
    Record,
    Text,
    entry,
)

SCHEMA = "monjolo/flow-test/v1"
ASSERT_NAMES = frozenset({"inputs", "outputs", "run", "steps"})
_ENDS = ("succeeded", "failed", "cancelled", "skipped", "timed_out", "crashed")
_STEP_ENDS = ("pending", *_ENDS, "unknown")
_WAYS = ("output", "error", "event", "sequence", "items")

_KEY = re.compile(r"[^\[\]]+(?:\[\d*\][^\[\]]*)*")

Report = Callable[[Path, str, str], None]


@dataclass(frozen=True, slots=True)
class MockError:
    """How an attempt fails."""

    type: str = entry(Text(shortest=1), "The type of the error, such as `HttpServerError`.", required=True)
    message: str = entry(Text(), "What it says.", "mocked")
    details: Any = entry(Anything(), "What it carries besides.")
    retryable: bool = entry(Boolean(), "Whether another attempt may help, as the module says.", True)
    retry_after: int | None = entry(Duration(zero=True), "The next attempt begins no sooner than this.")


@dataclass(frozen=True, slots=True)
class Mock:
    """What a step gives, instead of being run. It says one of output, error, event, sequence and items."""

    output: Any = entry(Anything(), "The attempt succeeds and gives this (of a sub-flow: its outputs).")
    error: MockError | None = entry(Record(lambda: MockError), "The attempt (or the sub-flow) fails so.")
    event: dict[str, Any] | None = entry(MapOf(Anything()), "For `wait_for`: the data of the event that comes.")
    after: int = entry(Duration(zero=True), "How long it takes. More than the step's timeout is a time-out.", 0)
    sequence: tuple[Mock, ...] | None = entry(
        ListOf(Record(lambda: Mock), shortest=1), "One for each attempt, or for each event that comes."
    )
    items: tuple[Mock, ...] | None = entry(
        ListOf(Record(lambda: Mock), shortest=1), "One for each item of the innermost `for_each` or `while`."
    )


@dataclass(frozen=True, slots=True)
class StepExpect:
    """What must be true of a step when the run has ended. What is not written is not looked at."""

    status: str | None = entry(OneOf(_STEP_ENDS), "Its status.")
    reason: str | None = entry(Text(), "The reason of its status, such as `upstream_failed`.")
    output: Any = entry(Anything(), "Its output, exactly.")
    inputs: Any = entry(Anything(), "What its last attempt was given, exactly.")
    attempts: int | None = entry(Integer(), "How many attempts there were.")
    error: dict[str, Any] | None = entry(MapOf(Anything()), "Its error: the fields that are written here.")


@dataclass(frozen=True, slots=True)
class Expect:
    """What must be true when the run has ended."""

    status: str = entry(OneOf(_ENDS), "The status of the run.", "succeeded")
    outputs: Any = entry(Anything(), "The outputs of the run, exactly.")
    error: dict[str, Any] | None = entry(MapOf(Anything()), "The error of the run: the fields that are written here.")
    steps: dict[str, Any] = entry(
        MapOf(Either(OneOf(_STEP_ENDS), Record(lambda: StepExpect))), "By key or id: a status, or more of a step.", {}
    )
    assert_: tuple[str | bool, ...] = entry(
        ListOf(Expression()), "Expressions that must be true; they see `inputs`, `outputs`, `run` and `steps`.", ()
    )


@dataclass(frozen=True, slots=True)
class FlowTest:
    """One run of the flow, and what must come of it."""

    name: str = entry(Text(shortest=1, longest=200), "What is true, as a sentence.", required=True)
    expect: Expect = entry(Record(lambda: Expect), "What must come of it.", required=True)
    inputs: dict[str, Any] = entry(MapOf(Anything()), "The inputs of the run.", {})
    vars: dict[str, Any] = entry(MapOf(Anything()), "The variables of the workspace.", {})
    trigger: dict[str, Any] = entry(MapOf(Anything()), "What started it. Default `{type: manual}`.", {})
    event: dict[str, Any] | None = entry(MapOf(Anything()), "The event or webhook that started it.")
    now: int | None = entry(Moment(), "When the run begins. Default 2026-01-01T00:00:00Z.")
    mocks: dict[str, Mock] = entry(MapOf(Record(lambda: Mock)), "What steps give, by key, id or action.", {})


@dataclass(frozen=True, slots=True)
class FlowTests:
    """Tests of one flow, in a file beside it: `NAME.test.yaml` for `NAME.yaml`."""

    schema: str = entry(OneOf((SCHEMA,)), "The format of this file.", required=True)
    tests: tuple[FlowTest, ...] = entry(ListOf(Record(lambda: FlowTest), shortest=1), "The tests.", required=True)
    flow: str | None = entry(Text(shortest=1), "The flow's file, seen from here. Default: the name without `.test`.")
    mocks: dict[str, Mock] = entry(MapOf(Record(lambda: Mock)), "Mocks of every test that has no other.", {})


FLOW_TESTS = Record(lambda: FlowTests)


def reference_page() -> str:
    """docs/reference/flow-test-format.md: every key, its values, and what holds when it is not written."""
    definitions: dict[str, Any] = {}
    FLOW_TESTS.schema(definitions)
    return page_of("Flow test format: every key", SCHEMA, definitions)


def check_against_flow(document: Mapping[str, Any], compiled: Compiled, report: Report) -> None:
    """What the shapes cannot see: that a mock says one thing, and that the steps and names are those of the flow."""
    _check_mocks(document.get("mocks", {}), ("mocks",), compiled, report)
    for index, test in enumerate(document["tests"]):
        path: Path = ("tests", index)
        _check_mocks(test.get("mocks", {}), (*path, "mocks"), compiled, report)
        for key in test["expect"].get("steps", {}):
            _check_step(key, (*path, "expect", "steps", key), compiled, report)
        for number, source in enumerate(test["expect"].get("assert", ())):
            _check_assert(source_of(source), (*path, "expect", "assert", number), report)


def _check_mocks(mocks: Mapping[str, Any], path: Path, compiled: Compiled, report: Report) -> None:
    steps = compiled.plan.steps
    known = {*steps, *compiled.step_paths, *filter(None, (uses_of(compiled, step) for step in steps))}
    for key, mock in mocks.items():
        if _place_of(key) not in known:
            message = f"No step has the key, id or action `{key}`{suggestion(key, known)}."
            report((*path, key), "unknown_step", message)
        _check_mock(mock, (*path, key), report)


def _check_mock(mock: Mapping[str, Any], path: Path, report: Report) -> None:
    said = [way for way in _WAYS if way in mock]
    if len(said) != 1:
        found = f"it has {' and '.join(said)}" if said else "it has none"
        report(path, "two_things", f"A mock says one of {', '.join(_WAYS)}; {found}.")
    for way in ("sequence", "items"):
        if way in mock and "after" in mock:
            report((*path, "after"), "no_effect", f"`after` has no effect beside `{way}`; write it in each of them.")
        for index, inner in enumerate(mock.get(way, ())):
            _check_mock(inner, (*path, way, index), report)


def _check_step(key: str, path: Path, compiled: Compiled, report: Report) -> None:
    place = compiled.step_paths.get(key)
    if place is not None and "[]" in place:
        text = f"`{key}` runs once for each item; write its key, such as `{place.replace('[]', '[0]')}`."
        report(path, "ambiguous_step", text)
    elif place is None and _place_of(key) not in compiled.plan.steps:
        known = [*compiled.step_paths, *compiled.plan.steps]
        report(path, "unknown_step", f"No step has the key or id `{key}`{suggestion(key, known)}.")
    elif place is None and "[]" in key:
        report(path, "ambiguous_step", f"`{key}` names every item; write one, such as `{key.replace('[]', '[0]')}`.")


def _check_assert(source: str, path: Path, report: Report) -> None:
    understood = understand(source)
    for finding in understood.findings:
        report(path, finding.code, finding.message)
    for read in understood.reads:
        if read[0] not in ASSERT_NAMES:
            names = ", ".join(sorted(ASSERT_NAMES))
            report(path, "unknown_name", f"`{read[0]}` is not known here; there are {names}.")


def _place_of(key: str) -> str:
    """The path of a key; what is none stays as it is, and so is unknown."""
    return path_of(key) if _KEY.fullmatch(key) else key


def source_of(expression: str | bool) -> str:
    """The expression's text; a bare `true` of YAML is one too."""
    return expression if isinstance(expression, str) else str(expression).lower()


def uses_of(compiled: Compiled, path: str) -> str | None:
    """`module/action` of an action step, by its path."""
    step = compiled.plan.steps.get(path)
    if step is None or step.kind is not StepKind.ACTION or step.action is None:
        return None
    return f"{step.action.module}/{step.action.action}"
