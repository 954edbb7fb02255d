"""A call from outside becomes a run, once for each delivery; one that is refused changes nothing (C11)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import pytest

from monjolo.domains.triggers.signatures import BadSignature, Call
from monjolo.domains.triggers.webhooks import MOST_WAITING, MethodNotTaken, RunFailed
from monjolo.kit.errors import Conflict, InvalidInput, NotFound, Unavailable
from monjolo.kit.time import DAY, HOUR, SECOND

if TYPE_CHECKING:
    from .conftest import Platform

HMAC = '{type: hmac, secret: "${{ secrets.gh }}", header: X-Hub-Signature-256}'
OPEN = "  - {id: empurrao, type: webhook, auth: none%s}"
TAKES = "inputs: {type: object}\n"


def call(path: str = "a/empurrao", body: bytes = b"{}", method: str = "POST", **headers: str) -> Call:
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return Call(method, path, {}, {"content-type": "application/json", **named}, body)


async def everything(platform: Platform) -> list[Any]:
    return [await platform.rows(f"SELECT * FROM {table}") for table in ("runs", "idempotency", "triggers", "events")]


async def test_a_call_makes_a_run_that_sees_it(platform: Platform) -> None:
    await platform.publish("a", OPEN % ', inputs: {n: "${{ event.body.n }}"}', inputs=TAKES)
    answer = await platform.webhooks.receive(call(body=b'{"n": 3}'))
    (run,) = platform.runs.made
    assert (answer.id, answer.number, answer.status) == (run.id, 7, "queued")
    assert dict(run.new.inputs) == {"n": 3}
    assert run.new.event is not None
    assert run.new.event["body"] == {"n": 3}
    assert run.new.trigger == {"type": "webhook", "id": "empurrao"}


async def test_a_signed_call_is_taken_and_a_forged_one_changes_nothing(platform: Platform) -> None:
    platform.secrets["gh"] = "s3cret"
    await platform.publish("a", f"  - {{id: empurrao, type: webhook, auth: {HMAC}}}")
    good = "sha256=" + hmac.new(b"s3cret", b"{}", hashlib.sha256).hexdigest()
    before = await everything(platform)
    for signature in ("", "sha256=00", good[:-1] + ("0" if good[-1] != "0" else "1")):
        with pytest.raises(BadSignature):
            await platform.webhooks.receive(call(x_hub_signature_256=signature, x_github_delivery="1"))
    assert await everything(platform) == before
    assert (await platform.webhooks.receive(call(x_hub_signature_256=good))).status == "queued"


async def test_a_secret_that_is_not_set_leaves_the_webhook_closed(platform: Platform) -> None:
    await platform.publish("a", f"  - {{id: empurrao, type: webhook, auth: {HMAC}}}")
    with pytest.raises(Unavailable) as refused:
        await platform.webhooks.receive(call())
    assert refused.value.code == "webhook_secret_missing"


async def test_an_unknown_path_and_a_method_that_is_not_taken_are_said(platform: Platform) -> None:
    await platform.publish("a", OPEN % ", path: git/push, methods: [POST, PUT]")
    with pytest.raises(NotFound):
        await platform.webhooks.receive(call())
    with pytest.raises(MethodNotTaken) as refused:
        await platform.webhooks.receive(call("git/push", method="GET"))
    assert refused.value.headers == {"allow": "POST, PUT"}
    await platform.webhooks.receive(call("git/push", method="PUT"))


@pytest.mark.parametrize("header", ["webhook_id", "x_github_delivery", "idempotency_key"])
async def test_the_same_delivery_is_the_same_run_for_a_day(platform: Platform, header: str) -> None:
    await platform.publish("a", OPEN % "")
    answers = await asyncio.gather(*(platform.webhooks.receive(call(**{header: "d1"})) for _ in range(5)))
    assert len({answer.id for answer in answers}) == 1
    platform.clock.at += 23 * HOUR
    assert (await platform.webhooks.receive(call(**{header: "d1"}))).id == answers[0].id
    assert (await platform.webhooks.receive(call(**{header: "d2"}))).id != answers[0].id
    platform.clock.at += DAY
    assert (await platform.webhooks.receive(call(**{header: "d1"}))).id != answers[0].id
    assert len(await platform.rows("SELECT id FROM runs")) == 3


async def test_thousands_of_deliveries_in_three_copies_make_each_run_once(platform: Platform) -> None:
    await platform.publish("a", OPEN % "")
    for block in range(5):
        calls = [call(webhook_id=f"d{block}-{n % 60}") for n in range(180)]
        await asyncio.gather(*(platform.webhooks.receive(each) for each in calls))
    assert len(await platform.rows("SELECT id FROM runs")) == 300
    assert len(platform.runs.made) == 300


async def test_a_dedupe_key_goes_before_the_senders_id(platform: Platform) -> None:
    await platform.publish("a", OPEN % ', dedupe_key: "${{ event.body.order }}"')
    first = await platform.webhooks.receive(call(body=b'{"order": "o1"}', webhook_id="1"))
    again = await platform.webhooks.receive(call(body=b'{"order": "o1"}', webhook_id="2"))
    other = await platform.webhooks.receive(call(body=b'{"order": "o2"}', webhook_id="1"))
    assert first.id == again.id != other.id


async def test_deliveries_of_two_webhooks_do_not_meet(platform: Platform) -> None:
    await platform.publish("a", OPEN % "")
    await platform.publish("b", OPEN % "")
    ids = {(await platform.webhooks.receive(call(f"{slug}/empurrao", webhook_id="1"))).id for slug in "ab"}
    assert len(ids) == 2


async def test_when_declines_without_a_run(platform: Platform) -> None:
    await platform.publish("a", OPEN % """, when: "event.body.ref == 'main'" """)
    answer = await platform.webhooks.receive(call(body=b'{"ref": "dev"}'))
    assert (answer.id, answer.status, answer.reason) == (None, "skipped", "when")
    assert (await platform.webhooks.receive(call(body=b'{"ref": "main"}'))).id is not None
    with pytest.raises(InvalidInput) as refused:
        await platform.webhooks.receive(call(body=b"{}"))
    assert refused.value.code == "when_failed"


async def test_inputs_that_do_not_fit_are_refused_and_the_delivery_may_come_again(platform: Platform) -> None:
    await platform.publish("a", OPEN % ', inputs: {refuse: "${{ event.body.refuse }}"}', inputs=TAKES)
    with pytest.raises(InvalidInput):
        await platform.webhooks.receive(call(body=b'{"refuse": true}', webhook_id="1"))
    assert await platform.rows("SELECT * FROM idempotency") == []
    await platform.webhooks.receive(call(body=b'{"refuse": false}', webhook_id="1"))


async def test_a_paused_flow_asks_the_sender_to_come_again(platform: Platform) -> None:
    await platform.publish("a", OPEN % "")
    await platform.flows.pause(platform.workspace, "a", None, actor="test")
    with pytest.raises(Unavailable) as refused:
        await platform.webhooks.receive(call())
    assert (refused.value.code, refused.value.status) == ("flow_paused", 503)
    assert refused.value.retry_after
    await platform.flows.resume(platform.workspace, "a", actor="test")
    await platform.webhooks.receive(call())


async def test_a_path_has_one_owner_and_may_move_within_its_flow(platform: Platform) -> None:
    await platform.publish("a", OPEN % ", path: git/push")
    with pytest.raises(Conflict) as refused:
        await platform.publish("b", OPEN % ", path: git/push")
    assert refused.value.code == "webhook_path_taken"
    assert "'a'" in refused.value.detail
    assert await platform.rows("SELECT slug FROM flows") == [{"slug": "a"}]
    await platform.publish("a", "  - {id: outro, type: webhook, auth: none, path: git/push}")
    await platform.flows.delete(platform.workspace, "a", actor="test")
    await platform.publish("b", OPEN % ", path: git/push")


async def test_two_webhooks_of_a_flow_may_change_places(platform: Platform) -> None:
    two = "  - {id: x, type: webhook, auth: none, path: %s}\n  - {id: y, type: webhook, auth: none, path: %s}"
    await platform.publish("a", two % ("one", "two"))
    await platform.publish("a", two % ("two", "one"))
    await platform.webhooks.receive(call("one"))
    assert platform.runs.made[0].new.trigger["id"] == "y"


async def test_text_from_outside_is_never_read_as_an_expression(platform: Platform) -> None:
    platform.secrets["gh"] = "s3cret"
    await platform.publish("a", OPEN % ', inputs: {text: "${{ event.body.text }}"}', inputs=TAKES)
    await platform.webhooks.receive(call(body=b'{"text": "${{ secrets.gh }} {{7*7}}"}'))
    assert platform.runs.made[0].new.inputs == {"text": "${{ secrets.gh }} {{7*7}}"}


SYNC = ", respond: sync"


async def test_a_caller_who_waits_gets_the_outputs_or_nothing_when_the_time_is_over(platform: Platform) -> None:
    await platform.publish("a", OPEN % f"{SYNC}, wait: 2s")
    answer = await platform.webhooks.receive(call())
    platform.runs.lasts = 2 * SECOND
    run = await platform.webhooks.outcome(answer)
    assert run is not None
    assert (run["id"], run["outputs"]) == (answer.id, {"sum": 3})
    platform.runs.lasts += 1
    assert await platform.webhooks.outcome(answer) is None


@pytest.mark.parametrize(
    ("status", "code", "http"),
    [
        ("failed", "run_failed", 500),
        ("crashed", "run_crashed", 500),
        ("timed_out", "run_timed_out", 504),
        ("cancelled", "run_cancelled", 409),
        ("skipped", "run_skipped", 409),
    ],
)
async def test_a_run_that_did_not_succeed_is_a_problem_with_its_id(
    platform: Platform, status: str, code: str, http: int
) -> None:
    await platform.publish("a", OPEN % SYNC)
    answer = await platform.webhooks.receive(call())
    platform.runs.ends = status
    with pytest.raises(RunFailed) as told:
        await platform.webhooks.outcome(answer)
    assert (told.value.code, told.value.status) == (code, http)
    assert told.value.members == {"run": {"id": answer.id, "number": 7, "status": status}}


async def test_a_delivery_that_comes_twice_waits_for_the_same_run(platform: Platform) -> None:
    await platform.publish("a", OPEN % SYNC)
    answers = [await platform.webhooks.receive(call(webhook_id="1")) for _ in range(2)]
    told = [await platform.webhooks.outcome(answer) for answer in answers]
    assert told[0] == told[1] is not None
    assert len(platform.runs.made) == 1


async def test_of_very_many_who_wait_the_last_are_told_at_once_that_their_run_is_stored(platform: Platform) -> None:
    await platform.publish("a", OPEN % SYNC)
    answer = await platform.webhooks.receive(call())
    told, hang = platform.runs.result, asyncio.Event()

    async def slow(workspace_id: str, run_id: str, wait: int) -> Any:
        await hang.wait()
        return await told(workspace_id, run_id, wait)

    platform.runs.result = slow  # type: ignore[method-assign]
    waiting = [asyncio.create_task(platform.webhooks.outcome(answer)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    assert await platform.webhooks.outcome(answer) is None
    hang.set()
    assert all(run is not None for run in await asyncio.gather(*waiting))
    assert await platform.webhooks.outcome(answer) is not None


@pytest.mark.parametrize(("written", "code"), [(", wait: 5s", "no_effect"), (f"{SYNC}, wait: 6m", "out_of_range")])
async def test_a_wait_without_effect_or_beyond_what_the_platform_waits_is_refused(
    platform: Platform, written: str, code: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await platform.publish("a", OPEN % written)
    assert [(problem.path, problem.code) for problem in refused.value.errors] == [("triggers[0].wait", code)]


async def test_who_forges_a_delivery_that_was_answered_gets_nothing_of_the_answer(platform: Platform) -> None:
    platform.secrets["gh"] = "s3cret"
    await platform.publish("a", f"  - {{id: empurrao, type: webhook, auth: {HMAC}{SYNC}}}")
    good = "sha256=" + hmac.new(b"s3cret", b"{}", hashlib.sha256).hexdigest()
    answer = await platform.webhooks.receive(call(x_hub_signature_256=good, x_github_delivery="1"))
    assert await platform.webhooks.outcome(answer) is not None
    with pytest.raises(BadSignature):
        await platform.webhooks.receive(call(x_hub_signature_256="sha256=00", x_github_delivery="1"))
