"""Every key that a flow document may hold has an effect, and a case that proves it (rule 12: no dead settings)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.conformance.cases import CASES, Case, Path
from tests.conformance.driver import Actions, Run
from tests.conformance.trigger_cases import TRIGGER_CASES

from monjolo.flow_document import compile_plan, json_schema, parse, resolve_actions, validate


def document_of(source: str) -> dict[str, Any]:
    parsed = parse(source if "schema:" in source else f"schema: monjolo/flow/v1\nid: f\n{source}")
    assert parsed.document is not None, parsed.problems
    return parsed.document


def without(document: dict[str, Any], at: Path) -> dict[str, Any]:
    document = copy.deepcopy(document)
    holder: Any = document
    for part in at[:-1]:
        holder = holder[part]
    del holder[at[-1]]
    return document


def seen(case: Case, document: dict[str, Any]) -> Any:
    problems = [problem for problem in validate(document, Actions()) if problem.severity == "error"]
    if problems:
        return "refused", problems[0].path, problems[0].code
    compiled = compile_plan(document, "f", 1, resolve_actions(document, Actions()))
    run = Run("", compiled=compiled, **case.given)
    case.act(run)
    return case.see(run)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_key_does_what_it_says(case: Case) -> None:
    assert seen(case, document_of(case.document)) == case.seen


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_leaving_the_key_out_is_seen(case: Case) -> None:
    document = document_of(case.document)
    assert seen(case, without(document, case.at)) != case.seen


def test_each_key_of_the_schema_has_its_case_and_each_case_its_key() -> None:
    definitions = json_schema()["$defs"]
    accepted = [f"{record}.{key}" for record, schema in definitions.items() for key in schema["properties"]]
    proven = [case.name for case in (*CASES, *TRIGGER_CASES)]
    assert sorted(proven) == sorted(accepted)


@pytest.mark.parametrize("key", ["retry: {max_attempts: 2}", "max_crashes: 1"])
def test_a_key_that_at_most_once_leaves_without_effect_is_refused(key: str) -> None:
    document = document_of(f"steps: [{{id: a, uses: m/x, delivery: at_most_once, {key}}}]")
    assert [problem.code for problem in validate(document, Actions())] == ["no_effect"]
