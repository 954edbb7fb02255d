"""A run's state as rows: only what differs from the default is written."""

from __future__ import annotations

from typing import Any

from monjolo.engine import events as facts
from monjolo.engine.types import (
    Error,
    FanOut,
    Phase,
    Reused,
    RunHead,
    RunStatus,
    ScopeState,
    StepState,
    StepStatus,
)
from monjolo.kit import json

STEP_OUTPUT_LIMIT = 65_536  # a list of steps shows no output above this; ask for the one step
_STEP_DEFAULTS = StepState._field_defaults
_SEPARATE = frozenset({"output", "error", "status", "scope", "fan", "reason", "started_at", "finished_at", "attempt"})
_STEP_PLAIN = tuple((n, d) for n, d in _STEP_DEFAULTS.items() if n not in _SEPARATE)
_EVENTS: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (
        facts.RunCreated,
        facts.SlotGranted,
        facts.SlotRefused,
        facts.EventArrived,
        facts.ChildFinished,
        facts.CancelRequested,
    )
}


def error_to_json(error: Error | None) -> dict[str, Any] | None:
    if error is None:
        return None
    given = {
        "type": error.type,
        "message": error.message,
        "traceback": error.traceback,
        "step": error.step,
        "details": error.details,
    }
    return {name: value for name, value in given.items() if value is not None}


def error_from_json(value: dict[str, Any] | None) -> Error | None:
    return None if value is None else Error(**value)


def reused_from_json(value: dict[str, list[Any]]) -> dict[str, Reused]:
    """Of each step taken over: its status, its output, and its error when it has one."""
    return {
        key: Reused(StepStatus(status), output, error_from_json(error[0]) if error else None)
        for key, (status, output, *error) in value.items()
    }


def _scope_to_json(scope: ScopeState) -> list[Any]:
    return [
        scope.open,
        scope.phase,
        scope.outcome,
        error_to_json(scope.error),
        error_to_json(scope.handler_error),
        scope.closing,
    ]


def _scope_from_json(value: list[Any]) -> ScopeState:
    count, phase, outcome, error, handler_error, closing = value
    return ScopeState(count, Phase(phase), outcome, error_from_json(error), error_from_json(handler_error), closing)


def step_to_text(step: StepState) -> str:
    """All of a step but what has a column of its own."""
    value: dict[str, Any] = {}
    for name, default in _STEP_PLAIN:
        given = getattr(step, name)
        if given != default:
            value[name] = given
    if step.scope is not None:
        value["scope"] = _scope_to_json(step.scope)
    if step.fan is not None:
        fan = step.fan
        value["loop" if fan.loop else "fan"] = [
            fan.total,
            fan.next,
            fan.live,
            fan.failed,
            error_to_json(fan.error),
            fan.failed_items,
            fan.closing,
        ]
    return json.dumps(value) if value else "{}"


def step_from_row(row: Any) -> StepState:
    value = json.loads(row["state"])
    scope, fan, loop = value.pop("scope", None), value.pop("fan", None), value.pop("loop", None)
    return StepState(
        status=StepStatus(row["status"]),
        reason=row["reason"],
        attempt=row["attempt"],
        output=_loads(row["output"]),
        error=error_from_json(_loads(row["error"])),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        scope=None if scope is None else _scope_from_json(scope),
        fan=_fan_from_json(fan, loop),
        **value,
    )


def _fan_from_json(fan: list[Any] | None, loop: list[Any] | None) -> FanOut | None:
    value = fan or loop
    if value is None:
        return None
    total, following, live, failed, error, failed_items, closing = value
    error = error_from_json(error)
    return FanOut(total, following, live, failed, error, tuple(failed_items), closing, loop is not None)


def _loads(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def dump_or_none(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def head_to_text(head: RunHead) -> str:
    value = {
        "scope": _scope_to_json(head.scope),
        "active": head.active,
        "slot": head.slot,
        "cancel_reason": head.cancel_reason,
        "returned": head.returned,
    }
    if head.heard:
        value["heard"] = head.heard
    return json.dumps(value)


def head_from_row(row: Any) -> RunHead:
    value = json.loads(row["head"])
    return RunHead(
        status=RunStatus(row["status"]),
        reason=row["reason"],
        scope=_scope_from_json(value["scope"]),
        outputs=_loads(row["outputs"]),
        error=error_from_json(_loads(row["error"])),
        active=value["active"],
        slot=value["slot"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        cancel_reason=value["cancel_reason"],
        returned=value["returned"],
        heard=value.get("heard", 0),
    )


def event_to_text(event: facts.Event) -> str:
    """For the inbox, which carries what one run tells another."""
    value = event._asdict()
    if isinstance(event, facts.ChildFinished):
        value["error"] = error_to_json(event.error)
    return json.dumps({"event": type(event).__name__, **value})


def event_from_text(text: str) -> facts.Event:
    value = json.loads(text)
    cls = _EVENTS[value.pop("event")]
    if cls is facts.ChildFinished:
        value["error"] = error_from_json(value["error"])
    event: facts.Event = cls(**value)
    return event
