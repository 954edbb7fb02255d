"""How a wish for a run becomes a run: checked, decided as far as its first tasks, ready to be written."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from monjolo.domains.flows.models import CompiledFlow
from monjolo.domains.flows.service import FlowsService
from monjolo.domains.runs.changes import Changes
from monjolo.domains.runs.codec import dump_or_none, error_to_json, head_to_text, reused_from_json
from monjolo.domains.runs.evaluation import Evaluators
from monjolo.domains.runs.models import Entry, NewRun, PreparedRun, Repeat
from monjolo.domains.runs.numbers import Numbers
from monjolo.engine import commands as orders
from monjolo.engine import events as facts
from monjolo.engine.admission import DEFAULT_PRIORITY
from monjolo.engine.decide import decide
from monjolo.engine.draft import Decision
from monjolo.engine.evolve import evolve
from monjolo.engine.types import Reused, State
from monjolo.kit import json
from monjolo.kit.errors import Conflict, InvalidInput, MonjoloError, PayloadTooLarge, Problem
from monjolo.kit.ids import new_id
from monjolo.kit.time import Clock

MAX_DEPTH = 32
VariablesOf = Callable[[str, Sequence[str]], Awaitable[dict[str, Any]]]  # (workspace, names) -> values


@dataclass(frozen=True, slots=True)
class _InputRules:
    validator: Any
    defaults: Mapping[str, Any]


class Acceptance:
    def __init__(
        self,
        flows: FlowsService,
        evaluators: Evaluators,
        numbers: Numbers,
        variables: VariablesOf,
        clock: Clock,
        payload_limit: int,
    ) -> None:
        self._flows = flows
        self._evaluators = evaluators
        self._numbers = numbers
        self._variables = variables
        self._clock = clock
        self._payload_limit = payload_limit
        self._dice = random.Random()  # noqa: S311  (spreads retries; guards nothing)
        self._rules: dict[int, tuple[object, _InputRules]] = {}

    async def prepare(self, new: NewRun) -> PreparedRun:
        """Raises InvalidInput, Conflict (paused flow) or NotFound; writes nothing."""
        return (await self.prepare_many([new]))[0]

    async def prepare_many(self, wishes: Sequence[NewRun]) -> list[PreparedRun]:
        """The same for many; what they share is looked up once. The first that cannot be names its place."""
        known: dict[tuple[str, int | None], tuple[CompiledFlow, dict[str, Any]]] = {}
        prepared = []
        if len(wishes) > 1:
            await self._flows.at_hand((new.flow_id, new.version) for new in wishes)
            await self._numbers.learn_many(new.flow_id for new in wishes)
        for index, new in enumerate(wishes):
            try:
                found = known.get((new.flow_id, new.version))
                if found is None:
                    flow = await self._flows.compiled(new.flow_id, new.version)
                    variables = await self._variables(flow.workspace_id, flow.compiled.vars)
                    await self._numbers.learn(flow.flow_id)
                    found = known[new.flow_id, new.version] = (flow, variables)
                prepared.append(self._prepare(new, *found))
            except MonjoloError as error:
                if len(wishes) > 1:
                    error.detail = f"items[{index}]: {error.detail}"
                raise
        return prepared

    def _prepare(self, new: NewRun, flow: CompiledFlow, variables: dict[str, Any]) -> PreparedRun:
        if flow.state == "paused" and new.repeat is None:
            which = "flow" if new.parent is None else f"flow {flow.slug}"
            raise Conflict(f"The {which} is paused; resume it first.", code="flow_paused")
        if new.parent is not None and new.parent.depth > MAX_DEPTH:
            raise InvalidInput(f"Sub-flows may be nested {MAX_DEPTH} deep.", code="subflow_too_deep")
        inputs = self._checked_inputs(flow, new.inputs)
        return self._decided(new, flow, inputs, self._numbers.take(flow.flow_id), variables)

    def _checked_inputs(self, flow: CompiledFlow, given: Mapping[str, Any]) -> dict[str, Any]:
        rules = self._rules_of(flow)
        inputs = {**rules.defaults, **given} if rules.defaults else dict(given)
        if rules.validator is not None and not rules.validator.is_valid(inputs):
            problems = [
                Problem("/".join(map(str, ("inputs", *error.instance_path))), "invalid_input", error.message)
                for error in rules.validator.iter_errors(inputs)
            ]
            raise InvalidInput("The inputs do not fit the flow's schema.", code="invalid_inputs", errors=problems)
        if rules.validator is None and inputs:
            raise InvalidInput("The flow takes no inputs.", code="invalid_inputs")
        size = len(json.dumpb(inputs))
        if size > self._payload_limit:
            raise PayloadTooLarge(
                f"The inputs are {size} bytes; up to {self._payload_limit} are taken. Pass a reference instead."
            )
        return inputs

    def _rules_of(self, flow: CompiledFlow) -> _InputRules:
        kept = self._rules.get(id(flow.compiled))
        if kept is not None and kept[0] is flow.compiled:
            return kept[1]
        schema = flow.compiled.input_schema
        validator = None if not schema else jsonschema_rs.validator_for(schema, validate_formats=True)
        defaults = {
            name: rule["default"]
            for name, rule in (schema or {}).get("properties", {}).items()
            if isinstance(rule, dict) and "default" in rule
        }
        rules = _InputRules(validator, defaults)
        if len(self._rules) > 1_000:
            self._rules.clear()
        self._rules[id(flow.compiled)] = (flow.compiled, rules)
        return rules

    def _decided(
        self,
        new: NewRun,
        flow: CompiledFlow,
        inputs: dict[str, Any],
        number: int,
        variables: dict[str, Any],
    ) -> PreparedRun:
        now = self._clock.now()
        run_id = new.run_id or new_id()
        trigger_type = str(new.trigger.get("type", "manual"))
        context = {
            "run": {"id": run_id, "number": number, "trigger": trigger_type},
            "flow": {"id": flow.slug, "name": flow.name, "version": flow.version},
            "trigger": dict(new.trigger),
            "event": new.event,
            "vars": variables,
        }
        state = State(
            run_id=run_id,
            plan=flow.compiled.plan,
            seed=self._dice.getrandbits(62),
            created_at=now,
            inputs=inputs,
            context=context,
            reused=_reused(new),
        )
        parent = new.parent
        root = parent.root_run_id if parent else run_id
        entry = Entry(
            state, 0, flow, flow.workspace_id, number, parent, root, trigger_type, priority=_priority(new, flow)
        )
        decision = decide(state, facts.RunCreated(now), self._evaluators.of(flow.compiled))
        if any(isinstance(order, orders.StartChild) for order in decision.commands):
            decision = Decision()  # a sub-flow at the very start: the orchestrator decides, from the inbox
        else:
            evolve(state, decision)
        labels = {**flow.compiled.labels, **new.labels}
        return PreparedRun(
            run_id, number, entry, decision, _row(new, entry, labels, now), _idempotency(new, flow, inputs)
        )


def _reused(new: NewRun) -> dict[str, Reused]:
    return {} if new.repeat is None else reused_from_json(_taken(new.repeat))


def _taken(repeat: Repeat) -> dict[str, list[Any]]:
    return {key: [each.status, each.output, each.error] for key, each in repeat.reused.items()}


def _priority(new: NewRun, flow: CompiledFlow) -> int:
    for given in (new.priority, flow.compiled.priority):
        if given is not None:
            return given
    return DEFAULT_PRIORITY if new.parent is None else new.parent.priority


def _idempotency(new: NewRun, flow: CompiledFlow, inputs: dict[str, Any]) -> tuple[str, str, str] | None:
    if new.idempotency_key is None:
        return None
    print_ = hashlib.sha256(json.canonical(inputs)).hexdigest()
    return f"run:{flow.slug}", new.idempotency_key, print_


def _row(new: NewRun, entry: Entry, labels: Mapping[str, str], now: int) -> dict[str, Any]:
    """The run's row as it will be inserted. Head columns are those after the first decision."""
    state, head, parent, flow = entry.state, entry.state.head, entry.parent, entry.flow
    return {
        "id": state.run_id,
        "workspace_id": flow.workspace_id,
        "number": entry.number,
        "flow_id": flow.flow_id,
        "flow": flow.slug,
        "version": flow.version,
        "status": str(head.status),
        "reason": head.reason,
        "seed": state.seed,
        "priority": entry.priority,
        "trigger_type": entry.trigger_type,
        "trigger": json.dumps(state.context["trigger"]),
        "inputs": json.dumps(state.inputs),
        "labels": json.dumps(dict(labels)),
        "context": json.dumps({**state.context, "reused": _taken(new.repeat)} if new.repeat else state.context),
        "head": head_to_text(head),
        "outputs": dump_or_none(head.outputs),
        "error": dump_or_none(error_to_json(head.error)),
        "root_run_id": entry.root_run_id,
        "parent_run_id": parent.run_id if parent else None,
        "parent_key": parent.key if parent else None,
        "parent_token": parent.token if parent else None,
        "depth": parent.depth if parent else 0,
        "repeat_of": new.repeat.run_id if new.repeat else None,
        "actor": new.actor,
        "created_at": now,
        "started_at": head.started_at,
        "finished_at": head.finished_at,
    }


def changes_of(prepared: PreparedRun) -> Changes:
    repeat_of = prepared.row["repeat_of"]
    changes = Changes(prepared.entry, 0, row=prepared.row, repeat_of=repeat_of)
    changes.add(prepared.decision, prepared.row["created_at"])
    changes.head = prepared.entry.state.head
    return changes
