"""What every key of a flow document does, seen from outside: one case a key.

A case is a document, the key to leave out, what to look at, and what is seen. Without the key something else
must be seen, or the document must be refused; a key that is ignored fails its case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.driver import Dies, Gives, Ignored, Run, bad

from monjolo.engine import commands as orders
from monjolo.flow_document import Compiled

A = "steps: [{id: a, uses: m/x}]"
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Case:
    """`name` is `Record.key` of the schema; `at` is where the key stands in the document."""

    name: str
    at: Path
    document: str
    see: Callable[[Run], Any]
    seen: Any
    given: Mapping[str, Any] = field(default_factory=dict)
    act: Callable[[Run], Any] = lambda run: run.to_end()


def keys(run: Run) -> list[str]:
    return run.keys_started()


def times(run: Run) -> list[float]:
    return [start.at for start in run.starts]


def inputs(run: Run) -> list[Any]:
    return [start.inputs for start in run.starts]


def status(run: Run) -> str:
    return run.status


def ends(key: str) -> Callable[[Run], tuple[str, str | None]]:
    return lambda run: (str(run[key].status), run[key].reason)


def compiled(look: Callable[[Compiled], Any]) -> Callable[[Run], Any]:
    def see(run: Run) -> Any:
        assert run.compiled is not None
        return look(run.compiled)

    return see


def slots(run: Run) -> list[Any]:
    return [(order.slot, order.limit, order.on_limit) for order in run.of(orders.AcquireSlot)]


CANCELLED = {"given": {"plays": {"a": Gives(after=60)}}, "act": lambda run: run.until(5).cancel().to_end()}
FAILS = {"given": {"plays": {"a": bad()}}}
FLOW = [
    Case("Flow.schema", ("schema",), A, status, "succeeded"),
    Case("Flow.id", ("id",), A, status, "succeeded"),
    Case("Flow.name", ("name",), f"name: Nome\n{A}", compiled(lambda c: c.name), "Nome"),
    Case("Flow.description", ("description",), f"description: Que\n{A}", compiled(lambda c: c.description), "Que"),
    Case("Flow.labels", ("labels",), f"labels: {{team: x}}\n{A}", compiled(lambda c: c.labels), {"team": "x"}),
    Case("Flow.inputs", ("inputs",), f"inputs: {{type: object, properties: {{n: {{type: integer}}}}}}\n{A}",
         compiled(lambda c: c.input_schema and c.input_schema["properties"]), {"n": {"type": "integer"}}),
    Case("Flow.vars", ("vars",), 'vars: [region]\nsteps: [{id: a, uses: m/x, with: {r: "${{ vars.region }}"}}]',
         inputs, [{"r": "sul"}], {"context": {"vars": {"region": "sul"}}}),
    Case("Flow.triggers", ("triggers",), f"triggers: [{{id: t, type: manual}}]\n{A}",
         compiled(lambda c: [t.id for t in c.triggers]), ["t"]),
    Case("Flow.concurrency", ("concurrency",), f"concurrency: {{limit: 3}}\n{A}", slots, [("flow:f", 3, "queue")]),
    Case("Flow.timeout", ("timeout",), f"timeout: 1m\n{A}", status, "timed_out", {"plays": {"a": Gives(after=999)}}),
    Case("Flow.defaults", ("defaults",), f"defaults: {{timeout: 5s}}\n{A}", ends("a"), ("timed_out", "timeout"),
         {"plays": {"a": Gives(after=99)}}),
    Case("Flow.steps", ("steps",), A, keys, ["a"]),
    Case("Flow.on_success", ("on_success",), f"{A}\non_success: [{{id: h, uses: m/x}}]", keys, ["a", "on_success.h"]),
    Case("Flow.on_failure", ("on_failure",), f"{A}\non_failure: [{{id: h, uses: m/x}}]", keys, ["a", "on_failure.h"],
         **FAILS),  # type: ignore[arg-type]
    Case("Flow.on_cancel", ("on_cancel",), f"{A}\non_cancel: [{{id: h, uses: m/x}}]", keys, ["a", "on_cancel.h"],
         **CANCELLED),  # type: ignore[arg-type]
    Case("Flow.finally", ("finally",), f"{A}\nfinally: [{{id: h, uses: m/x}}]", keys, ["a", "finally.h"]),
    Case("Flow.outputs", ("outputs",), f'{A}\noutputs: {{n: "${{{{ steps.a.output }}}}"}}', lambda r: r.outputs,
         {"n": 4}, {"plays": {"a": 4}}),
    Case("Flow.priority", ("priority",), f"priority: 9\n{A}", compiled(lambda c: c.priority), 9),
    Case("Flow.retention", ("retention",), f"retention: {{days: 3}}\n{A}", compiled(lambda c: c.retention.days), 3),
    Case("Retention.runs", ("retention", "runs"), f"retention: {{runs: 9}}\n{A}", compiled(lambda c: c.retention.runs),
         9),
    Case("Retention.days", ("retention", "days"), f"retention: {{days: 9}}\n{A}", compiled(lambda c: c.retention.days),
         9),
    Case("Retention.logs", ("retention", "logs"), f"retention: {{logs: 9}}\n{A}", compiled(lambda c: c.retention.logs),
         9),
    Case("Defaults.retry", ("defaults", "retry"), f"defaults: {{retry: {{max_attempts: 2, delay: 3s}}}}\n{A}", times,
         [0, 3], {"plays": {"a": bad()}}),
    Case("Defaults.timeout", ("defaults", "timeout"), f"defaults: {{timeout: 5s}}\n{A}", ends("a"),
         ("timed_out", "timeout"), {"plays": {"a": Gives(after=99)}}),
    Case("Defaults.queue_timeout", ("defaults", "queue_timeout"), f"defaults: {{queue_timeout: 9s}}\n{A}", ends("a"),
         ("timed_out", "queue_timeout"), {"plays": {"a": Ignored()}}),
]  # fmt: skip


def told(run: Run, kind: str, *data: dict[str, Any]) -> Run:
    """The events come when nothing else happens any more."""
    run.to_end()
    for each in data or ({},):
        run.happen(kind, each)
    return run.to_end()


def step(name: str, written: str, see: Callable[[Run], Any], seen: Any, **more: Any) -> Case:
    """A case of a key of the flow's second step."""
    return Case(f"Step.{name}", ("steps", 1, name), f"steps: [{{id: a, uses: m/x}}, {{id: b, {written}}}]", see, seen,
                **more)  # fmt: skip


TWICE = {"plays": {"b": [bad(), Gives(1)]}}
STEP = [
    step("id", "uses: m/x", keys, ["a", "b"]),
    step("uses", "uses: m@2/y", compiled(lambda c: c.plan.steps["b"].action.version), "2"),  # type: ignore[union-attr]
    step("with", "uses: m/x, with: {n: 1}", inputs, [{}, {"n": 1}]),
    step("needs", "uses: m/x, needs: []", times, [0, 0], given={"plays": {"a": Gives(after=5)}}),
    step("if", "uses: m/x, if: false", ends("b"), ("skipped", "condition_false")),
    step("run_when", "uses: m/x, run_when: one_failed", keys, ["a"]),
    step("for_each", "uses: m/x, for_each: {items: [1, 2]}", keys, ["a", "b[0]", "b[1]"]),
    step("steps", "for_each: {items: [1]}, steps: [{id: c, uses: m/x}]", keys, ["a", "b[0].c"]),
    step("switch", "switch: {value: x, cases: {x: [{id: c, uses: m/x}]}}", keys, ["a", "b.c"]),
    step("group", "group: {steps: [{id: c, uses: m/x}]}", keys, ["a", "b.c"]),
    step("subflow", "subflow: {flow: other}", lambda r: [o.flow for o in r.of(orders.StartChild)], ["other"]),
    step("sleep", "sleep: 9s", lambda r: r.elapsed, 9),
    step("sleep_until", 'sleep_until: "2023-11-14T22:14:20Z"', lambda r: r.elapsed, 60),
    step("while", 'while: {if: "index < 2", steps: [{id: c, uses: m/x}]}', keys, ["a", "b[0].c", "b[1].c"]),
    step("wait_for", "wait_for: {event: paid}", ends("b"), ("succeeded", None), act=lambda run: told(run, "paid")),
    step("return", "return: {outputs: {n: 2}}", lambda r: r.outputs, {"n": 2}),
    step("fail", "fail: no", lambda r: (r.status, r.state.head.error.message), ("failed", "no")),  # type: ignore[union-attr]
    step("retry", "uses: m/x, retry: {delay: 1s}", times, [0, 0, 1], given=TWICE),
    step("timeout", "uses: m/x, timeout: 3s", ends("b"), ("timed_out", "timeout"),
         given={"plays": {"b": Gives(after=9)}}),
    step("queue_timeout", "uses: m/x, queue_timeout: 3s", ends("b"), ("timed_out", "queue_timeout"),
         given={"plays": {"b": Ignored()}}),
    step("continue_on_error", "uses: m/x, continue_on_error: true", status, "succeeded", given={"plays": {"b": bad()}}),
    step("delivery", "uses: m/x, delivery: at_most_once", ends("b"), ("unknown", "worker_lost_after_permit"),
         given={"plays": {"b": Dies()}}),
    step("max_crashes", "uses: m/x, max_crashes: 0", times, [0, 0], given={"plays": {"b": Dies()}}),
    step("concurrency", "uses: m/x, concurrency: {limit: 2}", slots, [("step:f/b", 2, "queue")]),
]  # fmt: skip


def within(record: str, key: str, written: str, see: Callable[[Run], Any], seen: Any, *, of: str, **more: Any) -> Case:
    """A case of a key under a key of the flow's first step."""
    rest = written if of in ("switch", "group", "subflow", "wait_for", "return", "fail") or "steps:" in written else (
        f"uses: m/x, {written}"
    )  # fmt: skip
    return Case(f"{record}.{key}", ("steps", 0, of, key), f"steps: [{{id: a, {rest}}}]", see, seen, **more)


FAILING = {"plays": {"a": bad()}}


def retry(key: str, written: str, seen: Any, see: Callable[[Run], Any] = times, **plays: Any) -> Case:
    return within("Retry", key, f"retry: {{{written}}}", see, seen, of="retry",
                  given={"plays": plays or {"a": bad()}})  # fmt: skip


RETRY = [
    retry("max_attempts", "max_attempts: 2, delay: 1s", [0, 1]),
    retry("backoff", "backoff: linear, delay: 1s, max_attempts: 4", [0, 1, 3, 6]),
    retry("delay", "delay: 7s, max_attempts: 2", [0, 7]),
    retry("factor", "factor: 5, delay: 1s", [0, 1, 6]),
    retry("max_delay", "max_delay: 2s, delay: 9s, max_attempts: 2", [0, 2]),
    retry("jitter", "jitter: 1, delay: 10s, max_attempts: 2", True, lambda r: times(r)[1] != 10),
    retry("max_elapsed", "max_elapsed: 2s, delay: 1s, backoff: constant, max_attempts: 9", [0, 1, 2]),
    retry("if", 'if: "false"', [0]),
]

ITEMS = {"given": {"plays": {"a": Gives(after=1)}}}
FOR_EACH = [
    within("ForEach", "items", "for_each: {items: [1]}", keys, ["a[0]"], of="for_each"),
    within("ForEach", "as", 'for_each: {items: [7], as: n}, with: {n: "${{ n }}"}', inputs, [{"n": 7}], of="for_each"),
    within("ForEach", "max_parallel", "for_each: {items: [1, 2, 3], max_parallel: 1}", times, [0, 1, 2],
           of="for_each", **ITEMS),  # type: ignore[arg-type]
    within("ForEach", "batch_size", "for_each: {items: [1, 2, 3], batch_size: 2}", keys, ["a[0]", "a[1]"],
           of="for_each"),
    within("ForEach", "on_item_error", "for_each: {items: [1, 2], on_item_error: skip}", status, "succeeded",
           of="for_each", given={"plays": {"a[0]": bad()}}),
]  # fmt: skip
WHILE = [
    within("While", "if", 'while: {if: "index < 2"}', keys, ["a[0]", "a[1]"], of="while"),
    within("While", "max_iterations", "while: {if: true, max_iterations: 2}",
           lambda r: (keys(r), *ends("a")(r)), (["a[0]", "a[1]"], "failed", "max_iterations"), of="while"),
    within("While", "interval", 'while: {if: "index < 3", interval: 7s}', times, [0, 7, 14], of="while"),
    within("While", "steps", 'while: {if: "index < 1", steps: [{id: c, uses: m/x}]}', keys, ["a[0].c"], of="while"),
]  # fmt: skip
WAIT_FOR = [
    within("WaitFor", "event", "wait_for: {event: paid}", lambda r: r["a"].output["type"], "paid", of="wait_for",
           act=lambda run: told(run, "paid")),
    within("WaitFor", "when", 'wait_for: {event: paid, when: "event.n > 1"}', lambda r: r["a"].output["data"], {"n": 2},
           of="wait_for", act=lambda run: told(run, "paid", {}, {"n": 1}, {"n": 2})),
    within("WaitFor", "timeout", "wait_for: {event: paid, timeout: 9s}", ends("a"), ("timed_out", "timeout"),
           of="wait_for"),
]  # fmt: skip
SWITCH = [
    within("Switch", "value", "switch: {value: x, cases: {x: [{id: c, uses: m/x}]}}", keys, ["a.c"], of="switch"),
    within("Switch", "cases", "switch: {value: x, cases: {x: [{id: c, uses: m/x}]}}", keys, ["a.c"], of="switch"),
    within("Switch", "default", "switch: {value: y, cases: {x: [{id: c, uses: m/x}]}, default: [{id: d, uses: m/x}]}",
           keys, ["a.d"], of="switch"),
]  # fmt: skip
INSIDE = "group: {steps: [{id: c, uses: m/x}], %s: [{id: h, uses: m/x}]}"
GROUP = [
    within("Group", "steps", "group: {steps: [{id: c, uses: m/x}]}", keys, ["a.c"], of="group"),
    within("Group", "on_success", INSIDE % "on_success", keys, ["a.c", "a.on_success.h"], of="group"),
    within("Group", "on_failure", INSIDE % "on_failure", keys, ["a.c", "a.on_failure.h"], of="group",
           given={"plays": {"c": bad()}}),
    within("Group", "on_cancel", INSIDE % "on_cancel", keys, ["a.c", "a.on_cancel.h"], of="group",
           given={"plays": {"c": Gives(after=60)}}, act=lambda run: run.until(5).cancel().to_end()),
    within("Group", "finally", INSIDE % "finally", keys, ["a.c", "a.finally.h"], of="group"),
]  # fmt: skip


def child(look: str) -> Callable[[Run], Any]:
    return lambda run: [getattr(order, look) for order in run.of(orders.StartChild)]


OTHER_FAILS = {"given": {"children": {"other": bad(after=5)}}}
SUBFLOW = [
    within("Subflow", "flow", "subflow: {flow: other}", child("flow"), ["other"], of="subflow"),
    within("Subflow", "version", "subflow: {flow: other, version: 3}", child("version"), [3], of="subflow"),
    within("Subflow", "inputs", "subflow: {flow: other, inputs: {n: 1}}", child("inputs"), [{"n": 1}], of="subflow"),
    within("Subflow", "wait", "subflow: {flow: other, wait: false}", lambda r: r.elapsed, 0, of="subflow",
           **OTHER_FAILS),  # type: ignore[arg-type]
    within("Subflow", "propagate_failure", "subflow: {flow: other, propagate_failure: false}", status, "succeeded",
           of="subflow", **OTHER_FAILS),  # type: ignore[arg-type]
]  # fmt: skip


def error(look: str) -> Callable[[Run], Any]:
    return lambda run: getattr(run.state.head.error, look)


ENDS = [
    within("Return", "outputs", "return: {outputs: {n: 1}}", lambda r: r.outputs, {"n": 1}, of="return"),
    within("Fail", "message", "fail: {message: no}", error("message"), "no", of="fail"),
    within("Fail", "type", "fail: {message: no, type: Bad}", error("type"), "Bad", of="fail"),
    within("Fail", "details", "fail: {message: no, details: {n: 1}}", error("details"), {"n": 1}, of="fail"),
]
BUSY = {"given": {"taken": {"step:f/a": 1, "step:f/a:k": 0}}, "act": lambda run: run.until(60)}
CROWDED = {"given": {"taken": {"step:f/a": 1}, "queued": {"step:f/a": 2}}, "act": lambda run: run.until(60)}
CONCURRENCY = [
    within("Concurrency", "limit", "concurrency: {limit: 2}", status, "succeeded", of="concurrency", **BUSY),  # type: ignore[arg-type]
    within("Concurrency", "key", "concurrency: {key: k}", status, "succeeded", of="concurrency", **BUSY),  # type: ignore[arg-type]
    within("Concurrency", "on_limit", "concurrency: {on_limit: skip}", ends("a"), ("skipped", "concurrency_limit"),
           of="concurrency", **BUSY),  # type: ignore[arg-type]
    within("Concurrency", "max_queued", "concurrency: {max_queued: 2}", ends("a"), ("failed", "queue_full"),
           of="concurrency", **CROWDED),  # type: ignore[arg-type]
    within("Concurrency", "coalesce", "concurrency: {max_queued: 2, coalesce: oldest}", ends("a"),
           ("skipped", "coalesced"), of="concurrency", **CROWDED),  # type: ignore[arg-type]
]  # fmt: skip
MANUAL = f"triggers: [{{id: t, type: manual}}]\n{A}"
TRIGGERS = [
    Case(f"ManualTrigger.{key}", ("triggers", 0, key), MANUAL, compiled(lambda c: [(t.id, t.type) for t in c.triggers]),
         [("t", "manual")])
    for key in ("id", "type")
]  # fmt: skip
CASES = (*TRIGGERS, *FLOW, *STEP, *RETRY, *FOR_EACH, *WHILE, *WAIT_FOR, *SWITCH, *GROUP, *SUBFLOW, *ENDS, *CONCURRENCY)
