"""Rules of the document that a shape cannot say: which keys go together, ids, limits, clocks, webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from monjolo.flow_document.actions import schema_problem
from monjolo.flow_document.names import ALL_NAMES, RESERVED, suggestion
from monjolo.flow_document.parse import Path
from monjolo.flow_document.shapes import Report
from monjolo.flow_document.steps import handler_lists, inner_lists
from monjolo.flow_document.types import (
    HANDLERS,
    LONGEST_WAIT,
    Flow,
    IntervalTrigger,
    ScheduleTrigger,
    Step,
    Trigger,
    WebhookAuth,
    WebhookTrigger,
)
from monjolo.kit.time import format_duration

MAX_STEPS = 2_000
CRON_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_CONSTRUCTS = ("uses", "switch", "group", "subflow", "sleep", "sleep_until", "wait_for", "return", "fail")
_ONLY_WITH = {  # a key that would have no effect beside other constructs is refused there
    "with": ("uses",),
    "retry": ("uses", "wait_for"),
    "queue_timeout": ("uses",),
    "delivery": ("uses",),
    "max_crashes": ("uses",),
    "timeout": ("uses", "for_each", "while", "group", "switch", "subflow"),
    "steps": ("for_each",),
}
_WITHIN = {"timeout": "wait_for", "steps": "while"}


def cron_expression(text: str) -> str:
    """The 5 or 6 fields behind an alias such as `@daily`."""
    return CRON_ALIASES.get(text.strip().lower(), text.strip())


def cron_problem(text: str) -> str | None:
    """What is wrong with a cron expression, in words; None when it is right."""
    fields = cron_expression(text)
    if len(fields.split()) not in (5, 6):
        return "A cron expression has 5 or 6 fields, or is one of " + ", ".join(CRON_ALIASES) + "."
    try:
        next(CronSim(fields, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        return f"`{text}` is not a cron expression: {error}."
    except StopIteration:
        return f"`{text}` never comes due."
    return None


def check_rules(document: Flow, written: dict[str, Any], report: Report) -> None:
    """`written` is the document as it stands, which alone tells a default from a written key."""
    _check_inputs(document, report)
    _check_triggers(document, report)
    _check_concurrency(written, (), report)
    seen: dict[str, Path] = {}
    for step, path in all_steps(document):
        _check_id(step, path, seen, report)
        _check_keys(_at(written, path), path, report)
        if step.for_each is not None and (step.for_each.as_ in ALL_NAMES or step.for_each.as_ in RESERVED):
            message = f"`{step.for_each.as_}` is taken; choose another name."
            report((*path, "for_each", "as"), "reserved_name", message)
    if len(seen) > MAX_STEPS:
        report(("steps",), "too_many_steps", f"A flow may have {MAX_STEPS:,} steps; use sub-flows.")


def all_steps(document: Flow) -> Iterator[tuple[Step, Path]]:
    """Every step with its path, handlers included, in the order in which they stand."""
    lists: list[tuple[Path, tuple[Step, ...]]] = [(("steps",), document.steps)]
    lists += [((name,), steps) for name, steps in handler_lists(document)]
    todo = [(step, (*at, index)) for at, steps in lists for index, step in enumerate(steps)]
    todo.reverse()
    while todo:
        step, path = todo.pop()
        yield step, path
        inner = [(below, (*path, *at, index)) for at, steps in inner_lists(step) for index, below in enumerate(steps)]
        todo.extend(reversed(inner))


def _at(written: Any, path: Path) -> Any:
    for part in path:
        written = written[part]
    return written


def _check_id(step: Step, path: Path, seen: dict[str, Path], report: Report) -> None:
    if step.id in seen:
        report((*path, "id"), "duplicate_id", f"The id `{step.id}` stands twice; a step id is unique in the flow.")
    elif step.id in RESERVED or step.id in HANDLERS:
        report((*path, "id"), "reserved_id", f"`{step.id}` is a word of the language; choose another id.")
    seen[step.id] = path


def _check_keys(written: dict[str, Any], path: Path, report: Report) -> None:
    found = [name for name in _CONSTRUCTS if name in written]
    if "for_each" in written:
        _check_for_each(found, written, path, report)
    elif "while" in written:
        _check_while(found, written, path, report)
    elif not found:
        message = f"A step does one thing: give it {', '.join(_CONSTRUCTS)}, for_each or while."
        report(path, "nothing_to_do", message)
    elif len(found) > 1:
        message = f"A step does one thing, not {' and '.join(found)}; make two steps of it."
        report((*path, found[1]), "two_things", message)
    if written.get("delivery") == "at_most_once":
        for name in ("retry", "max_crashes"):
            if name in written:
                report((*path, name), "no_effect", f"`{name}` has no effect: with at_most_once nothing runs twice.")
    _check_concurrency(written, path, report)
    if "retry" in written and "timeout" not in written.get("wait_for", ("timeout",)):
        message = "`retry` has no effect: a wait without `timeout` does not fail; give `wait_for` one."
        report((*path, "retry"), "no_effect", message)
    for name, places in _ONLY_WITH.items():
        if name in written and not any(place in written for place in places):
            within = _WITHIN.get(name, "")
            hint = f" Write it under `{within}`." if within in written else ""
            message = f"`{name}` has no effect here; it stands beside {' or '.join(places)}.{hint}"
            report((*path, name), "no_effect", message)


def _check_concurrency(written: dict[str, Any], path: Path, report: Report) -> None:
    concurrency = written.get("concurrency") or {}
    on_limit = concurrency.get("on_limit", "queue")
    for name in ("max_queued", "coalesce"):
        if name in concurrency and on_limit != "queue":
            message = f"`{name}` has no effect: with `on_limit: {on_limit}` no queue forms."
            report((*path, "concurrency", name), "no_effect", message)


def _check_for_each(found: list[str], written: dict[str, Any], path: Path, report: Report) -> None:
    others = [name for name in (*found, "while") if name != "uses" and name in written]
    if others:
        message = f"`for_each` stands beside `uses` or `steps`; put `{others[0]}` under `steps`."
        report((*path, others[0]), "two_things", message)
    elif ("uses" in written) == ("steps" in written):
        message = "`for_each` needs either `uses` or `steps` beside it, and not both."
        report((*path, "for_each"), "nothing_to_do" if "uses" not in written else "two_things", message)


def _check_while(found: list[str], written: dict[str, Any], path: Path, report: Report) -> None:
    others = [name for name in found if name != "uses"]
    inside = "steps" in written["while"]
    if others:
        message = f"`while` stands beside `uses`, or has `steps`; put `{others[0]}` under its `steps`."
        report((*path, others[0]), "two_things", message)
    elif ("uses" in written) == inside:
        message = "`while` needs either `steps` in it or `uses` beside it, and not both."
        report((*path, "while"), "two_things" if inside else "nothing_to_do", message)


def _check_inputs(document: Flow, report: Report) -> None:
    schema = document.inputs
    if schema is None:
        return
    problem = schema_problem(schema)
    if problem is not None:
        report(("inputs",), "bad_schema", f"This is not a JSON Schema: {problem}.")
    elif schema.get("type") != "object":
        report(("inputs",), "bad_schema", "The inputs are an object: write `type: object` and `properties`.")


def _check_triggers(document: Flow, report: Report) -> None:
    seen: set[str] = set()
    for index, trigger in enumerate(document.triggers):
        path: Path = ("triggers", index)
        if trigger.id in seen:
            report((*path, "id"), "duplicate_id", f"The trigger id `{trigger.id}` stands twice.")
        seen.add(trigger.id)
        _check_trigger(trigger, path, report)


def _check_trigger(trigger: Trigger, path: Path, report: Report) -> None:
    match trigger:
        case ScheduleTrigger():
            problem = cron_problem(trigger.cron)
            if problem is not None:
                report((*path, "cron"), "bad_cron", problem)
            _check_zone(trigger.timezone, (*path, "timezone"), report)
            if trigger.start_at is not None and trigger.end_at is not None and trigger.end_at <= trigger.start_at:
                report((*path, "end_at"), "out_of_range", "`end_at` must come after `start_at`.")
        case IntervalTrigger() if trigger.every < 1_000_000:
            report((*path, "every"), "out_of_range", "The shortest interval is 1s.")
        case WebhookTrigger():
            _check_auth(trigger, (*path, "auth"), report)
            _check_wait(trigger, (*path, "wait"), report)
        case _:
            pass


def _check_zone(zone: str, path: Path, report: Report) -> None:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        hint = suggestion(zone, available_timezones())
        report(path, "bad_timezone", f"There is no time zone `{zone[:64]}`{hint}.")


def _check_wait(trigger: WebhookTrigger, path: Path, report: Report) -> None:
    if trigger.wait is None:
        return
    if trigger.respond != "sync":
        report(path, "no_effect", "`wait` has no effect here; it stands beside `respond: sync`.")
    elif trigger.wait > LONGEST_WAIT:
        report(path, "out_of_range", f"A caller waits {format_duration(LONGEST_WAIT)} at most.")


def _check_auth(trigger: WebhookTrigger, path: Path, report: Report) -> None:
    auth = trigger.auth
    if not isinstance(auth, WebhookAuth):
        return
    if auth.type == "none":
        if auth.secret is not None:
            report((*path, "secret"), "no_effect", "`secret` has no effect with `type: none`.")
    elif auth.secret is None:
        report(path, "missing_key", "The key `secret` is missing: write `secret: ${{ secrets.name }}`.")
    elif "secrets" not in auth.secret or "${{" not in auth.secret:
        message = "A secret must not stand in the flow; store it and write `${{ secrets.name }}`."
        report((*path, "secret"), "secret_in_document", message)
