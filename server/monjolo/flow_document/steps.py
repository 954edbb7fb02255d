"""Steps of the document become steps of the plan: order, paths, defaults, and the names each may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from monjolo.engine.types import (
    ActionPlan,
    ConcurrencyPlan,
    ForEachPlan,
    HandlersPlan,
    Phase,
    RetryPlan,
    RunWhen,
    ScopePlan,
    StepKind,
    StepPlan,
    SubflowPlan,
    WaitPlan,
    WhilePlan,
)
from monjolo.flow_document.actions import ResolvedAction, check_with
from monjolo.flow_document.builder import Builder
from monjolo.flow_document.expressions import Instant, Length, Of, Program
from monjolo.flow_document.names import Known, Place
from monjolo.flow_document.order import order_of
from monjolo.flow_document.parse import Path
from monjolo.flow_document.shapes import Report, keys_of
from monjolo.flow_document.types import HANDLERS, Concurrency, Defaults, Fail, Retry, Step

Resolve = Callable[[str], ResolvedAction | None]


def is_mapping(inner: Program) -> Program:
    return Of(inner, dict, "an object")


def is_list(inner: Program) -> Program:
    return Of(inner, list, "a list")


def inner_lists(step: Step) -> Iterator[tuple[Path, tuple[Step, ...]]]:
    """The lists of steps within a step, with their path from it."""
    if step.steps is not None:
        yield ("steps",), step.steps
    if step.while_ is not None and step.while_.steps is not None:
        yield ("while", "steps"), step.while_.steps
    if step.switch is not None:
        for name, steps in step.switch.cases.items():
            yield ("switch", "cases", name), steps
        if step.switch.default is not None:
            yield ("switch", "default"), step.switch.default
    if step.group is not None:
        yield ("group", "steps"), step.group.steps
        for name, steps in handler_lists(step.group):
            yield ("group", name), steps


def handler_lists(owner: Any) -> list[tuple[str, tuple[Step, ...]]]:
    """The handlers of a flow or group that are written: (key, steps)."""
    lists = [(name, getattr(owner, keys_of(type(owner))[name].name)) for name in HANDLERS]
    return [(name, steps) for name, steps in lists if steps]


def concurrency_plan(builder: Builder, written: Concurrency | None, place: Place, path: Path) -> ConcurrencyPlan | None:
    if written is None:
        return None
    key = None if written.key is None else builder.text(written.key, place, (*path, "key"))
    return ConcurrencyPlan(written.limit, key, written.on_limit, written.max_queued, written.coalesce)


class StepCompiler:
    """Compiles lists of steps. `found` and `paths` gather what was compiled, by path and by id."""

    def __init__(
        self, builder: Builder, known: Known, defaults: Defaults | None, resolve: Resolve, report: Report
    ) -> None:
        self._builder = builder
        self._known = known
        self._defaults = defaults or Defaults()
        self._resolve = resolve
        self._report = report
        self.found: dict[str, StepPlan] = {}
        self.paths: dict[str, str] = {}

    def visible_of(self, steps: Sequence[Step]) -> int:
        """What may be read once these have ended: they, and what their groups and switches hold."""
        bits = 0
        for step in steps:
            bits |= self._visible(step)
        return bits

    def _visible(self, step: Step) -> int:
        bits = self._known.steps[step.id]
        if step.for_each is None and step.while_ is None:
            for _, inner in inner_lists(step):
                bits |= self.visible_of(inner)
        return bits

    def scope(
        self, steps: Sequence[Step], place: Place, prefix: str, path: Path, phase: Phase = Phase.BODY
    ) -> ScopePlan:
        order = order_of(steps, {step.id: self._visible(step) for step in steps}, path, self._report)
        plans = []
        for index, step in enumerate(steps):
            here = place.after(order.upstream.get(step.id, 0))
            plan = replace(
                self._step(step, here, f"{prefix}{step.id}", (*path, index)),
                phase=phase,
                needs=order.needs[step.id],
                dependents=order.dependents[step.id],
            )
            self.found[plan.path] = plan
            self.paths[plan.id] = plan.path
            plans.append(plan)
        return ScopePlan(tuple(plans))

    def handlers(self, owner: Any, ended: Place, prefix: str, path: Path) -> HandlersPlan:
        """The handlers of a flow or group: they see every step of its body, and `error`."""
        place = ended.with_names("error")
        plans = {}
        for name, steps in handler_lists(owner):
            phase = Phase(name)
            plans[name] = self.scope(steps, place, f"{prefix}{name}.", (*path, name), phase)
        return HandlersPlan(
            plans.get("on_success"), plans.get("on_failure"), plans.get("on_cancel"), plans.get("finally")
        )

    def _step(self, step: Step, place: Place, key: str, path: Path) -> StepPlan:
        plan = StepPlan(
            path=key,
            id=step.id,
            kind=StepKind.ACTION,
            run_when=RunWhen(step.run_when),
            condition=self._builder.condition(step.if_, place, (*path, "if")),
            continue_on_error=step.continue_on_error,
            concurrency=concurrency_plan(self._builder, step.concurrency, place, (*path, "concurrency")),
        )
        if step.for_each is not None:
            return self._for_each(plan, step, place, path)
        if step.while_ is not None:
            return self._while(plan, step, place, path)
        if step.uses is not None:
            return self._attempts(self._action(plan, step, place, path), step, place, path)
        plan = replace(plan, timeout=step.timeout)
        if step.group is not None:
            return self._group(plan, step, place, path)
        if step.switch is not None:
            return self._switch(plan, step, place, path)
        if step.subflow is not None:
            return self._subflow(plan, step, place, path)
        if step.wait_for is not None:
            return self._wait_for(plan, step, place, path)
        return self._simple(plan, step, place, path)

    def _action(self, plan: StepPlan, step: Step, place: Place, path: Path) -> StepPlan:
        assert step.uses is not None
        action = self._resolve(step.uses)
        given = step.with_ or {}
        inputs = self._builder.value(given, place.with_secrets(), (*path, "with"))
        if action is None:
            message = f"There is no action `{step.uses}` among the installed modules; see `monjolo module list`."
            self._report((*path, "uses"), "unknown_action", message)
            return plan
        check_with(action, given, (*path, "with") if step.with_ is not None else path, self._report)
        return replace(
            plan,
            kind=StepKind.ACTION,
            action=ActionPlan(action.module, action.version, action.digest, action.action, inputs),
        )

    def _attempts(self, plan: StepPlan, step: Step, place: Place, path: Path) -> StepPlan:
        """What holds for each attempt of an action, with the flow's defaults where the step sets none."""
        retry, at = step.retry, (*path, "retry")
        if retry is None:
            retry, at = self._defaults.retry, ("defaults", "retry")
        return replace(
            plan,
            timeout=step.timeout if step.timeout is not None else self._defaults.timeout,
            queue_timeout=(step.queue_timeout if step.queue_timeout is not None else self._defaults.queue_timeout),
            at_most_once=step.delivery == "at_most_once",
            max_crashes=step.max_crashes,
            retry=RetryPlan() if retry is None else self._retry(retry, place.with_names("error"), at),
        )

    def _retry(self, retry: Retry, place: Place, path: Path) -> RetryPlan:
        return RetryPlan(
            max_attempts=retry.max_attempts,
            backoff=retry.backoff,
            delay=retry.delay,
            factor=retry.factor,
            max_delay=retry.max_delay,
            jitter=retry.jitter,
            max_elapsed=retry.max_elapsed,
            condition=self._builder.condition(retry.if_, place, (*path, "if")),
        )

    def _for_each(self, plan: StepPlan, step: Step, place: Place, path: Path) -> StepPlan:
        written = step.for_each
        assert written is not None
        items = self._builder.value(written.items, place, (*path, "for_each", "items"), is_list)
        inside = place.with_names(written.as_, "index")
        item = StepPlan(path=f"{plan.path}[]", id=step.id, kind=StepKind.ACTION)
        if step.uses is not None:
            item = self._attempts(self._action(item, step, inside, path), step, inside, path)
        else:
            body = self.scope(step.steps or (), inside, f"{item.path}.", (*path, "steps"))
            item = replace(item, kind=StepKind.GROUP, body=body)
            plan = replace(plan, timeout=step.timeout)
        self.found[item.path] = item
        fan_out = ForEachPlan(
            items=items,
            as_name=written.as_,
            max_parallel=written.max_parallel,
            batch_size=written.batch_size,
            on_item_error=written.on_item_error,
        )
        return replace(plan, kind=StepKind.FOR_EACH, for_each=fan_out, item=item)

    def _while(self, plan: StepPlan, step: Step, place: Place, path: Path) -> StepPlan:
        """Its own output is what the last iteration gave: the condition and the next iteration see it."""
        written = step.while_
        assert written is not None
        inside = place.with_names("index").after(self._known.steps[step.id])
        item = StepPlan(path=f"{plan.path}[]", id=step.id, kind=StepKind.ACTION)
        if step.uses is not None:
            item = self._attempts(self._action(item, step, inside, path), step, inside, path)
        else:
            body = self.scope(written.steps or (), inside, f"{item.path}.", (*path, "while", "steps"))
            item = replace(item, kind=StepKind.GROUP, body=body)
            plan = replace(plan, timeout=step.timeout)
        self.found[item.path] = item
        ended = inside.after(self.visible_of(written.steps or ()))
        condition = self._builder.condition(written.if_, ended, (*path, "while", "if"))
        assert condition is not None
        loop = WhilePlan(condition, written.max_iterations, written.interval)
        return replace(plan, kind=StepKind.WHILE, loop=loop, item=item)

    def _wait_for(self, plan: StepPlan, step: Step, place: Place, path: Path) -> StepPlan:
        written = step.wait_for
        assert written is not None
        wait = WaitPlan(written.event, self._builder.condition(written.when, place, (*path, "wait_for", "when")))
        retry = RetryPlan()
        if step.retry is not None:
            retry = self._retry(step.retry, place.with_names("error"), (*path, "retry"))
        return replace(plan, kind=StepKind.WAIT_FOR, wait=wait, timeout=written.timeout, retry=retry)

    def _group(self, plan: StepPlan, step: Step, place: Place, path: Path) -> StepPlan:
        group = step.group
        assert group is not None
        at = (*path, "group")
        body = self.scope(group.steps, place, f"{plan.path}.", (*at, "steps"))
        ended = place.after(self.visible_of(group.steps))
        handlers = self.handlers(group, ended, f"{plan.path}.", at)
        return replace(plan, kind=StepKind.GROUP, body=body, handlers=handlers)

    def _switch(self, plan: StepPlan, step: Step, place: Place, path: Path) -> StepPlan:
        switch = step.switch
        assert switch is not None
        at = (*path, "switch")
        cases = tuple(
            (name, self.scope(steps, place, f"{plan.path}.", (*at, "cases", name)))
            for name, steps in switch.cases.items()
        )
        default = None
        if switch.default is not None:
            default = self.scope(switch.default, place, f"{plan.path}.", (*at, "default"))
        value = self._builder.value(switch.value, place, (*at, "value"))
        return replace(plan, kind=StepKind.SWITCH, switch=value, cases=cases, default=default)

    def _subflow(self, plan: StepPlan, step: Step, place: Place, path: Path) -> StepPlan:
        written = step.subflow
        assert written is not None
        inputs = self._builder.value(written.inputs or {}, place, (*path, "subflow", "inputs"), is_mapping)
        subflow = SubflowPlan(written.flow, inputs, written.version, written.wait, written.propagate_failure)
        return replace(plan, kind=StepKind.SUBFLOW, subflow=subflow)

    def _simple(self, plan: StepPlan, step: Step, place: Place, path: Path) -> StepPlan:
        if step.sleep is not None:
            value = self._builder.value(step.sleep, place, (*path, "sleep"), Length)
            return replace(plan, kind=StepKind.SLEEP, value=value)
        if step.sleep_until is not None:
            value = self._builder.value(step.sleep_until, place, (*path, "sleep_until"), Instant)
            return replace(plan, kind=StepKind.SLEEP_UNTIL, value=value)
        if step.return_ is not None:
            outputs = step.return_.outputs or {}
            value = self._builder.value(outputs, place, (*path, "return", "outputs"), is_mapping)
            return replace(plan, kind=StepKind.RETURN, value=value)
        fail = step.fail
        if isinstance(fail, Fail):
            written = {"message": fail.message, "type": fail.type, "details": fail.details}
            return replace(plan, kind=StepKind.FAIL, value=self._builder.value(written, place, (*path, "fail")))
        value = self._builder.text(fail or "", place, (*path, "fail"))
        return replace(plan, kind=StepKind.FAIL, value=value)
