"""`while` and `wait_for` in a document: what goes together, which names they know, what is refused."""

from __future__ import annotations

import pytest

from monjolo.engine.types import StepKind
from monjolo.flow_document import awaited_events, compile_plan, parse, resolve_actions, validate

HEAD = "schema: monjolo/flow/v1\nid: teste\nsteps:\n  - {id: a, uses: git/report}\n"


def problems(catalogue, step):
    return [(p.code, p.path) for p in validate(f"{HEAD}  - {{id: b, {step}}}\n", catalogue)]


@pytest.mark.parametrize(
    "step",
    [
        "while: {if: 'index < 3'}, uses: git/report, with: {n: '${{ index }}'}, retry: {max_attempts: 2}, timeout: 1m",
        "while: {if: 'steps.b.output.last.total > 3'}, uses: git/report",
        "while: {if: true, steps: [{id: c, uses: core/log, with: {n: '${{ steps.b.output.last.c }}'}}]}, timeout: 1m",
        "while: {if: \"steps.c.status == 'x' && steps.a.output.total > 1\", steps: [{id: c, uses: core/log}]}",
        "while: {if: '${{ index < 3 }}', max_iterations: 5, interval: 2s, steps: [{id: c, wait_for: {event: x}}]}",
        "wait_for: {event: x, when: 'event.n > steps.a.output.total', timeout: 1h}, retry: {if: \"error.type == 'x'\"}",
        "wait_for: {event: run.failed}, concurrency: {limit: 2}, continue_on_error: true, run_when: all_done",
    ],
)
def test_these_go_together(catalogue, step):
    assert problems(catalogue, step) == []


@pytest.mark.parametrize(
    ("step", "code", "path"),
    [
        ("while: {if: true}", "nothing_to_do", "steps[1].while"),
        ("while: {if: true, steps: [{id: c, uses: core/log}]}, uses: core/log", "two_things", "steps[1].while"),
        ("while: {if: true}, uses: core/log, sleep: 1s", "two_things", "steps[1].sleep"),
        ("while: {if: true}, for_each: {items: [1]}, uses: core/log", "two_things", "steps[1].while"),
        ("while: {if: true}, steps: [{id: c, uses: core/log}], uses: core/log", "no_effect", "steps[1].steps"),
        ("while: {steps: [{id: c, uses: core/log}]}", "missing_key", "steps[1].while"),
        ("while: {if: '1 + 1'}, uses: core/log", "not_boolean", "steps[1].while.if"),
        ("while: {if: item > 1}, uses: core/log", "unknown_name", "steps[1].while.if"),
        ("while: {if: steps.b.output.ok}, uses: core/log", "unknown_field", "steps[1].while.if"),
        ("while: {if: steps.b.output.last.ok}, uses: git/report", "unknown_field", "steps[1].while.if"),
        ("while: {if: true, max_iterations: 0}, uses: core/log", "out_of_range", "steps[1].while.max_iterations"),
        ("while: {if: true, interval: 0s}, uses: core/log", "out_of_range", "steps[1].while.interval"),
        ("while: {if: true, steps: [{id: c, uses: core/log}]}, retry: {delay: 1s}", "no_effect", "steps[1].retry"),
        ("wait_for: {when: true}", "missing_key", "steps[1].wait_for"),
        ("wait_for: {event: 'a b'}", "bad_format", "steps[1].wait_for.event"),
        ("wait_for: {event: x, when: 'evnt.n > 1'}", "unknown_name", "steps[1].wait_for.when"),
        ("wait_for: {event: x}, retry: {delay: 1s}", "no_effect", "steps[1].retry"),
        ("wait_for: {event: x}, timeout: 1m", "no_effect", "steps[1].timeout"),
        ("wait_for: {event: x}, uses: core/log", "two_things", "steps[1].wait_for"),
    ],
)  # fmt: skip
def test_these_do_not(catalogue, step, code, path):
    assert (code, path) in problems(catalogue, step)


@pytest.mark.parametrize(
    ("step", "read", "code"),
    [
        ("while: {if: true, steps: [{id: c, uses: core/log}]}", "steps.c.output", "step_not_upstream"),
        ("while: {if: true, steps: [{id: c, uses: core/log}]}", "index", "unknown_name"),
        ("while: {if: true}, uses: core/log", "steps.b.output.status", "unknown_field"),
        ("wait_for: {event: x}", "steps.b.output.order", "unknown_field"),
    ],
)
def test_what_stands_after_them_knows_their_output_alone(catalogue, step, read, code):
    source = f"{HEAD}  - {{id: b, {step}}}\n  - {{id: z, uses: core/log, with: {{m: '${{{{ {read} }}}}'}}}}\n"
    assert [p.code for p in validate(source, catalogue)] == [code]


def test_an_iteration_is_a_step_of_its_own_in_the_plan(catalogue):
    document = parse(
        HEAD + "  - {id: b, while: {if: true, steps: [{id: c, wait_for: {event: x}}]}, timeout: 1m}\n"
        "  - {id: d, wait_for: {event: a.b, timeout: 5s}}\n"
    ).document
    plan = compile_plan(document, "teste", 1, resolve_actions(document, catalogue)).plan
    assert {path: plan.steps[path].kind for path in ("b", "b[]", "b[].c", "d")} == {
        "b": StepKind.WHILE,
        "b[]": StepKind.GROUP,
        "b[].c": StepKind.WAIT_FOR,
        "d": StepKind.WAIT_FOR,
    }
    assert (plan.steps["b"].timeout, plan.steps["b[]"].timeout, plan.steps["d"].timeout) == (
        60_000_000,
        None,
        5_000_000,
    )
    assert plan.steps["b"].loop.max_iterations == 1_000
    assert awaited_events(document) == ["a.b", "x"]
