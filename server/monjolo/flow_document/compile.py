"""A checked document becomes the engine's Plan and the table of its expressions.

The same walk serves to validate: what an expression may not say is reported where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monjolo.engine.types import ExprId, Plan
from monjolo.flow_document.actions import ResolvedAction
from monjolo.flow_document.builder import Builder
from monjolo.flow_document.expressions import Expressions
from monjolo.flow_document.names import FLOW_NAMES, TRIGGER_NAMES, Known, Place
from monjolo.flow_document.parse import path_text
from monjolo.flow_document.shapes import Report, keys_of
from monjolo.flow_document.steps import StepCompiler, concurrency_plan, handler_lists, inner_lists, is_mapping
from monjolo.flow_document.types import FLOW, Flow, Retention, Step, Trigger, WebhookAuth, WebhookTrigger
from monjolo.kit.errors import InvalidInput, Problem

EVENT_FIELDS = ("id", "type", "source", "at")  # beside its data
_OWN = {"id", "type", "enabled", "inputs", "when", "auth", "dedupe_key"}


@dataclass(frozen=True, slots=True)
class TriggerPlan:
    """A trigger, ready to be stored. `config` holds its own keys; durations and instants in microseconds.

    The expressions see trigger, event, flow and vars. `secret` gives a placeholder as in `with`.
    """

    id: str
    type: str
    enabled: bool
    config: dict[str, Any]
    when: ExprId | None = None
    inputs: ExprId | None = None
    dedupe_key: ExprId | None = None
    secret: ExprId | None = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """Everything the platform needs of one flow version."""

    plan: Plan
    expressions: Expressions
    triggers: tuple[TriggerPlan, ...] = ()
    input_schema: dict[str, Any] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    retention: Retention = field(default_factory=Retention)
    priority: int | None = None
    vars: tuple[str, ...] = ()
    step_paths: Mapping[str, str] = field(default_factory=dict)  # step id -> path in Plan.steps
    name: str | None = None
    description: str | None = None


def compile_plan(document: dict[str, Any], flow: str, version: int, resolved: Mapping[str, ResolvedAction]) -> Compiled:
    """Raises InvalidInput with every problem when the document is not fit to be compiled."""
    problems: list[Problem] = []

    def report(path: tuple[str | int, ...], code: str, message: str) -> None:
        problems.append(Problem(path_text(path), code, message))

    FLOW.check(document, (), report)
    if not problems:
        compiled = compile_flow(FLOW.build(document), flow, version, resolved.get, report)
        if not problems:
            return compiled
    raise InvalidInput("The flow has problems; mend them and try again.", code="invalid_flow", errors=problems)


def compile_flow(
    document: Flow,
    flow: str,
    version: int,
    resolve: Callable[[str], ResolvedAction | None],
    report: Report,
) -> Compiled:
    """What `validate` and `compile_plan` share. After a problem was reported the result must not be used."""
    every = list(_walk(document))
    known = _known(document, every, resolve)
    builder = Builder(report)
    steps = StepCompiler(builder, known, document.defaults, resolve, report)
    place = Place(known)
    body = steps.scope(document.steps, place, "", ("steps",))
    ended = place.after(steps.visible_of(document.steps))
    handlers = steps.handlers(document, ended, "", ())
    outputs = None
    if document.outputs is not None:
        outputs = builder.value(document.outputs, ended, ("outputs",), is_mapping)
    flow_place = Place(known, FLOW_NAMES)
    plan = Plan(
        flow=flow,
        version=version,
        body=body,
        steps=steps.found,
        handlers=handlers,
        timeout=document.timeout,
        concurrency=concurrency_plan(builder, document.concurrency, flow_place, ("concurrency",)),
        outputs=outputs,
    )
    triggers = tuple(
        _trigger(builder, trigger, Place(known, TRIGGER_NAMES), index)
        for index, trigger in enumerate(document.triggers)
    )
    return Compiled(
        plan=plan,
        expressions=builder.finish(),
        triggers=triggers,
        input_schema=document.inputs,
        labels=document.labels,
        retention=document.retention or Retention(),
        priority=document.priority,
        vars=document.vars,
        step_paths=steps.paths,
        name=document.name,
        description=document.description,
    )


def _walk(document: Flow) -> Sequence[Step]:
    """Every step of the document, in the order in which it stands."""
    out: list[Step] = []
    todo: list[Step] = []
    for steps in (document.steps, *(handler for _, handler in handler_lists(document))):
        todo.extend(reversed(steps))
        while todo:
            step = todo.pop()
            out.append(step)
            for _, inner in reversed(list(inner_lists(step))):
                todo.extend(reversed(inner))
    return out


def _known(document: Flow, every: Sequence[Step], resolve: Callable[[str], ResolvedAction | None]) -> Known:
    outputs: dict[str, Any] = {}
    for step in every:
        action = resolve(step.uses) if step.uses is not None and step.for_each is None else None
        given = action.output_schema if action is not None else None
        if step.while_ is not None:
            outputs[step.id] = _object({"iterations": {"type": "integer"}, "last": given or {}})
        elif step.wait_for is not None:
            outputs[step.id] = _object({name: {"type": "string"} for name in EVENT_FIELDS} | {"data": {}})
        elif given is not None:
            outputs[step.id] = given
    return Known(
        steps={step.id: 1 << index for index, step in enumerate(every)},
        outputs=outputs,
        inputs=document.inputs,
        variables=frozenset(document.vars),
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _trigger(builder: Builder, trigger: Trigger, place: Place, index: int) -> TriggerPlan:
    path = ("triggers", index)
    config = {name: getattr(trigger, field.name) for name, field in keys_of(type(trigger)).items() if name not in _OWN}
    inputs = dedupe = secret = None
    if trigger.inputs is not None:
        inputs = builder.value(trigger.inputs, place, (*path, "inputs"), is_mapping)
    if isinstance(trigger, WebhookTrigger):
        auth = trigger.auth if isinstance(trigger.auth, WebhookAuth) else WebhookAuth()
        config["auth"] = {
            name: getattr(auth, field.name) for name, field in keys_of(WebhookAuth).items() if name != "secret"
        }
        if trigger.dedupe_key is not None:
            dedupe = builder.text(trigger.dedupe_key, place, (*path, "dedupe_key"))
        if auth.secret is not None:
            secret = builder.value(auth.secret, place.with_secrets(), (*path, "auth", "secret"))
    return TriggerPlan(
        id=trigger.id,
        type=trigger.type,
        enabled=trigger.enabled,
        config=config,
        when=builder.condition(trigger.when, place, (*path, "when")),
        inputs=inputs,
        dedupe_key=dedupe,
        secret=secret,
    )
