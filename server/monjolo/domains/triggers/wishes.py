"""What a trigger asks for when it fires: its `when` and `inputs` evaluated, and the run that follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from monjolo.domains.flows.models import CompiledFlow
from monjolo.domains.runs.models import NewRun
from monjolo.domains.triggers.models import Flows, Trigger, VariablesOf
from monjolo.engine.values import Failure
from monjolo.flow_document import TriggerPlan
from monjolo.kit import json


@dataclass(frozen=True, slots=True)
class Declined:
    """No run, and why: `when` (it was false), `when_failed`, `inputs_failed`, or the code of an error."""

    reason: str
    detail: str = ""


class Wishes:
    def __init__(self, flows: Flows, variables: VariablesOf) -> None:
        self._flows = flows
        self._variables = variables

    async def at_hand(self, triggers: Iterable[Trigger]) -> None:
        """Many are about to be asked for: their flows are loaded together."""
        await self._flows.at_hand((trigger.flow_id, None) for trigger in triggers)

    async def of(
        self, trigger: Trigger, facts: Mapping[str, Any], event: Mapping[str, Any] | None = None
    ) -> NewRun | Declined:
        """`facts` is what the run will know as `trigger`. Raises NotFound for a flow that is gone."""
        flow = await self._flows.compiled(trigger.flow_id)
        rules = _rules(flow, trigger.name)
        if rules is None:
            return Declined("trigger_gone", "the flow's published version has no such trigger")
        names = await self._names(flow, facts, event)
        if rules.when is not None:
            admitted = flow.compiled.expressions.evaluate(rules.when, names)
            if isinstance(admitted, Failure):
                return Declined("when_failed", admitted.message)
            if admitted.value is not True:
                return Declined("when")
        inputs: Any = {}
        if rules.inputs is not None:
            given = flow.compiled.expressions.evaluate(rules.inputs, names)
            if isinstance(given, Failure):
                return Declined("inputs_failed", given.message)
            inputs = given.value
        return NewRun(flow_id=trigger.flow_id, inputs=inputs, trigger=facts, event=event, version=flow.version)

    async def dedupe_key(
        self, trigger: Trigger, facts: Mapping[str, Any], event: Mapping[str, Any]
    ) -> str | Failure | None:
        """What `dedupe_key` gives for this call; None when the trigger has none, or it gave nothing."""
        flow = await self._flows.compiled(trigger.flow_id)
        rules = _rules(flow, trigger.name)
        if rules is None or rules.dedupe_key is None:
            return None
        key = flow.compiled.expressions.evaluate(rules.dedupe_key, await self._names(flow, facts, event))
        if isinstance(key, Failure):
            return key
        if key.value in (None, ""):
            return None
        return key.value if isinstance(key.value, str) else json.dumps(key.value)

    async def secret(self, trigger: Trigger) -> Any:
        """The trigger's secret as it is written: text, or a placeholder of `{"$secret": name}`'s kind; or None."""
        flow = await self._flows.compiled(trigger.flow_id)
        rules = _rules(flow, trigger.name)
        if rules is None or rules.secret is None:
            return None
        found = flow.compiled.expressions.evaluate(rules.secret, {})
        return None if isinstance(found, Failure) else found.value

    async def _names(
        self, flow: CompiledFlow, facts: Mapping[str, Any], event: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        names = flow.compiled.vars
        return {
            "trigger": facts,
            "event": event,
            "flow": {"id": flow.slug, "name": flow.name, "version": flow.version},
            "vars": await self._variables(flow.workspace_id, names) if names else {},
        }


def _rules(flow: CompiledFlow, name: str) -> TriggerPlan | None:
    return next((trigger for trigger in flow.compiled.triggers if trigger.id == name), None)
