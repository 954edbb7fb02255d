# ruff: noqa: E501 (tables of attacks)
"""S1, S7, S16, S17, S21, S24: what comes from outside stays data, whatever it looks like."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from .conftest import Victim
from .test_doors import raw

KEY = "the key of the hook"
TAKER = """
schema: monjolo/flow/v1
id: taker
triggers:
  - {id: open, type: webhook, path: open, auth: {type: none}, methods: [POST, GET]}
  - id: signed
    type: webhook
    path: signed
    auth: {type: hmac, secret: "${{ secrets.hook_key }}"}
  - {id: told, type: event, event: test.told}
inputs:
  type: object
  properties: {value: {}}
  additionalProperties: false
steps:
  - id: a
    uses: hostile/echo
    with: {value: "${{ TAKEN }}"}
outputs: {it: "${{ steps.a.output.value }}"}
"""
PLACES = [
    {"$secret": "bait"},
    {"$secret_text": ["a", {"$secret": "bait"}]},
    [{"$secret": "bait"}],
    {"deep": [{"er": {"$secret": "bait"}}]},
]
TEXTS = [
    "${{ secrets.bait }}", "$${{ secrets.bait }}", '{"$secret": "bait"}', "{{ secrets.bait }}", "${{ 1 + 1 }}",
    "\u0000", "\x1b[2J", "' OR 1=1; --", "../../keys/tokens.pem", "<script>alert(1)</script>",
]  # fmt: skip


@pytest.fixture(scope="module")
def taker(victim: Victim) -> Victim:
    made = victim.ask("POST", "/secrets", json={"name": "hook_key", "value": KEY})
    assert made.status_code in (201, 409), made.text
    victim.publish(TAKER.replace("TAKEN", "event.body"))
    return victim


def ended(victim: Victim, run: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while True:
        found = dict(victim.ask("GET", f"/runs/{run}").json())
        if found["status"] in ("succeeded", "failed"):
            return found
        assert time.monotonic() < deadline
        time.sleep(0.05)


def call(victim: Victim, body: bytes, kind: str = "application/json", path: str = "open", **headers: str) -> Any:
    return victim.ask("POST", f"/hooks/{path}", None, content=body, headers={"content-type": kind} | headers)


@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
def test_what_stands_for_a_secret_is_not_filled_in_when_it_comes_from_a_webhook(taker: Victim, place: Any) -> None:
    answer = call(taker, json.dumps(place).encode())
    assert answer.status_code == 202, answer.text
    found = ended(taker, answer.json()["id"])
    assert taker.secret not in taker.everything_told(found["id"])
    assert "***" not in taker.everything_told(found["id"])
    assert found["error"]["details"]["code"] == "reserved_key", found


@pytest.mark.parametrize("way", ["inputs", "vars", "item", "output", "nested"])
@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
def test_nor_when_it_comes_by_any_other_way(victim: Victim, way: str, place: Any) -> None:
    step = {"id": "a", "uses": "hostile/echo", "with": {"value": "${{ inputs.value }}"}}
    flow: dict[str, Any] = {
        "schema": "monjolo/flow/v1",
        "id": f"way-{way}",
        "inputs": {"type": "object", "properties": {"value": {}}},
    }
    if way == "vars":
        flow |= {"vars": {"v": "${{ inputs.value }}"}, "steps": [step | {"with": {"value": "${{ vars.v }}"}}]}
        answer = victim.ask("POST", "/flows", params={"replace": "true"}, json={"source": json.dumps(flow)})
        if answer.status_code == 422:
            return  # vars are constants; there is no such way
    elif way == "item":
        each = {"for_each": {"items": "${{ [inputs.value] }}"}, "with": {"value": "${{ item }}"}}
        flow["steps"] = [step | each]
    elif way == "output":
        flow["steps"] = [step | {"with": {"value": "${{ {'x': inputs.value} }}"}}]
    elif way == "nested":
        flow["steps"] = [step | {"with": {"value": {"a": ["${{ inputs.value }}"]}}}]
    else:
        flow["steps"] = [step]
    answer = victim.ask("POST", "/flows", params={"replace": "true"}, json={"source": json.dumps(flow)})
    assert answer.status_code in (200, 201), answer.text
    found = victim.run(f"way-{way}", {"value": place})
    told = victim.everything_told(found["id"])
    assert victim.secret not in told
    assert "***" not in told
    assert "reserved_key" in told, told  # refused for this very reason, not for another


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_text_from_outside_stays_the_text_it_is(taker: Victim, text: str) -> None:
    for body, kind, wanted in (
        (json.dumps({"t": text}).encode(), "application/json", {"t": text}),
        (json.dumps({text: 1}).encode(), "application/json", {text: 1}),
        (text.encode(), "text/plain", text),
    ):
        answer = call(taker, body, kind)
        assert answer.status_code == 202, answer.text
        found = ended(taker, answer.json()["id"])
        assert found["outputs"] == {"it": wanted}, taker.everything_told(found["id"])


def signed(body: bytes, at: float, key: str = KEY, name: str = "msg-1") -> dict[str, str]:
    stamp = str(int(at))
    code = hmac.new(key.encode(), f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": name,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(code).decode(),
    }


def test_a_signed_call_is_taken_once_and_no_altered_one(taker: Victim) -> None:
    body, now = b'{"n": 1}', time.time()
    good = signed(body, now)
    first = call(taker, body, path="signed", **good)
    assert first.status_code == 202, first.text
    again = call(taker, body, path="signed", **good)
    assert again.json()["id"] == first.json()["id"]
    for headers, sent in (
        (good, b'{"n": 2}'), (good, body + b" "), (good | {"webhook-id": "other"}, body),
        (good | {"webhook-timestamp": str(int(now) + 1)}, body), (signed(body, now, "another key"), body),
        (signed(body, now - 400), body), (signed(body, now + 400), body), (good | {"webhook-signature": ""}, body),
        (good | {"webhook-signature": "v1,"}, body), (good | {"webhook-timestamp": ""}, body),
        (good | {"webhook-timestamp": "1e9"}, body), (good | {"webhook-timestamp": "-1"}, body),
        ({}, body), (signed(body, now, ""), body),
    ):  # fmt: skip
        refused = call(taker, sent, path="signed", **headers)
        assert refused.status_code == 401, (headers, refused.text)
        assert KEY not in refused.text


def test_headers_that_come_twice_or_are_no_text_open_nothing(taker: Victim) -> None:
    body, good = b"{}", signed(b"{}", time.time(), name="msg-2")
    pairs = [("host", "x"), ("content-type", "application/json"), ("content-length", "2"), *good.items()]
    for more in (
        [("webhook-signature", "v1,xxxx")],
        [("webhook-timestamp", "1")],
        [("webhook-id", "b")],
    ):
        status, answer = raw(taker, "POST", "/api/v1/hooks/signed", pairs + more, body)
        assert status in (400, 401), answer
    status, answer = raw(
        taker, "POST", "/api/v1/hooks/signed", [*pairs[:3], ("webhook-signature", "v1,\xff\xfe")], body
    )
    assert status in (400, 401), answer


BODIES = [
    (b"{", 422), (b'{"a": NaN}', 422), (b'{"a": 1e999}', 422), (b"\xff\xfe", 422), (b'"\\ud800"', 422), (b"[" * 100_000, 422),
    (b'{"a":' * 100 + b"1" + b"}" * 100, 422), (b"9" * 5000, 422), (b"x" * 1_100_000, 413),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status"), BODIES, ids=range(len(BODIES)))
def test_a_body_that_is_no_json_is_refused_and_starts_nothing(taker: Victim, body: bytes, status: int) -> None:
    before = taker.ask("GET", "/runs", params={"flow": "taker", "limit": 1}).json()["items"]
    for path in ("open", "signed"):
        answer = call(taker, body, path=path, **(signed(body, time.time()) if path == "signed" else {}))
        assert answer.status_code in (400, status), answer.text
    assert taker.ask("GET", "/runs", params={"flow": "taker", "limit": 1}).json()["items"] == before


VALUES = [  # each costs some forty requests
    "..", "../../cli-token", "..%2f..%2fcli-token", "%2e%2e%2f", "a%00b", "%00", "'", "' OR '1'='1", '";--', "%", "_", "%25",
    "a" * 3000, "\u202e", "%ff", "*", "%0d%0aset-cookie:%20a=b", "-1", "9" * 40, "null", "{}", "[]", "1e400", "\ud7ff",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_no_name_or_filter_breaks_anything(victim: Victim, value: str) -> None:
    for path in (
        "/runs/{}", "/runs/{}/logs", "/runs/{}/artifacts/{}", "/runs/{}/steps/{}", "/flows/{}", "/flows/{}/versions/{}",
        "/modules/{}", "/modules/{}/actions/{}", "/secrets/{}", "/connections/{}", "/vars/{}", "/runs/{}/logs/download",
    ):  # fmt: skip
        answer = victim.ask("GET", path.format(value, value))
        assert answer.status_code in (400, 404, 405, 409, 422) or path.startswith("/flows/{}") or value in ("*",), (
            path,
            answer.text,
        )
        assert "set-cookie" not in answer.headers
    names = ("q", "flow", "status", "trigger", "label", "from", "to", "level", "after", "limit", "state", "since")
    for number, path in enumerate(("/runs", "/flows", "/logs", "/flows/taker/ticks", "/audit", "/users", "/tokens")):
        for name in (names[(number + len(value)) % len(names)], "after", "q"):
            answer = victim.ask("GET", path, params={name: value})
            assert answer.status_code < 500, (path, name, answer.text)
    for header in ("last-event-id", "if-match", "idempotency-key", "x-request-id"):
        if value.isascii():
            answer = victim.ask("GET", "/runs", headers={header: value})
            assert answer.status_code < 500, (header, answer.text)


def test_an_artifact_is_handed_out_as_a_download_that_no_browser_runs(victim: Victim) -> None:
    for number, name in enumerate(
        ["x.html", "../../etc/passwd", 'a"; filename="b.exe', "a\r\nset-cookie: x=y", "é\u202egnp.exe"]
    ):
        found = victim.hostile("keep", name=name, content=f"<script>{number}</script>")
        if found["status"] != "succeeded":
            continue
        (kept,) = victim.ask("GET", f"/runs/{found['id']}/artifacts").json()["items"]
        answer = victim.ask("GET", f"/runs/{found['id']}/artifacts/{quote(kept['name'], safe='')}")
        assert "set-cookie" not in answer.headers
        if answer.status_code == 200:
            assert answer.headers["content-disposition"].startswith("attachment")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert (
                "script-src 'self'" in answer.headers["content-security-policy"]
                or "sandbox" in answer.headers["content-security-policy"]
            )


MODULE_NAMES = [
    "../x.py",
    "/tmp/x.py",
    "x/../../y.py",
    ".x.py",
    "x.py\x00",
    "__init__.py",
    "-x.py",
    "a" * 300 + ".py",
    "",
    "x.so",
    "core.py/",
]


@pytest.mark.parametrize("name", MODULE_NAMES, ids=range(len(MODULE_NAMES)))
def test_an_uploaded_module_goes_into_its_folder_under_a_plain_name_or_nowhere(victim: Victim, name: str) -> None:
    before = sorted(path for path in victim.folder.parent.rglob("*.py") if "bundles" not in path.parts)
    answer = victim.ask("POST", "/modules", json={"name": name, "source": "x = 1", "file": name})
    assert 400 <= answer.status_code < 500, answer.text
    assert sorted(path for path in victim.folder.parent.rglob("*.py") if "bundles" not in path.parts) == before


LABELS: list[dict[str, Any]] = [
    {"labels": {f"k{n}": "v" for n in range(2_000)}}, {"labels": {"k": "v" * 100_000}}, {"labels": {"k" * 100_000: "v"}},
    {"inputs": {"value": "x" * 2_000_000}}, {"inputs": [1]}, {"inputs": {"unknown": 1}}, {"nothing": 1}, {"inputs": {"value": "\x00"}},
]  # fmt: skip


@pytest.mark.parametrize("body", LABELS, ids=range(len(LABELS)))
def test_a_run_is_not_given_more_than_it_may_have(taker: Victim, body: dict[str, Any]) -> None:
    answer = taker.ask("POST", "/flows/taker/runs", json=body)
    assert answer.status_code in (202, 413, 422), answer.text
    assert answer.status_code != 202 or body == LABELS[-1], body
    long = taker.ask("POST", "/flows/taker/runs", json={}, headers={"idempotency-key": "k" * 5_000})
    assert long.status_code in (400, 422, 431), long.text


BIG = str(2**63)
EDGES = ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59"]


@pytest.mark.parametrize("path", ["runs?number=N", "flows/taker/export?version=N", "flows/taker/versions/N"])
def test_a_number_that_no_database_holds_is_refused(taker: Victim, path: str) -> None:
    answer = taker.ask("GET", "/" + path.replace("N", BIG))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input"), answer.text


@pytest.mark.parametrize("edge", EDGES)
def test_an_instant_at_the_edge_of_all_calendars_is_refused(taker: Victim, edge: str) -> None:
    at = edge.replace("%2B", "+")
    flow = """
schema: monjolo/flow/v1
id: edges
triggers: [{id: t, type: interval, every: 1h}]
steps: [{id: a, uses: core/log, with: {message: a}}]
"""
    taker.publish(flow)
    bad = flow.replace("every: 1h", f"every: 1h, anchor: '{at}'")
    calls = [
        ("GET", f"/runs?from={edge}", None),
        ("POST", "/flows/edges/backfill", {"from": at, "to": "2026-01-01T00:00:00Z"}),
        ("POST", "/flows/edges/ticks/catch-up", {"ticks": [{"trigger": "t", "instant": at}]}),
        ("POST", "/runs/bulk", {"filter": {"flow": "edges", "to": at}, "action": "cancel"}),
        ("POST", "/flows/validate", {"source": bad}),
    ]
    for method, path, body in calls:
        answer = taker.ask(method, path, json=body)
        assert answer.status_code == 422 or answer.json().get("problems"), (path, answer.text)
