"""Webhooks: a call from outside, proven by its trigger's own rule, becomes a run, once for each delivery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from monjolo.domains.triggers import repository, signatures
from monjolo.domains.triggers.models import SECONDS_REMEMBERED, FindSecret, Runs, Trigger
from monjolo.domains.triggers.payloads import event_of
from monjolo.domains.triggers.signatures import Call
from monjolo.domains.triggers.wishes import Declined, Wishes
from monjolo.engine.values import Failure
from monjolo.kit.errors import InvalidInput, MonjoloError, NotFound, Unavailable
from monjolo.kit.time import SECOND, Clock, parse_duration
from monjolo.storage.port import Connection, Database

_DELIVERY_IDS = (
    "webhook-id",  # standard-webhooks
    "svix-id",
    "x-github-delivery",
    "x-gitea-delivery",
    "x-gitlab-event-uuid",
    "x-shopify-webhook-id",
    "idempotency-key",
)
_LONGEST_KEY = 500
WAIT = 30 * SECOND
MOST_WAITING = 1_000  # callers that wait for a run's end at the same time


class MethodNotTaken(MonjoloError):
    status, code, title = 405, "method_not_allowed", "The webhook does not take this method"

    def __init__(self, methods: list[str]) -> None:
        super().__init__(f"This webhook takes {', '.join(methods)}.")
        self.headers = {"allow": ", ".join(methods)}


@dataclass(frozen=True, slots=True)
class Answer:
    """The run that the call made, or had made before. Without an id: the trigger's `when` declined it.

    `wait` is how long the caller of a webhook that answers `sync` waits for the run's end; zero: not at all.
    """

    id: str | None
    number: int | None
    status: str
    reason: str | None = None
    workspace_id: str = ""
    wait: int = 0


class RunFailed(MonjoloError):
    """What a caller who waited is told: which run, and how it ended, but nothing of the flow's inside."""

    status, code, title = 500, "run_failed", "The run failed"

    def __init__(self, run: Mapping[str, Any]) -> None:
        super().__init__(f"Run {run['number']} has ended as {run['status']}. Who may read its flow finds why.")
        self.headers = location(run["id"])
        self.members = {"run": {name: run[name] for name in ("id", "number", "status")}}


class RunCrashed(RunFailed):
    code, title = "run_crashed", "The run was lost to the infrastructure"


class RunTimedOut(RunFailed):
    status, code, title = 504, "run_timed_out", "The run took longer than it may"


class RunCancelled(RunFailed):
    status, code, title = 409, "run_cancelled", "Somebody ended the run"


class RunSkipped(RunFailed):
    status, code, title = 409, "run_skipped", "The flow's concurrency left the run out"


_ENDS = {"crashed": RunCrashed, "timed_out": RunTimedOut, "cancelled": RunCancelled, "skipped": RunSkipped}


def location(run_id: str) -> dict[str, str]:
    return {"location": f"/api/v1/runs/{run_id}"}


class WebhookService:
    def __init__(self, database: Database, runs: Runs, wishes: Wishes, secrets: FindSecret, clock: Clock) -> None:
        self._database = database
        self._runs = runs
        self._wishes = wishes
        self._secrets = secrets
        self._clock = clock
        self._waiting = 0

    async def receive(self, call: Call) -> Answer:
        """Answers once the run is stored. A call that is refused changes nothing.

        Raises NotFound, MethodNotTaken, Unauthenticated, InvalidInput, or Unavailable for a paused flow, so
        that a sender that tries again loses nothing.
        """
        trigger = await self._database.read(lambda c: repository.find_hook(c, call.path))
        if trigger is None or trigger.config.get("enabled", True) is False:
            raise NotFound("There is no webhook at this address.", code="webhook_not_found")
        methods = list(trigger.config.get("methods") or ["POST"])
        if call.method not in methods:
            raise MethodNotTaken(methods)
        auth = _auth(trigger)
        await self._authenticate(trigger, auth, call)
        if not trigger.enabled:
            raise Unavailable("The flow is paused: send it again later.", code="flow_paused", retry_after=60)
        event = event_of(call, signatures.header_of(auth))
        return replace(await self._accept(trigger, call, event), wait=_wait(trigger), workspace_id=trigger.workspace_id)

    async def outcome(self, answer: Answer) -> dict[str, Any] | None:
        """The run of a call that waits, once it has succeeded; None when the time is over before its end.

        Raises RunFailed, or what is below it. When MOST_WAITING wait already the time is over at once.
        """
        if answer.id is None or not answer.wait or self._waiting >= MOST_WAITING:
            return None
        self._waiting += 1
        try:
            run, ended = await self._runs.result(answer.workspace_id, answer.id, answer.wait)
        finally:
            self._waiting -= 1
        if not ended:
            return None
        if run["status"] != "succeeded":
            raise _ENDS.get(run["status"], RunFailed)(run)
        return run

    async def _authenticate(self, trigger: Trigger, auth: dict[str, Any], call: Call) -> None:
        secret = "" if auth["type"] == "none" else await self._secret(trigger)
        signatures.verify(auth, secret, call, self._clock.now())

    async def _secret(self, trigger: Trigger) -> str:
        written = await self._wishes.secret(trigger)
        match written:
            case str():
                return written
            case {"$secret": str(name)}:
                return await self._opened(trigger, name)
            case {"$secret_text": [*parts]}:
                texts = [p if isinstance(p, str) else await self._opened(trigger, p["$secret"]) for p in parts]
                return "".join(texts)
            case _:
                return ""

    async def _opened(self, trigger: Trigger, name: str) -> str:
        """A secret that is missing leaves the webhook closed, not open."""
        value = await self._secrets(trigger.workspace_id, name)
        if value is None:
            raise Unavailable(
                f"The secret {name!r} of this webhook is not set: its owner has to set it.",
                code="webhook_secret_missing",
                retry_after=300,
            )
        return value

    async def _accept(self, trigger: Trigger, call: Call, event: dict[str, Any]) -> Answer:
        facts = {"type": "webhook", "id": trigger.name}
        key = await self._delivery(trigger, call, facts, event)
        now = self._clock.now()
        scope = f"hook:{trigger.id}"
        if key is not None and (known := await self._answered(trigger, scope, key, now)):
            return known
        wish = await self._wishes.of(trigger, facts, event)
        if isinstance(wish, Declined):
            if wish.reason == "when":
                return Answer(None, None, "skipped", "when")
            raise InvalidInput(f"The flow could not take this call: {wish.detail}", code=wish.reason)
        (run,) = await self._runs.prepare(trigger.workspace_id, [wish])

        def work(connection: Connection) -> str | None:
            if key is not None:
                expires = now + SECONDS_REMEMBERED * SECOND
                earlier = repository.claim_delivery(connection, trigger.workspace_id, scope, key, run.id, now, expires)
                if earlier is not None:
                    return earlier
            self._runs.insert(connection, [run])
            return None

        if await self._database.write(work) is not None and key is not None:
            return await self._answered(trigger, scope, key, now) or Answer(None, None, "accepted")
        self._runs.committed([run])
        return await self._answer(trigger, run.id)

    async def _delivery(self, trigger: Trigger, call: Call, facts: dict[str, Any], event: dict[str, Any]) -> str | None:
        """What names this delivery, the same when it is sent twice: `dedupe_key`, or the sender's id."""
        key = await self._wishes.dedupe_key(trigger, facts, event)
        if isinstance(key, Failure):
            raise InvalidInput(f"`dedupe_key` gave no text: {key.message}", code="dedupe_key_failed")
        if key is None:
            key = next((call.headers[name] for name in _DELIVERY_IDS if call.headers.get(name)), None)
        if key is not None and len(key) > _LONGEST_KEY:
            raise InvalidInput(f"The delivery's id may be {_LONGEST_KEY} characters long.", code="delivery_id_too_long")
        return key

    async def _answered(self, trigger: Trigger, scope: str, key: str, now: int) -> Answer | None:
        run_id = await self._database.read(lambda c: repository.find_delivery(c, trigger.workspace_id, scope, key, now))
        return None if run_id is None else await self._answer(trigger, run_id)

    async def _answer(self, trigger: Trigger, run_id: str) -> Answer:
        found = await self._database.read(lambda c: repository.find_run_answer(c, trigger.workspace_id, run_id))
        return Answer(run_id, *found) if found else Answer(run_id, None, "accepted")


def _wait(trigger: Trigger) -> int:
    if trigger.config.get("respond") != "sync":
        return 0
    return parse_duration(trigger.config["wait"]) if "wait" in trigger.config else WAIT


def _auth(trigger: Trigger) -> dict[str, Any]:
    auth = trigger.config.get("auth") or "none"
    return {"type": auth} if isinstance(auth, str) else dict(auth)
