"""What the engine and the triggers get from a document."""

from __future__ import annotations

import textwrap

import pytest

from monjolo.engine.types import SECOND, Phase, RetryPlan, RunWhen, StepKind
from monjolo.engine.values import Value
from monjolo.flow_document import Retention, compile_plan, parse, resolve_actions
from monjolo.kit.errors import InvalidInput
from monjolo.kit.time import from_rfc3339

MINUTE = 60 * SECOND


@pytest.fixture
def compiled(catalogue):
    def work(text):
        document = parse("schema: monjolo/flow/v1\nid: f\n" + textwrap.dedent(text)).document
        return compile_plan(document, "f", 3, resolve_actions(document, catalogue))

    return work


def test_a_list_is_a_sequence_and_needs_make_a_graph(compiled):
    plan = compiled("""\
        steps:
          - {id: a, uses: core/log}
          - {id: b, uses: core/log}
          - {id: c, needs: [], uses: core/log}
          - {id: d, needs: [a, c, a], uses: core/log, run_when: one_failed}
        """).plan
    assert {step.id: step.needs for step in plan.body.steps} == {"a": (), "b": ("a",), "c": (), "d": ("a", "c")}
    assert {step.id: step.dependents for step in plan.body.steps} == {"a": ("b", "d"), "b": (), "c": ("d",), "d": ()}
    assert plan.steps["d"].run_when is RunWhen.ONE_FAILED
    assert (plan.flow, plan.version) == ("f", 3)


def test_every_step_is_found_by_its_path(compiled):
    found = compiled("""\
        steps:
          - id: g
            group:
              steps: [{id: x, uses: core/log}]
              on_failure: [{id: gf, uses: core/log}]
              finally: [{id: gz, uses: core/log}]
          - {id: each, for_each: {items: []}, uses: core/log}
          - {id: lote, for_each: {items: []}, steps: [
               {id: gravar, for_each: {items: []}, steps: [{id: y, uses: core/log}]}]}
          - {id: s, switch: {value: 1, cases: {one: [{id: c1, uses: core/log}]}, default: [{id: c2, uses: core/log}]}}
        on_failure: [{id: alerta, uses: core/log}]
        on_success: [{id: bem, group: {steps: [{id: z, uses: core/log}], on_cancel: [{id: gc, uses: core/log}]}}]
        """)
    assert set(found.plan.steps) == {
        "g", "g.x", "g.on_failure.gf", "g.finally.gz", "each", "each[]", "lote", "lote[]", "lote[].gravar",
        "lote[].gravar[]", "lote[].gravar[].y", "s", "s.c1", "s.c2", "on_failure.alerta", "on_success.bem",
        "on_success.bem.z", "on_success.bem.on_cancel.gc",
    }  # fmt: skip
    for path, step in found.plan.steps.items():
        assert step.path == path
    assert found.plan.steps["on_failure.alerta"].phase is Phase.ON_FAILURE
    assert found.plan.steps["g.finally.gz"].phase is Phase.FINALLY
    assert found.plan.steps["each[]"].kind is StepKind.ACTION
    assert found.plan.steps["lote[]"].kind is StepKind.GROUP
    assert found.plan.steps["lote"].item is found.plan.steps["lote[]"]
    assert found.step_paths["y"] == "lote[].gravar[].y"
    assert found.step_paths["each"] == "each"


def test_the_plan_holds_the_same_steps_as_its_index(compiled):
    plan = compiled("""\
        steps:
          - {id: g, group: {steps: [{id: x, uses: core/log}]}}
          - {id: e, for_each: {items: [1]}, steps: [{id: y, uses: core/log}]}
        """).plan
    assert plan.body.steps[0].body.steps[0] is plan.steps["g.x"]
    assert plan.body.steps[1].item.body.steps[0] is plan.steps["e[].y"]


def test_retry_and_timeouts_of_a_fan_out_belong_to_its_items(compiled):
    plan = compiled("""\
        steps:
          - {id: e, for_each: {items: [1], max_parallel: 4, batch_size: 2, on_item_error: skip}, uses: core/log,
             timeout: 1m, queue_timeout: 2m, retry: {max_attempts: 5}, delivery: at_most_once, max_crashes: 1,
             concurrency: {limit: 2, key: "k", on_limit: skip}, if: "true", continue_on_error: true}
          - {id: n, for_each: {items: [1]}, timeout: 3m, steps: [{id: y, uses: core/log}]}
        """).plan
    fan, item = plan.steps["e"], plan.steps["e[]"]
    assert (fan.timeout, fan.queue_timeout, fan.retry) == (None, None, RetryPlan())
    assert (fan.concurrency.limit, fan.concurrency.on_limit, fan.continue_on_error) == (2, "skip", True)
    assert fan.condition is not None
    assert (item.timeout, item.queue_timeout, item.retry.max_attempts) == (MINUTE, 2 * MINUTE, 5)
    assert (item.at_most_once, item.max_crashes, item.condition, item.concurrency) == (True, 1, None, None)
    assert (fan.for_each.max_parallel, fan.for_each.batch_size, fan.for_each.on_item_error) == (4, 2, "skip")
    assert (plan.steps["n"].timeout, plan.steps["n[]"].timeout) == (3 * MINUTE, None)


def test_defaults_apply_to_the_actions_that_set_none(compiled):
    plan = compiled("""\
        defaults: {retry: {max_attempts: 4, if: "error.type == 'x'"}, timeout: 1m, queue_timeout: 2m}
        steps:
          - {id: a, uses: core/log}
          - {id: b, uses: core/log, timeout: 5m, queue_timeout: 6m, retry: {max_attempts: 1}}
          - {id: c, for_each: {items: [1]}, uses: core/log}
          - {id: d, group: {steps: [{id: e, uses: core/log}]}}
        """).plan
    for path in ("a", "c[]", "d.e"):
        step = plan.steps[path]
        assert (step.timeout, step.queue_timeout, step.retry.max_attempts) == (MINUTE, 2 * MINUTE, 4)
        assert step.retry.condition is not None
    step = plan.steps["b"]
    assert (step.timeout, step.queue_timeout, step.retry.max_attempts) == (5 * MINUTE, 6 * MINUTE, 1)
    assert (plan.steps["c"].timeout, plan.steps["d"].timeout) == (None, None)


def test_retry_is_compiled_in_the_engine_s_units(compiled):
    retry = (
        compiled("""\
        steps:
          - {id: a, uses: core/log, retry: {max_attempts: 7, backoff: linear, delay: 500ms, factor: 3, max_delay: 1h,
             jitter: 0.5, max_elapsed: 1d}}
        """)
        .plan.steps["a"]
        .retry
    )
    assert retry == RetryPlan(7, "linear", 500_000, 3, 3_600 * SECOND, 0.5, 86_400 * SECOND, None)


def test_an_action_is_the_one_that_was_resolved(compiled):
    found = compiled("steps: [{id: a, uses: git@1/report, with: {r: 'x', n: [1, '${{ run.number + 1 }}']}}]")
    action = found.plan.steps["a"].action
    assert (action.module, action.version, action.digest, action.action) == ("git", "1.4.2", "sha256:git", "report")
    assert found.expressions.evaluate(action.inputs, {"run": {"number": 4}}) == Value({"r": "x", "n": [1, 5]})


@pytest.mark.parametrize(
    ("step", "value"),
    [
        ("sleep: 1h30m", 5_400 * SECOND),
        ("sleep: 2.5", 2_500_000),
        ("sleep: '${{ inputs.t }}'", 90 * SECOND),
        ("sleep: '${{ inputs.n }}'", 3 * SECOND),
        ("sleep_until: 2026-11-22T09:00:00-03:00", from_rfc3339("2026-11-22T12:00:00Z")),
        ("sleep_until: '${{ inputs.at }}'", from_rfc3339("2026-01-01T00:00:00Z")),
        ("fail: 'no ${{ inputs.n }}'", "no 3"),
        ("fail: {message: 'no ${{ inputs.n }}', type: Bad}", {"message": "no 3", "type": "Bad", "details": None}),
        ("return: {outputs: {a: '${{ inputs.n }}'}}", {"a": 3}),
        ("return: {}", {}),
    ],
)
def test_what_a_construct_needs_is_given_in_the_engine_s_terms(compiled, step, value):
    found = compiled(
        f"inputs: {{type: object, properties: {{t: {{}}, n: {{}}, at: {{}}}}}}\nsteps: [{{id: a, {step}}}]"
    )
    inputs = {"t": "90s", "n": 3, "at": "2026-01-01T00:00:00Z"}
    assert found.expressions.evaluate(found.plan.steps["a"].value, {"inputs": inputs}) == Value(value)


def test_conditions_give_true_or_false_or_a_failure(compiled):
    found = compiled("""\
        inputs: {type: object, properties: {n: {}}}
        steps:
          - {id: a, uses: core/log, if: inputs.n > 1}
          - {id: b, uses: core/log, if: "${{ inputs.n > 1 }}"}
          - {id: c, uses: core/log, if: inputs.n}
          - {id: d, uses: core/log, if: false}
        """)

    def of(path, n):
        return found.expressions.evaluate(found.plan.steps[path].condition, {"inputs": {"n": n}})

    assert [of(path, 2) for path in "abd"] == [Value(True), Value(True), Value(False)]
    assert of("c", True) == Value(True)
    assert of("c", 1).code == "not_boolean"


def test_a_sub_flow_and_a_switch_keep_what_is_written(compiled):
    found = compiled("""\
        steps:
          - {id: a, subflow: {flow: other, version: 2, inputs: {x: 1}, wait: false, propagate_failure: false}}
          - {id: s, switch: {value: "${{ 1 + 1 }}", cases: {
             2: [{id: b, uses: core/log}], x: [{id: c, uses: core/log}]}}}
        """)
    subflow = found.plan.steps["a"].subflow
    assert (subflow.flow, subflow.version, subflow.wait, subflow.propagate_failure) == ("other", 2, False, False)
    assert found.expressions.evaluate(subflow.inputs, {}) == Value({"x": 1})
    switch = found.plan.steps["s"]
    assert [(name, scope.steps[0].id) for name, scope in switch.cases] == [("2", "b"), ("x", "c")]
    assert switch.default is None
    assert found.expressions.evaluate(switch.switch, {}) == Value(2)


def test_the_head_of_a_document_comes_with_it(compiled):
    found = compiled("""\
        name: N
        description: D
        labels: {a: b}
        vars: [v]
        retention: {runs: 5}
        inputs: {type: object, properties: {r: {type: string}}}
        concurrency: {key: "${{ inputs.r }}-${{ vars.v }}", limit: 2, on_limit: fail}
        timeout: 10m
        outputs: {o: "${{ steps.a.status }}"}
        steps: [{id: a, uses: core/log}]
        """)
    assert (found.name, found.description, found.labels, found.vars) == ("N", "D", {"a": "b"}, ("v",))
    assert found.retention == Retention(runs=5)
    assert found.input_schema == {"type": "object", "properties": {"r": {"type": "string"}}}
    assert found.plan.timeout == 10 * MINUTE
    assert (found.plan.concurrency.limit, found.plan.concurrency.on_limit) == (2, "fail")
    names = {"inputs": {"r": "x"}, "vars": {"v": 1}, "steps": {"a": {"status": "succeeded"}}}
    assert found.expressions.evaluate(found.plan.concurrency.key, names) == Value("x-1")
    assert found.expressions.evaluate(found.plan.outputs, names) == Value({"o": "succeeded"})


def test_triggers_are_ready_to_be_stored(compiled):
    found = compiled("""\
        triggers:
          - {id: s, type: schedule, cron: "0 3 * * *", misfire_grace: 1h, start_at: "2026-01-01T00:00:00Z"}
          - {id: i, type: interval, every: 90s, enabled: false}
          - {id: w, type: webhook, path: a/b, auth: {type: hmac, secret: "${{ secrets.k }}", tolerance: 5m},
             when: event.n > 1, inputs: {n: "${{ event.n }}"}, dedupe_key: "k${{ event.n }}"}
          - {id: e, type: event, event: run.failed}
          - {id: m, type: manual}
        steps: [{id: a, uses: core/log}]
        """)
    schedule, interval, webhook, event, manual = found.triggers
    assert schedule.config == {
        "cron": "0 3 * * *", "timezone": "UTC", "jitter": None, "start_at": from_rfc3339("2026-01-01T00:00:00Z"),
        "end_at": None, "misfire": "last", "misfire_grace": 60 * MINUTE, "misfire_max": 100,
    }  # fmt: skip
    assert (interval.config, interval.enabled) == ({"every": 90 * SECOND, "anchor": None}, False)
    assert webhook.config == {
        "path": "a/b",
        "methods": ("POST",),
        "auth": {"type": "hmac", "header": None, "algorithm": "sha256", "encoding": "hex", "tolerance": 5 * MINUTE},
        "respond": "async",
        "wait": None,
    }
    names = {"event": {"n": 2}}
    table = found.expressions
    assert table.evaluate(webhook.when, names) == Value(True)
    assert table.evaluate(webhook.inputs, names) == Value({"n": 2})
    assert table.evaluate(webhook.dedupe_key, names) == Value("k2")
    assert table.evaluate(webhook.secret, {}) == Value({"$secret": "k"})
    assert (event.config, manual.config) == ({"event": "run.failed"}, {})


def test_a_wrong_document_is_not_compiled(catalogue):
    with pytest.raises(InvalidInput) as raised:
        compile_plan({"schema": "monjolo/flow/v1", "id": "x", "steps": [{"id": "a", "uses": "core/log"}]}, "x", 1, {})
    assert [p.code for p in raised.value.errors] == ["unknown_action"]
    with pytest.raises(InvalidInput):
        compile_plan({"id": "x"}, "x", 1, {})
