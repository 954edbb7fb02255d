"""Runs the tests of one flow: reads both documents, says what is wrong in them, rehearses each test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from monjolo.domains.runs.rehearsal.document import (
    FLOW_TESTS,
    FlowTest,
    FlowTests,
    check_against_flow,
)
from monjolo.domains.runs.rehearsal.judging import Difference, differences
from monjolo.domains.runs.rehearsal.world import CannotGoOn, Rehearsal
from monjolo.flow_document import Compiled, ResolvedAction, compile_plan, parse, resolve_actions, validate
from monjolo.flow_document.parse import Parsed, Path, path_text
from monjolo.kit.errors import Problem
from monjolo.kit.time import from_rfc3339

_NOW = from_rfc3339("2026-01-01T00:00:00Z")
_AT_KEY = frozenset({"unknown_key", "unknown_step", "ambiguous_step", "no_effect"})


class _AnyAction:
    """Every `module/action` is taken for one that takes and gives anything: no module is loaded for a test."""

    def resolve(self, uses: str) -> ResolvedAction | None:
        module, slash, action = uses.partition("/")
        name, _, version = module.partition("@")
        return ResolvedAction(name, version or "0", "", action, {"type": "object"}, None) if slash else None


@dataclass(frozen=True, slots=True)
class Tested:
    """`ok`, or the differences; `problem` when the test itself does not say enough to be run to its end."""

    name: str
    line: int | None
    column: int | None
    status: str | None = None
    differences: list[tuple[Difference, tuple[int, int] | None]] = field(default_factory=list)
    problem: Problem | None = None

    @property
    def ok(self) -> bool:
        return not self.differences and self.problem is None


@dataclass(frozen=True, slots=True)
class FileResult:
    """Problems of the flow or of its tests mean that no test was run."""

    flow_problems: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    tests: list[Tested] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.flow_problems and not self.problems and all(test.ok for test in self.tests)


def run_tests(tests: str, flow: str) -> FileResult:
    """`tests` and `flow` are the texts of the two files."""
    given = parse(tests)
    if given.document is None:
        return FileResult(problems=given.problems)
    problems = [problem for problem in validate(flow, _AnyAction()) if problem.severity == "error"]
    document = parse(flow).document
    if problems or document is None:
        return FileResult(flow_problems=problems)
    compiled = compile_plan(document, document["id"], 1, resolve_actions(document, _AnyAction()))
    found = _problems(given, compiled)
    if found:
        return FileResult(problems=found)
    read: FlowTests = FLOW_TESTS.build(given.document)
    results = [_run(test, index, read, given, compiled) for index, test in enumerate(read.tests)]
    return FileResult(tests=results)


def flow_file_of(tests: str) -> str | None:
    """The file that the tests name themselves, if they do and can be read."""
    document = parse(tests).document
    named = (document or {}).get("flow")
    return named if isinstance(named, str) else None


def _problems(given: Parsed, compiled: Compiled) -> list[Problem]:
    problems: list[Problem] = []
    document = given.document or {}

    def report(path: Path, code: str, message: str) -> None:
        at = given.positions.key(path) if code in _AT_KEY else given.positions.value(path)
        line, column = at or (None, None)
        problems.append(Problem(path_text(path), code, message, line, column))

    FLOW_TESTS.check(document, (), report)
    if not problems:
        check_against_flow(document, compiled, report)
    return problems


def _run(test: FlowTest, index: int, read: FlowTests, given: Parsed, compiled: Compiled) -> Tested:
    path: Path = ("tests", index)
    document = given.document or {}
    line, column = given.positions.value(path) or (None, None)

    def problem(code: str, message: str, at: Path) -> Tested:
        where = given.positions.value(at) or (None, None)
        return Tested(test.name, line, column, None, [], Problem(path_text(at), code, message, *where))

    inputs, wrong = _inputs(compiled, test.inputs)
    if wrong:
        return problem("invalid_inputs", wrong, (*path, "inputs"))
    missing = sorted(set(compiled.vars) - set(test.vars))
    if missing:
        return problem("missing_var", f"the flow reads vars.{missing[0]}; give it in `vars`", (*path, "vars"))
    run = Rehearsal(compiled, inputs, _context(test, compiled), test.now or _NOW, (test.mocks, read.mocks))
    try:
        run.to_end()
    except CannotGoOn as error:
        return problem(error.code, str(error), path)
    found = differences(test.expect, document["tests"][index]["expect"], run, compiled, (*path, "expect"))
    placed = [(difference, given.positions.value(difference.at)) for difference in found]
    return Tested(test.name, line, column, str(run.state.head.status), placed)


def _inputs(compiled: Compiled, given: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """With the defaults of the flow's schema, as a run has them; and what is wrong with them."""
    schema = compiled.input_schema or {}
    rules = schema.get("properties", {})
    defaults = {name: rule["default"] for name, rule in rules.items() if isinstance(rule, dict) and "default" in rule}
    inputs = {**defaults, **given}
    if not schema:
        return inputs, "the flow takes no inputs" if inputs else ""
    error = next(iter(jsonschema_rs.validator_for(schema, validate_formats=True).iter_errors(inputs)), None)
    return inputs, f"the inputs do not fit the flow's schema: {error.message}" if error else ""


def _context(test: FlowTest, compiled: Compiled) -> dict[str, Any]:
    trigger = test.trigger or {"type": "manual"}
    return {
        "run": {"id": "test", "number": 1, "trigger": str(trigger.get("type", "manual"))},
        "flow": {"id": compiled.plan.flow, "name": compiled.name or compiled.plan.flow, "version": 1},
        "trigger": trigger,
        "event": test.event,
        "vars": {name: test.vars[name] for name in compiled.vars},
    }
