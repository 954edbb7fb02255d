"""What is wrong with a document is said with its place, a stable code and what to do."""

from __future__ import annotations

import textwrap

import pytest

from monjolo.flow_document import validate

HEAD = "schema: monjolo/flow/v1\nid: teste\n"
OK = "steps:\n  - {id: a, uses: core/log}\n"


def problems(catalogue, text, head=HEAD):
    return [(p.code, p.path) for p in validate(head + textwrap.dedent(text), catalogue)]


def test_a_right_document_has_no_problem(catalogue):
    text = """\
    name: Tudo
    description: |
      Every key of this version.
    labels: {team: home}
    vars: [region, host.name]
    inputs:
      type: object
      properties: {repo: {type: string, default: a/b}, n: {type: integer}, free: {type: object}}
      required: [repo]
    triggers:
      - {id: m, type: manual}
      - {id: s, type: schedule, cron: "@daily", timezone: America/Sao_Paulo, jitter: 5m, misfire: all, misfire_max: 7,
         misfire_grace: 1h, start_at: "2026-01-01T00:00:00Z", end_at: 2027-01-01T00:00:00-03:00, enabled: false}
      - {id: i, type: interval, every: 90s, anchor: "2026-01-01T00:00:00Z", inputs: {repo: "${{ trigger.id }}"}}
      - {id: w, type: webhook, path: git/push, methods: [POST, PUT], dedupe_key: "${{ event.headers['x-id'] }}",
         when: event.body.ref == 'main',
         auth: {type: hmac, secret: "${{ secrets.k }}", header: X-Sig, algorithm: sha512, encoding: base64,
                tolerance: 5m}}
      - {id: o, type: webhook, auth: none}
      - {id: e, type: event, event: run.failed, when: "event.flow == 'x'"}
    concurrency: {key: "${{ inputs.repo }}", limit: 2, on_limit: cancel_running}
    timeout: 30m
    defaults: {retry: {max_attempts: 2}, timeout: 1m, queue_timeout: 10m}
    retention: {runs: 100, days: 30, logs: 7}
    steps:
      - id: coletar
        uses: git@1/report
        with: {repo: "${{ inputs.repo }}", key: "${{ secrets.k }}", host: "${{ vars['host.name'] }}"}
        retry: {max_attempts: 5, backoff: linear, delay: 2s, factor: 3, max_delay: 1m, jitter: 0.2, max_elapsed: 1h,
                if: "error.type != 'AuthError'"}
        timeout: 2m
        queue_timeout: PT5M
        delivery: at_least_once
        max_crashes: 0
        concurrency: {limit: 1, key: x, on_limit: queue}
        continue_on_error: true
      - id: avisar
        if: steps.coletar.output.rows.size() > 0
        run_when: all_done
        for_each: {items: "${{ steps.coletar.output.owners }}", as: owner, max_parallel: 4, batch_size: 1,
                   on_item_error: collect}
        uses: mail/send
        with: {to: "${{ owner.name }} ${{ index }}"}
      - id: lote
        for_each: {items: [1, 2]}
        steps:
          - {id: dentro, uses: core/log, with: {m: "${{ item }} ${{ steps.coletar.output.total }}"}}
          - {id: depois, sleep: "${{ item * 0.5 }}", if: steps.dentro.status == 'succeeded'}
      - id: escolha
        switch:
          value: ${{ inputs.n }}
          cases: {1: [{id: um, uses: core/log}], b: [{id: dois, fail: {message: no, type: Bad, details: {a: 1}}}]}
          default: [{id: outro, return: {outputs: {x: 1}}}]
      - id: grupo
        needs: [escolha, lote]
        timeout: 5m
        group:
          steps:
            - {id: g1, needs: [], uses: core/log}
            - {id: g2, needs: [], uses: core/log, delivery: at_most_once}
          on_failure: [{id: gf, uses: core/log, with: {m: "${{ error.message }} ${{ steps.g1.status }}"}}]
          on_success: [{id: gs, uses: core/log}]
          on_cancel: [{id: gc, uses: core/log}]
          finally: [{id: gz, uses: core/log}]
      - {id: filho, subflow: {flow: other-flow, version: 2, inputs: {a: "${{ steps.g1.status }}"}, wait: true,
                               propagate_failure: false}}
      - {id: pausa, sleep: 30s}
      - {id: ate, sleep_until: "2026-12-01T00:00:00Z"}
      - {id: ruim, fail: "no ${{ steps.filho.output.status }}", if: "false"}
    on_success: [{id: os, uses: core/log}]
    on_failure: [{id: of, uses: mail/send, with: {to: "${{ error.message }}", body: "${{ steps.ruim.error }}"}}]
    on_cancel: [{id: oc, uses: core/log}]
    finally: [{id: of2, uses: core/log, if: "has(error.type)"}]
    outputs: {total: "${{ steps.coletar.output.total }}"}
    """
    assert validate(HEAD + textwrap.dedent(text), catalogue) == []


@pytest.mark.parametrize("key", ["runs_on", "nope", "trigger", "env"])
def test_an_unknown_key_is_refused_by_name(catalogue, key):
    assert problems(catalogue, OK + f"{key}: 1\n") == [("unknown_key", key)]


@pytest.mark.parametrize("key", ["approve", "condition", "poll", "runs_on", "priority", "usess"])
def test_an_unknown_key_of_a_step_is_refused_by_name(catalogue, key):
    found = validate(HEAD + f"steps:\n  - id: a\n    uses: core/log\n    {key}: {{}}\n", catalogue)
    assert [(p.code, p.path, p.line, p.column) for p in found] == [("unknown_key", f"steps[0].{key}", 6, 5)]
    assert key in found[0].message


@pytest.mark.parametrize("on_limit", ["skip", "fail", "cancel_running"])
@pytest.mark.parametrize("key", ["max_queued: 1", "coalesce: newest"])
def test_what_bounds_a_queue_is_refused_where_none_forms(catalogue, on_limit, key):
    bounded = f"{{limit: 1, on_limit: {on_limit}, {key}}}"
    place = f"concurrency.{key.partition(':')[0]}"
    assert problems(catalogue, OK + f"concurrency: {bounded}\n") == [("no_effect", place)]
    step = f"steps: [{{id: a, uses: core/log, with: {{message: hi}}, concurrency: {bounded}}}]\n"
    assert problems(catalogue, step) == [("no_effect", f"steps[0].{place}")]
    assert problems(catalogue, OK + f"concurrency: {{limit: 1, {key}}}\n") == []


def test_a_key_that_is_nearly_right_is_suggested(catalogue):
    found = validate(HEAD + "steps:\n  - {id: a, usess: core/log}\n", catalogue)
    assert "did you mean `uses`?" in found[0].message


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [
        ("steps: []", "bad_length", "steps"),
        ("steps: {}", "wrong_type", "steps"),
        ("steps: [1]", "wrong_type", "steps[0]"),
        ("steps: [{uses: core/log}]", "missing_key", "steps[0]"),
        ("name: x", "missing_key", ""),
        (OK + "name: 3", "wrong_type", "name"),
        (OK + "timeout: 30", "wrong_type", "timeout"),
        (OK + "timeout: 30 parsecs", "bad_duration", "timeout"),
        (OK + "timeout: 0s", "out_of_range", "timeout"),
        (OK + "labels: {a: 1}", "wrong_type", "labels.a"),
        (OK + "vars: x", "wrong_type", "vars"),
        (OK + "concurrency: {limit: 0}", "out_of_range", "concurrency.limit"),
        (OK + "concurrency: {limit: true}", "wrong_type", "concurrency.limit"),
        (OK + "concurrency: {on_limit: wait}", "not_a_choice", "concurrency.on_limit"),
        (OK + "defaults: {retry: {jitter: 2}}", "out_of_range", "defaults.retry.jitter"),
        (OK + "inputs: {type: string}", "bad_schema", "inputs"),
        (OK + "inputs: {type: objectx}", "bad_schema", "inputs"),
        (OK + "inputs: {type: object, properties: {a: {$ref: 'http://x.example/s'}}}", "bad_schema", "inputs"),
        (OK + "inputs: {type: object, properties: {a: {pattern: '(a)\\1'}}}", "bad_schema", "inputs"),
        (OK + "triggers: [{id: a}]", "missing_key", "triggers[0]"),
        (OK + "triggers: [{id: a, type: poll}]", "not_a_choice", "triggers[0].type"),
        (OK + "triggers: [{id: a, type: condition}]", "not_a_choice", "triggers[0].type"),
        (OK + "triggers: [{id: a, type: schedule}]", "missing_key", "triggers[0]"),
        (OK + "triggers: [{id: a, type: schedule, cron: '* * *'}]", "bad_cron", "triggers[0].cron"),
        (OK + "triggers: [{id: a, type: schedule, cron: '61 * * * *'}]", "bad_cron", "triggers[0].cron"),
        (OK + "triggers: [{id: a, type: schedule, cron: '0 0 31 2 *'}]", "bad_cron", "triggers[0].cron"),
        (OK + "triggers: [{id: a, type: schedule, cron: '@sometimes'}]", "bad_cron", "triggers[0].cron"),
        (
            OK + "triggers: [{id: a, type: schedule, cron: '@daily', timezone: America/Sao_Palo}]",
            "bad_timezone",
            "triggers[0].timezone",
        ),
        (
            OK + "triggers: [{id: a, type: schedule, cron: '@daily', timezone: ../../etc/passwd}]",
            "bad_timezone",
            "triggers[0].timezone",
        ),
        (
            OK + "triggers: [{id: a, type: schedule, cron: '@daily', start_at: 2026-01-01}]",
            "bad_instant",
            "triggers[0].start_at",
        ),
        (OK + "triggers: [{id: a, type: interval, every: 10ms}]", "out_of_range", "triggers[0].every"),
        (OK + "triggers: [{id: a, type: webhook}]", "missing_key", "triggers[0]"),
        (OK + "triggers: [{id: a, type: webhook, auth: none, respond: later}]", "not_a_choice", "triggers[0].respond"),
        (OK + "triggers: [{id: a, type: webhook, auth: {type: token}}]", "missing_key", "triggers[0].auth"),
        (
            OK + "triggers: [{id: a, type: webhook, auth: {type: token, secret: abc}}]",
            "secret_in_document",
            "triggers[0].auth.secret",
        ),
        (
            OK + "triggers: [{id: a, type: webhook, auth: none, path: ../x}]",
            "bad_format",
            "triggers[0].path",
        ),
        (OK + "triggers: [{id: a, type: manual}, {id: a, type: manual}]", "duplicate_id", "triggers[1].id"),
        (OK + "triggers: [{id: a, type: event, event: x, when: inputs.x}]", "unknown_name", "triggers[0].when"),
        (OK + "triggers: [{id: a, type: event, event: x, when: '1 + 1'}]", "not_boolean", "triggers[0].when"),
    ],
)
def test_a_wrong_document_is_refused(catalogue, text, code, path):
    assert (code, path) in problems(catalogue, text)


@pytest.mark.parametrize(
    ("steps", "code", "path"),
    [
        ("[{id: a}]", "nothing_to_do", "steps[0]"),
        ("[{id: A, uses: core/log}]", "bad_format", "steps[0].id"),
        ("[{id: for, uses: core/log}]", "reserved_id", "steps[0].id"),
        ("[{id: finally, uses: core/log}]", "reserved_id", "steps[0].id"),
        ("[{id: on_failure, uses: core/log}]", "reserved_id", "steps[0].id"),
        ("[{id: a, uses: core/log}, {id: a, uses: core/log}]", "duplicate_id", "steps[1].id"),
        ("[{id: a, group: {steps: [{id: a, uses: core/log}]}}]", "duplicate_id", "steps[0].group.steps[0].id"),
        ("[{id: a, uses: core/log, sleep: 1s}]", "two_things", "steps[0].sleep"),
        ("[{id: a, uses: core/log, steps: [{id: b, uses: core/log}]}]", "no_effect", "steps[0].steps"),
        ("[{id: a, for_each: {items: []}}]", "nothing_to_do", "steps[0].for_each"),
        ("[{id: a, for_each: {items: []}, sleep: 1s}]", "two_things", "steps[0].sleep"),
        ("[{id: a, for_each: {items: [], as: steps}, uses: core/log}]", "reserved_name", "steps[0].for_each.as"),
        ("[{id: a, for_each: {items: 3}, uses: core/log}]", "type_mismatch", "steps[0].for_each.items"),
        ("[{id: a, sleep: 1s, retry: {}}]", "no_effect", "steps[0].retry"),
        ("[{id: a, sleep: 1s, with: {}}]", "no_effect", "steps[0].with"),
        ("[{id: a, sleep: 1s, timeout: 1s}]", "no_effect", "steps[0].timeout"),
        (
            "[{id: a, group: {steps: [{id: b, uses: core/log}]}, delivery: at_most_once}]",
            "no_effect",
            "steps[0].delivery",
        ),
        ("[{id: a, sleep: soon}]", "not_a_duration", "steps[0].sleep"),
        ("[{id: a, sleep_until: tomorrow}]", "not_an_instant", "steps[0].sleep_until"),
        ("[{id: a, switch: {value: 1, cases: {}}}]", "bad_length", "steps[0].switch.cases"),
        ("[{id: a, switch: {cases: {x: [{id: b, uses: core/log}]}}}]", "missing_key", "steps[0].switch"),
        ("[{id: a, group: {steps: []}}]", "bad_length", "steps[0].group.steps"),
        ("[{id: a, uses: log}]", "bad_format", "steps[0].uses"),
        ("[{id: a, uses: nope/log}]", "unknown_action", "steps[0].uses"),
        ("[{id: a, uses: core/log, needs: [b]}]", "unknown_need", "steps[0].needs[0]"),
        ("[{id: a, uses: core/log, needs: [a]}]", "cycle", "steps[0].needs"),
        ("[{id: a, uses: core/log, needs: [b]}, {id: b, uses: core/log}]", "cycle", "steps[0].needs"),
        ("[{id: a, uses: mail/send}]", "missing_input", "steps[0]"),
        ("[{id: a, uses: mail/send, with: {}}]", "missing_input", "steps[0].with"),
        ("[{id: a, uses: mail/send, with: {to: 3}}]", "bad_input", "steps[0].with.to"),
        ("[{id: a, uses: mail/send, with: {to: x, tos: y}}]", "unknown_input", "steps[0].with.tos"),
        ("[{id: a, uses: mail/send, with: {to: x, times: 0}}]", "bad_input", "steps[0].with.times"),
        ("[{id: a, uses: mail/send, with: {to: x, kind: pdf}}]", "bad_input", "steps[0].with.kind"),
        ("[{id: a, uses: mail/send, with: {to: x, body: {$secret: k}}}]", "reserved_key", "steps[0].with.body"),
        ("[{id: a, uses: core/log, with: {m: '${{ 1 +'}}]", "expression_not_closed", "steps[0].with.m"),
        ("[{id: a, uses: core/log, with: {m: '${{ 1 + }}'}}]", "expression_syntax", "steps[0].with.m"),
        ("[{id: a, uses: core/log, if: '1 +'}]", "expression_syntax", "steps[0].if"),
        ("[{id: a, uses: core/log, if: '\"yes\"'}]", "not_boolean", "steps[0].if"),
        ("[{id: a, uses: core/log, if: run.number + 1}]", "not_boolean", "steps[0].if"),
        ("[{id: a, uses: core/log, if: 'run.ok ? size(run) : 1'}]", "not_boolean", "steps[0].if"),
        ("[{id: a, uses: core/log, if: secrets.k == 'x'}]", "secret_not_here", "steps[0].if"),
        ("[{id: a, uses: core/log, if: error.type == 'x'}]", "unknown_name", "steps[0].if"),
        ("[{id: a, uses: core/log, if: steps.b.status == 'x'}]", "unknown_step", "steps[0].if"),
        ("[{id: a, uses: core/log, if: steps.a.status == 'x'}]", "step_not_upstream", "steps[0].if"),
        ("[{id: a, uses: core/log, with: {m: '${{ inputs.x }}'}}]", "undeclared_input", "steps[0].with.m"),
        ("[{id: a, uses: core/log, with: {m: '${{ vars.x }}'}}]", "unknown_variable", "steps[0].with.m"),
        ("[{id: a, uses: core/log, with: {m: '${{ item }}'}}]", "unknown_name", "steps[0].with.m"),
        ("[{id: a, uses: core/log, retry: {if: 'error.kind == 1'}}]", "unknown_field", "steps[0].retry.if"),
    ],
)
def test_a_wrong_step_is_refused(catalogue, steps, code, path):
    assert (code, path) in problems(catalogue, f"steps: {steps}")


def test_an_expression_counts_as_unknown_but_a_missing_key_is_missing(catalogue):
    body = "inputs: {type: object, properties: {n: {}}}\n"
    assert (
        problems(catalogue, body + "steps: [{id: a, uses: mail/send, with: {to: x, times: '${{ inputs.n }}'}}]") == []
    )
    found = problems(catalogue, body + "steps: [{id: a, uses: mail/send, with: {times: '${{ inputs.n }}'}}]")
    assert found == [("missing_input", "steps[0].with")]


def test_a_field_that_a_closed_output_does_not_have_is_refused(catalogue):
    base = "steps:\n  - {id: a, uses: git/report}\n  - {id: b, uses: core/log, with: {m: '${{ steps.a.output.%s }}'}}\n"
    assert problems(catalogue, base % "rows") == []
    assert problems(catalogue, base % "repo.name") == []
    assert problems(catalogue, base % "rowz") == [("unknown_field", "steps[1].with.m")]
    assert problems(catalogue, base % "repo.nam") == [("unknown_field", "steps[1].with.m")]
    assert problems(catalogue, base % "total.deep") == [("unknown_field", "steps[1].with.m")]
    assert "did you mean `rows`?" in validate(HEAD + base % "rowz", catalogue)[0].message


STEP = "{id: %s, uses: core/log%s}"


@pytest.mark.parametrize(
    ("reader", "right"),
    [
        ("needs: [a], if: steps.a.status == ''", True),
        ("needs: [c], if: steps.a.status == ''", True),
        ("needs: [], if: steps.a.status == ''", False),
        ("needs: [b], if: steps.c.status == ''", False),
        ("needs: [g], if: steps.inner.status == ''", True),
        ("needs: [s], if: steps.in_case.status == ''", True),
        ("needs: [f], if: steps.in_item.status == ''", False),
        ("needs: [f], if: steps.f.status == ''", True),
        ("needs: [], if: steps.inner.status == ''", False),
    ],
)
def test_a_step_may_read_what_has_ended_before_it(catalogue, reader, right):
    text = f"""\
    steps:
      - {{id: a, uses: core/log}}
      - {{id: b, needs: [], uses: core/log}}
      - {{id: c, needs: [a], uses: core/log}}
      - {{id: g, needs: [], group: {{steps: [{{id: inner, uses: core/log}}]}}}}
      - {{id: s, needs: [], switch: {{value: 1, cases: {{x: [{{id: in_case, uses: core/log}}]}}}}}}
      - {{id: f, needs: [], for_each: {{items: []}}, steps: [{{id: in_item, uses: core/log}}]}}
      - {{id: reader, uses: core/log, {reader}}}
    """
    found = problems(catalogue, text)
    assert (found == []) is right
    assert right or found[0][0] == "step_not_upstream"


def test_a_nested_step_reads_what_is_before_its_container_and_its_siblings(catalogue):
    text = """\
    steps:
      - {id: a, uses: core/log}
      - id: f
        for_each: {items: [], as: row}
        steps:
          - {id: one, uses: core/log, with: {m: "${{ row }} ${{ index }} ${{ steps.a.output }}"}}
          - {id: two, uses: core/log, with: {m: "${{ steps.one.output }}"}}
          - {id: three, needs: [], uses: core/log, with: {m: "${{ steps.one.output }}"}}
          - {id: four, needs: [], uses: core/log, with: {m: "${{ steps.f.output }}"}}
    """
    assert problems(catalogue, text) == [
        ("step_not_upstream", "steps[1].steps[2].with.m"),
        ("step_not_upstream", "steps[1].steps[3].with.m"),
    ]


def test_a_cycle_is_told_step_by_step(catalogue):
    text = "steps:\n" + "".join(
        f"  - {{id: {a}, uses: core/log, needs: [{b}]}}\n" for a, b in [("x", "y"), ("y", "z"), ("z", "x")]
    )
    found = validate(HEAD + text, catalogue)
    assert len(found) == 1
    assert "x → y → z → x" in found[0].message
    assert (found[0].line, found[0].column) == (4, 36)


def test_limits_of_steps_and_depth(catalogue):
    many = "steps:\n" + "".join(f"  - {{id: s{n}, uses: core/log}}\n" for n in range(1_001))
    handlers = "finally:\n" + "".join(f"  - {{id: f{n}, uses: core/log}}\n" for n in range(1_000))
    assert problems(catalogue, many + handlers) == [("too_many_steps", "steps")]
    deep = "steps: [{id: a, uses: core/log, with: " + "{a: " * 62 + "1" + "}" * 62 + "}]"
    assert problems(catalogue, deep) == [("too_deep", "")]


def test_two_thousand_steps_are_checked_in_seconds(catalogue):
    text = "steps:\n" + "".join(
        f"  - {{id: s{n}, uses: core/log, with: {{m: '${{{{ steps.s{max(n - 1, 0)}.output }}}}'}}}}\n"
        for n in range(1, 2_000)
    )
    found = validate(HEAD + "steps:\n  - {id: s0, uses: core/log}\n" + text.removeprefix("steps:\n"), catalogue)
    assert found == []
    assert catalogue.asked == ["core/log"]


def test_a_document_that_came_as_json_is_judged_by_the_same_limits(catalogue):
    document = {"schema": "monjolo/flow/v1", "id": "x", "steps": [{"id": "a", "uses": "core/log"}]}
    assert validate(document, catalogue) == []
    deep: object = 1
    for _ in range(100):
        deep = {"a": deep}
    document["steps"][0]["with"] = deep
    assert [p.code for p in validate(document, catalogue)] == ["too_deep"]
    assert [p.code for p in validate({"a": 2**70}, catalogue)] == ["not_json"]


def test_a_sub_flow_that_is_not_there_is_a_warning(catalogue):
    text = HEAD + "steps: [{id: a, subflow: {flow: other}}, {id: b, subflow: {flow: teste}}]"
    found = validate(text, catalogue, known_flows={"x"})
    assert [(p.code, p.severity) for p in found] == [("unknown_flow", "warning")]
    assert validate(text, catalogue, known_flows={"other"}) == []
