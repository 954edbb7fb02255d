"""`monjolo flow test`, through the command line: no platform answers, and no module is there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from monjolo.cli.flow import app

from .conftest import FakePlatform

Cli = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[3]


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["test", *arguments])


class Bench:
    """A flow and its tests in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, steps: str, tests: str, *, schema: str = "monjolo/flow-test/v1") -> None:
        (self.folder / "f.yaml").write_text(f"schema: monjolo/flow/v1\nid: f\nname: F\n{steps}")
        (self.folder / "f.test.yaml").write_text(f"schema: {schema}\n{tests}")

    def run(self, steps: str, tests: str) -> dict[str, Any]:
        self.write(steps, tests)
        result = command(str(self.folder), "--json")
        found: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == (0 if found["items"][0]["ok"] else 1), result.output
        return found["items"][0]

    def passes(self, steps: str, tests: str) -> None:
        item = self.run(steps, tests)
        assert item["ok"], json.dumps(item, indent=1)

    def differs(self, steps: str, tests: str) -> list[tuple[str, str, str]]:
        (test,) = self.run(steps, tests)["tests"]
        return [(one["what"], one["expected"], one["actual"]) for one in test["differences"]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


ONE = "steps: [{id: a, uses: nowhere/action, with: {n: 1}}]\noutputs: {n: '${{ steps.a.output.n }}'}\n"


def test_a_test_that_holds_passes_and_no_module_is_needed(bench: Bench) -> None:
    bench.passes(
        ONE,
        """
tests:
  - name: it gives what the step gave
    mocks: {a: {output: {n: 7}}}
    expect: {outputs: {n: 7}, steps: {a: {inputs: {n: 1}, output: {n: 7}, attempts: 1}}, assert: [outputs.n == 7]}
""",
    )


@pytest.mark.parametrize(
    ("expect", "difference"),
    [
        ("{status: failed}", ("run status", '"failed"', '"succeeded"')),
        ("{outputs: {n: 8}}", ("outputs.n", "8", "7")),
        ("{outputs: {n: 7, m: 1}}", ("outputs.m", "1", "nothing")),
        ("{outputs: {}}", ("outputs.n", "nothing", "7")),
        ("{steps: {a: {inputs: {n: true}}}}", ("steps.a.inputs.n", "true", "1")),
        ("{steps: {a: failed}}", ("steps.a status", '"failed"', '"succeeded"')),
        ("{steps: {a: {inputs: {n: 2}}}}", ("steps.a.inputs.n", "2", "1")),
        ("{steps: {a: {attempts: 2}}}", ("steps.a.attempts", "2", "1")),
        ("{steps: {a: {output: null}}}", ("steps.a.output", "null", '{"n":7}')),
        ("{error: {type: X}}", ("error.type", '"X"', "nothing")),
        ("{assert: ['outputs.n > 8']}", ("outputs.n > 8", "true", "false; outputs.n is 7")),
        (
            "{assert: ['outputs.m == 1']}",
            ("outputs.m == 1", "true", 'a value is not there (Key not found in map : "m")'),
        ),
        ("{assert: ['outputs.n']}", ("outputs.n", "true", "7; outputs.n is 7")),
        ("{assert: [false]}", ("false", "true", "false")),
    ],
)
def test_what_differs_is_shown_with_its_place(bench: Bench, expect: str, difference: tuple[str, str, str]) -> None:
    tests = f"tests:\n  - name: x\n    mocks: {{a: {{output: {{n: 7}}}}}}\n    expect: {expect}\n"
    assert bench.differs(ONE, tests) == [difference]
    (test,) = bench.run(ONE, tests)["tests"]
    assert (test["line"], test["differences"][0]["line"]) == (3, 5)


def test_an_action_without_a_mock_is_an_error_that_names_it(bench: Bench) -> None:
    (test,) = bench.run(ONE, "tests: [{name: x, expect: {}}]\n")["tests"]
    assert test["problem"]["code"] == "unmocked_step"
    assert "`a` (nowhere/action) has no mock" in test["problem"]["message"]
    assert (test["problem"]["line"], test["problem"]["path"]) == (2, "tests[0]")


def test_a_moved_clock_makes_long_waits_cost_nothing(bench: Bench) -> None:
    bench.passes(
        """
steps:
  - {id: rest, sleep: 30d}
  - {id: until, sleep_until: "2026-03-01T00:00:00Z"}
  - id: call
    uses: m/call
    retry: {max_attempts: 3, backoff: constant, delay: 1h, max_delay: 1h}
  - {id: slow, uses: m/slow, timeout: 10m, continue_on_error: true}
""",
        """
tests:
  - name: two failures and a time-out
    now: 2026-01-01T00:00:00Z
    mocks:
      call:
        sequence:
          - {error: {type: Busy}}
          - {error: {type: Limited, retry_after: 5h}}
          - {output: 1, after: 1m}
      m/slow: {output: never, after: 11m}
    expect:
      steps:
        call: {status: succeeded, attempts: 3}
        slow: {status: timed_out, error: {type: TimedOut}}
      assert: [run.seconds == double(59 * 86400 + 6 * 3600 + 60 + 600)]
""",
    )


def test_an_error_that_no_attempt_can_mend_is_not_tried_again(bench: Bench) -> None:
    bench.passes(
        "steps: [{id: a, uses: m/a, retry: {max_attempts: 5}}]\n",
        """
tests:
  - name: once
    mocks: {a: {error: {type: AuthError, message: no, retryable: false, details: {code: 7}}}}
    expect:
      status: failed
      error: {type: AuthError, message: no, step: a}
      steps: {a: {status: failed, attempts: 1, error: {details: {code: 7}}}}
""",
    )


LOOP = """
inputs: {type: object, properties: {names: {type: array, default: [x, y]}}}
steps:
  - id: each
    for_each: {items: "${{ inputs.names }}", as: name, on_item_error: collect}
    uses: m/greet
    with: {text: "${{ name }} ${{ index }}"}
    retry: {max_attempts: 2, delay: 1s}
"""


def test_items_have_their_own_mocks_and_attempts(bench: Bench) -> None:
    bench.passes(
        LOOP,
        """
tests:
  - name: by number
    mocks:
      each:
        items: [{sequence: [{error: {type: Busy}}, {output: one}]}, {error: {type: Gone, retryable: false}}]
    expect:
      steps:
        each[0]: {status: succeeded, attempts: 2, inputs: {text: x 0}}
        each[1]: {status: failed, error: {type: Gone}}
  - name: by key, and the others by action
    inputs: {names: [a, b, c]}
    mocks: {"each[1]": {output: second}, m/greet: {output: any}}
    expect:
      assert: ["steps.each.output.map(one, one.output) == ['any', 'second', 'any']"]
""",
    )


def test_nested_steps_sub_flows_events_and_slots(bench: Bench) -> None:
    bench.passes(
        """
steps:
  - id: lote
    for_each: {items: [1, 2], as: n, max_parallel: 2}
    steps:
      - {id: save, uses: m/save, with: {n: "${{ n }}"}, concurrency: {limit: 1}}
  - {id: child, subflow: {flow: other, inputs: {a: 1}}}
  - {id: paid, wait_for: {event: order.paid, when: "event.total > 10", timeout: 1h}}
  - {id: late, wait_for: {event: never, timeout: 1h}, continue_on_error: true}
outputs: {total: "${{ steps.paid.output.data.total }}", child: "${{ steps.child.output.outputs }}"}
""",
        """
tests:
  - name: all of it
    mocks:
      save: {items: [{output: 10, after: 1m}, {output: 20, after: 1m}]}
      child: {output: {b: 2}}
      paid: {sequence: [{event: {total: 5}}, {event: {total: 50}, after: 30m}]}
    expect:
      outputs: {total: 50, child: {b: 2}}
      steps: {"lote[1].save": {inputs: {n: 2}}, child: {inputs: {a: 1}}, late: timed_out}
      assert: ["run.seconds == double(120 + 1800 + 3600)"]
""",
    )


def test_a_loop_goes_on_while_its_mocks_say_so(bench: Bench) -> None:
    bench.passes(
        """
steps:
  - id: ask
    while:
      if: "index == 0 || steps.look.output.more"
      interval: 1h
      steps: [{id: look, uses: m/look}]
""",
        """
tests:
  - name: three times, an hour apart
    mocks: {look: {items: [{output: {more: true}}, {output: {more: true}}, {output: {more: false}}]}}
    expect:
      steps: {ask: succeeded, "ask[2].look": succeeded, "ask[3].look": pending}
      assert: [run.seconds == 7200.0]
""",
    )


def test_what_started_the_run_and_variables_are_given(bench: Bench) -> None:
    bench.passes(
        """
vars: [team]
triggers: [{id: hook, type: webhook, path: x, auth: {type: none}}]
steps: [{id: a, uses: m/a, with: {who: "${{ vars.team }} ${{ event.body.name }} ${{ trigger.id }}"}}]
""",
        """
tests:
  - name: a webhook
    vars: {team: red}
    trigger: {type: webhook, id: hook}
    event: {body: {name: ana}}
    mocks: {a: {output: {}}}
    expect: {steps: {a: {inputs: {who: red ana hook}}}}
""",
    )


@pytest.mark.parametrize(
    ("tests", "code", "message"),
    [
        ("mocks: {a: {sequence: [{error: {type: X}}]}}", "unmocked_attempt", "has 1 entries, and this is attempt 2"),
        ("mocks: {a: {event: {}}}", "wrong_mock", "an output or an error"),
        ("inputs: {x: 1}", "invalid_inputs", "takes no inputs"),
    ],
)
def test_a_test_that_does_not_say_enough_is_an_error(bench: Bench, tests: str, code: str, message: str) -> None:
    steps = "steps: [{id: a, uses: m/a, retry: {max_attempts: 2}}]\n"
    (test,) = bench.run(steps, f"tests: [{{name: x, {tests}, expect: {{}}}}]\n")["tests"]
    assert (test["ok"], test["problem"]["code"]) == (False, code)
    assert message in test["problem"]["message"]


def test_a_wait_that_no_event_ends_is_told(bench: Bench) -> None:
    (test,) = bench.run("steps: [{id: a, wait_for: {event: e}}]\n", "tests: [{name: x, expect: {}}]\n")["tests"]
    assert test["problem"]["code"] == "no_event"


@pytest.mark.parametrize(
    ("tests", "code", "place"),
    [
        ("tests:\n  - {name: x, expect: {}, mock: {}}\n", "unknown_key", (3, 27)),
        ("tests:\n  - {name: x}\n", "missing_key", (3, 5)),
        ("tests: []\n", "bad_length", (2, 8)),
        ("tests:\n  - name: x\n    expect: {status: done}\n", "not_a_choice", (4, 22)),
        ("tests:\n  - name: x\n    mocks: {b: {output: 1}}\n    expect: {}\n", "unknown_step", (4, 13)),
        ("tests:\n  - name: x\n    mocks: {'a[': {output: 1}}\n    expect: {}\n", "unknown_step", (4, 13)),
        ("tests:\n  - name: x\n    mocks: {a: {}}\n    expect: {}\n", "two_things", (4, 16)),
        ("tests:\n  - name: x\n    mocks: {a: {output: 1, error: {type: E}}}\n    expect: {}\n", "two_things", (4, 16)),
        ("tests:\n  - name: x\n    expect: {steps: {b: failed}}\n", "unknown_step", (4, 22)),
        ("tests:\n  - name: x\n    expect: {assert: ['1 +']}\n", "expression_syntax", (4, 23)),
        ("tests:\n  - name: x\n    expect: {assert: ['steps2 == 1']}\n", "unknown_name", (4, 23)),
        ("tests:\n  - name: [\n", "syntax_error", (4, 1)),
        ("tests:\n  - name: x\n    name: y\n", "duplicate_key", (4, 5)),
    ],
)
def test_what_is_wrong_in_a_test_file_has_line_and_column(
    bench: Bench, tests: str, code: str, place: tuple[int, int]
) -> None:
    item = bench.run(ONE, tests)
    (problem,) = item["problems"]
    assert (problem["code"], (problem["line"], problem["column"])) == (code, place)
    assert item["tests"] == []


def test_an_item_must_be_named_by_its_number(bench: Bench) -> None:
    steps = "steps: [{id: lote, for_each: {items: [1]}, steps: [{id: b, uses: m/b}]}]\n"
    item = bench.run(steps, "tests: [{name: x, expect: {steps: {b: failed}}}]\n")
    assert [problem["code"] for problem in item["problems"]] == ["ambiguous_step"]
    assert "lote[0].b" in item["problems"][0]["message"]


def test_a_flow_that_is_not_valid_is_told_in_its_own_words(bench: Bench) -> None:
    item = bench.run(
        "steps: [{id: a, uses: m/a, with: {x: '${{ steps.z.output }}'}}]\n", "tests: [{name: x, expect: {}}]\n"
    )
    assert [problem["code"] for problem in item["flow_problems"]] == ["unknown_step"]
    assert item["flow_problems"][0]["line"] == 4


def test_people_see_which_test_failed_where_and_why(bench: Bench) -> None:
    bench.write(ONE, "tests:\n  - name: seven\n    mocks: {a: {output: {n: 7}}}\n    expect:\n      outputs: {n: 8}\n")
    result = command(str(bench.folder / "f.yaml"))
    assert result.exit_code == 1
    told = result.output.replace(f"{bench.folder}/", "")
    assert "FAILED f.test.yaml:3 seven" in told
    assert "f.test.yaml:6:20 outputs.n\n    - expected 8\n    + got      7\n" in told
    assert "0 passed, 1 failed" in told


def test_a_test_may_name_its_flow_and_a_folder_is_searched(bench: Bench) -> None:
    bench.write(ONE, "")
    (bench.folder / "tests").mkdir()
    (bench.folder / "f.test.yaml").rename(bench.folder / "tests" / "other.test.yaml")
    (bench.folder / "tests" / "other.test.yaml").write_text(
        "schema: monjolo/flow-test/v1\nflow: ../f.yaml\ntests: [{name: x, mocks: {a: {output: {n: 1}}}, expect: {}}]\n"
    )
    assert command(str(bench.folder)).exit_code == 0


@pytest.mark.parametrize("missing", ["nothing.yaml", "nothing.test.yaml", "empty"])
def test_nothing_to_test_is_wrong_use(tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty").mkdir()
    assert command(str(tmp_path / missing)).exit_code == 2


def test_tests_are_no_flows_to_apply_or_to_list(bench: Bench, cli: Cli, fake: FakePlatform) -> None:
    bench.write(ONE, "")
    fake.answers["POST /flows/validate"] = (200, {"problems": []})
    done = cli("flow", "validate", str(bench.folder), "--json", MONJOLO_URL=fake.url)
    assert [item["source"] for item in json.loads(done.stdout)["items"]] == [str(bench.folder / "f.yaml")]
    listed = json.loads(cli("flow", "recipes", "--json").stdout)["items"]
    assert listed
    assert not any(".test" in recipe["file"] for recipe in listed)


@pytest.mark.parametrize("file", sorted((ROOT / "flows").glob("*.test.yaml")), ids=lambda file: file.name)
def test_the_tests_of_a_recipe_pass(file: Path) -> None:
    result = command(str(file))
    assert result.exit_code == 0, result.output
