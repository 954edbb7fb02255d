"""What each key of a trigger does, over the triggers domain and a real database."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from monjolo.domains.triggers.signatures import Call
from monjolo.kit.errors import MonjoloError
from monjolo.kit.time import HOUR, MINUTE, SECOND, from_rfc3339

START = from_rfc3339("2026-01-01T00:00:00Z")
Watch = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True)
class TriggerCase:
    """`written` holds the keys of the trigger, of which `key` is left out once."""

    name: str
    written: dict[str, Any]
    watch: Watch
    seen: Any
    under: str | None = None

    @property
    def key(self) -> str:
        return self.name.partition(".")[2]


def runs(platform: Any) -> list[Any]:
    return [(run.new.trigger["id"], dict(run.new.inputs)) for run in platform.runs.made]


# --- the clock ----------------------------------------------------------------------------------------------


def fired(*looks: int, see: Callable[[Any], Any] | None = None) -> Watch:
    """What has run after looking at these moments after the start."""

    async def watch(platform: Any) -> Any:
        await platform.schedule.fire_due(START + 1)
        for look in looks:
            await platform.schedule.fire_due(START + look)
        if see is not None:
            return see(platform)
        return [(instant - START) // SECOND for instant in platform.runs.instants]

    return watch


async def ticks(platform: Any) -> Any:
    await platform.schedule.fire_due(START + 1)
    await platform.schedule.fire_due(START + 10 * MINUTE + 1)
    return await platform.tick_counts()


async def first_wake(platform: Any) -> Any:
    """When the first run comes, looked for every second."""
    for look in range(1, 120):
        await platform.schedule.fire_due(START + look * SECOND)
        if platform.runs.made:
            return look > 61
    return None


MINUTELY = {"id": "t", "type": "schedule", "cron": "* * * * *"}
SCHEDULE = [
    TriggerCase("ScheduleTrigger.id", MINUTELY, fired(MINUTE + 1, see=runs), [("t", {})]),
    TriggerCase("ScheduleTrigger.type", MINUTELY, fired(MINUTE + 1), [60]),
    TriggerCase("ScheduleTrigger.enabled", {**MINUTELY, "enabled": False}, fired(MINUTE + 1), []),
    TriggerCase("ScheduleTrigger.inputs", {**MINUTELY, "inputs": {"n": 1}}, fired(MINUTE + 1, see=runs),
                [("t", {"n": 1})]),
    TriggerCase("ScheduleTrigger.when", {**MINUTELY, "when": "false"}, fired(MINUTE + 1), []),
    TriggerCase("ScheduleTrigger.cron", {**MINUTELY, "cron": "*/2 * * * *"}, fired(MINUTE + 1, 2 * MINUTE + 1), [120]),
    TriggerCase("ScheduleTrigger.timezone", {"id": "t", "type": "schedule", "cron": "0 3 * * *",
                "timezone": "America/Sao_Paulo"}, fired(3 * HOUR + 1, 6 * HOUR + 1), [6 * 3600]),
    TriggerCase("ScheduleTrigger.jitter", {**MINUTELY, "jitter": "50s"}, first_wake, True),
    TriggerCase("ScheduleTrigger.start_at", {**MINUTELY, "start_at": "2026-01-01T00:02:00Z"},
                fired(MINUTE + 1, 2 * MINUTE + 1), [120]),
    TriggerCase("ScheduleTrigger.end_at", {**MINUTELY, "end_at": "2026-01-01T00:01:30Z"},
                fired(MINUTE + 1, 2 * MINUTE + 1), [60]),
    TriggerCase("ScheduleTrigger.misfire", {**MINUTELY, "misfire": "skip"}, ticks, {"skipped": 10}),
    TriggerCase("ScheduleTrigger.misfire_grace", {**MINUTELY, "misfire_grace": "1h"}, ticks, {"ran": 10}),
    TriggerCase("ScheduleTrigger.misfire_max", {**MINUTELY, "misfire": "all", "misfire_max": 3}, ticks,
                {"ran": 3, "missed": 7}),
]  # fmt: skip
EVERY = {"id": "t", "type": "interval", "every": "90s", "anchor": "2026-01-01T00:00:30Z"}
INTERVAL = [
    TriggerCase("IntervalTrigger.id", EVERY, fired(31 * SECOND, see=runs), [("t", {})]),
    TriggerCase("IntervalTrigger.type", EVERY, fired(31 * SECOND), [30]),
    TriggerCase("IntervalTrigger.enabled", {**EVERY, "enabled": False}, fired(31 * SECOND), []),
    TriggerCase("IntervalTrigger.inputs", {**EVERY, "inputs": {"n": 1}}, fired(31 * SECOND, see=runs),
                [("t", {"n": 1})]),
    TriggerCase("IntervalTrigger.when", {**EVERY, "when": "false"}, fired(31 * SECOND), []),
    TriggerCase("IntervalTrigger.every", EVERY, fired(31 * SECOND, 121 * SECOND), [30, 120]),
    TriggerCase("IntervalTrigger.anchor", EVERY, fired(31 * SECOND), [30]),
]  # fmt: skip


# --- the door -----------------------------------------------------------------------------------------------


def call(path: str = "a/t", body: bytes = b'{"n": 5}', method: str = "POST", **headers: str) -> Call:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Call(method, path, {}, {"content-type": "application/json", **named}, body)


def called(*calls: Call) -> Watch:
    """The answers, and the runs they made."""

    async def watch(platform: Any) -> Any:
        platform.secrets["k"] = "s3cret"
        platform.clock.at = START
        answers = []
        for each in calls:
            try:
                answers.append((await platform.webhooks.receive(each)).status)
            except MonjoloError as error:
                answers.append(str(error.status))
        return answers, runs(platform)

    return watch


def waited(lasts: int) -> Watch:
    """What a caller is told of a run that takes so long."""

    async def watch(platform: Any) -> Any:
        platform.runs.lasts = lasts
        told = await platform.webhooks.outcome(await platform.webhooks.receive(call()))
        return told and told["outputs"]

    return watch


def signature(algorithm: str = "sha256", body: bytes = b'{"n": 5}') -> bytes:
    return hmac.new(b"s3cret", body, algorithm).digest()


OPEN = {"id": "t", "type": "webhook", "auth": "none"}
TAKEN = (["queued"], [("t", {})])
WEBHOOK = [
    TriggerCase("WebhookTrigger.id", OPEN, called(call()), TAKEN),
    TriggerCase("WebhookTrigger.type", OPEN, called(call()), TAKEN),
    TriggerCase("WebhookTrigger.enabled", {**OPEN, "enabled": False}, called(call()), (["404"], [])),
    TriggerCase("WebhookTrigger.inputs", {**OPEN, "inputs": {"n": "${{ event.body.n }}"}}, called(call()),
                (["queued"], [("t", {"n": 5})])),
    TriggerCase("WebhookTrigger.when", {**OPEN, "when": "event.body.n > 9"}, called(call()), (["skipped"], [])),
    TriggerCase("WebhookTrigger.path", {**OPEN, "path": "git/push"}, called(call("git/push")), TAKEN),
    TriggerCase("WebhookTrigger.methods", {**OPEN, "methods": ["PUT"]}, called(call(method="PUT")), TAKEN),
    TriggerCase("WebhookTrigger.auth", {**OPEN, "auth": {"type": "token", "secret": "${{ secrets.k }}"}},
                called(call()), (["401"], [])),
    TriggerCase("WebhookTrigger.dedupe_key", {**OPEN, "dedupe_key": "${{ event.body.n }}"},
                called(call(webhook_id="1"), call(webhook_id="2")), (["queued", "queued"], [("t", {})])),
    TriggerCase("WebhookTrigger.respond", {**OPEN, "respond": "sync"}, waited(0), {"sum": 3}),
    TriggerCase("WebhookTrigger.wait", {**OPEN, "respond": "sync", "wait": "2m"}, waited(MINUTE), {"sum": 3}),
]  # fmt: skip
SECRET = "${{ secrets.k }}"
BASIC = base64.b64encode(b"s3cret").decode()


def auth(key: str, watch: Watch, seen: Any, **written: Any) -> TriggerCase:
    return TriggerCase(f"WebhookAuth.{key}", {**OPEN, "auth": {"secret": SECRET, **written}}, watch, seen, "auth")


AUTH = [
    auth("type", called(call(authorization="Bearer s3cret"), call()), (["queued", "401"], [("t", {})]), type="token"),
    auth("secret", called(call(authorization="Bearer s3cret")), TAKEN, type="token"),
    auth("header", called(call(x_mine="s3cret")), TAKEN, type="token", header="X-Mine"),
    auth("algorithm", called(call(x_sig=signature("sha512").hex())), TAKEN, type="hmac", header="X-Sig",
         algorithm="sha512"),
    auth("encoding", called(call(x_sig=base64.b64encode(signature()).decode())), TAKEN, type="hmac", header="X-Sig",
         encoding="base64"),
]  # fmt: skip


# --- events and people ----------------------------------------------------------------------------------------


async def evented(platform: Any) -> Any:
    for kind in ("order.new", "order.old"):
        await platform.events.post(platform.workspace, kind, {"n": 5}, id_=None, actor="test")
    while await platform.events.dispatch_events(platform.clock.now()):
        pass
    return runs(platform)


ORDER = {"id": "t", "type": "event", "event": "order.new"}
EVENT = [
    TriggerCase("EventTrigger.id", ORDER, evented, [("t", {})]),
    TriggerCase("EventTrigger.type", ORDER, evented, [("t", {})]),
    TriggerCase("EventTrigger.enabled", {**ORDER, "enabled": False}, evented, []),
    TriggerCase("EventTrigger.inputs", {**ORDER, "inputs": {"n": "${{ event.n }}"}}, evented, [("t", {"n": 5})]),
    TriggerCase("EventTrigger.when", {**ORDER, "when": "event.n > 9"}, evented, []),
    TriggerCase("EventTrigger.event", ORDER, evented, [("t", {})]),
]


def _stamped(seconds_ago: int) -> Call:
    body = b'{"n": 5}'
    stamp = str(START // SECOND - seconds_ago)
    signed = hmac.new(b"s3cret", f"v0:{stamp}:".encode() + body, "sha256").hexdigest()
    return call(x_slack_signature=f"v0={signed}", x_slack_request_timestamp=stamp)


AUTH += [
    auth("tolerance", called(_stamped(3_000)), TAKEN, type="hmac", header="X-Slack-Signature", tolerance="1h"),
]
TRIGGER_CASES = (*SCHEDULE, *INTERVAL, *WEBHOOK, *AUTH, *EVENT)
