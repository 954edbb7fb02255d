"""How a webhook's caller proves itself (S17)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monjolo.domains.triggers.payloads import event_of
from monjolo.domains.triggers.signatures import BadSignature, Call, StaleTimestamp, header_of, verify
from monjolo.kit.errors import InvalidInput, Unauthenticated
from monjolo.kit.time import SECOND

NOW = 1_800_000_000 * SECOND
BODY = b'{"a": 1}'


def call(body: bytes = BODY, **headers: str) -> Call:
    return Call("POST", "a/b", {}, {k.replace("_", "-"): v for k, v in headers.items()}, body)


def sign(message: bytes, key: bytes = b"key", algorithm: str = "sha256") -> bytes:
    return hmac.new(key, message, getattr(hashlib, algorithm)).digest()


def standard(stamp: int, body: bytes = BODY, key: bytes = b"key", id_: str = "msg_1") -> dict[str, str]:
    signature = base64.b64encode(sign(f"{id_}.{stamp}.".encode() + body, key)).decode()
    return {"webhook_id": id_, "webhook_timestamp": str(stamp), "webhook_signature": f"v1,{signature}"}


def stripe(stamp: int) -> dict[str, str]:
    return {"stripe_signature": f"t={stamp},v1={sign(f'{stamp}.'.encode() + BODY).hex()},v0=junk"}


def slack(stamp: int) -> dict[str, str]:
    signature = f"v0={sign(f'v0:{stamp}:'.encode() + BODY).hex()}"
    return {"x_slack_request_timestamp": str(stamp), "x_slack_signature": signature}


STAMPED = [
    ({"type": "hmac"}, standard),
    ({"type": "hmac", "header": "Stripe-Signature"}, stripe),
    ({"type": "hmac", "header": "X-Slack-Signature"}, slack),
]


@pytest.mark.parametrize(("auth", "signed"), STAMPED)
def test_a_signature_with_a_time_stamp_holds_for_five_minutes_either_way(auth: Any, signed: Any) -> None:
    for age in (0, 299, -299):
        verify(auth, "key", call(**signed(1_800_000_000 - age)), NOW)
    for age in (301, -301, 10_000):
        with pytest.raises(StaleTimestamp):
            verify(auth, "key", call(**signed(1_800_000_000 - age)), NOW)


@pytest.mark.parametrize(("auth", "signed"), STAMPED)
def test_the_tolerance_is_the_triggers_own(auth: Any, signed: Any) -> None:
    verify({**auth, "tolerance": "1h"}, "key", call(**signed(1_800_000_000 - 3_000)), NOW)
    with pytest.raises(StaleTimestamp):
        verify({**auth, "tolerance": "10s"}, "key", call(**signed(1_800_000_000 - 11)), NOW)


@pytest.mark.parametrize(("auth", "signed"), STAMPED)
def test_another_body_key_or_time_stamp_breaks_the_signature(auth: Any, signed: Any) -> None:
    headers = signed(1_800_000_000)
    with pytest.raises(BadSignature):
        verify(auth, "key", call(BODY + b" ", **headers), NOW)
    with pytest.raises(BadSignature):
        verify(auth, "other", call(**headers), NOW)
    moved = {k: v.replace("1800000000", "1800000001") for k, v in headers.items()}
    with pytest.raises(BadSignature):
        verify(auth, "key", call(**moved), NOW)


def test_a_standard_key_is_read_from_its_base64_and_one_of_several_signatures_is_enough() -> None:
    secret = "whsec_" + base64.b64encode(b"\x00\xffraw").decode()
    headers = standard(1_800_000_000, key=b"\x00\xffraw")
    headers["webhook_signature"] = "v1,AAAA " + headers["webhook_signature"]
    verify({"type": "hmac"}, secret, call(**headers), NOW)


def test_an_old_forged_call_is_told_of_its_signature_not_of_its_age() -> None:
    with pytest.raises(BadSignature):
        verify({"type": "hmac"}, "key", call(**standard(1, key=b"wrong")), NOW)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("prefixed", [True, False])
def test_a_signature_over_the_body_alone_as_github_sends_it(algorithm: str, encoding: str, prefixed: bool) -> None:
    signed = sign(BODY, algorithm=algorithm)
    text = signed.hex() if encoding == "hex" else base64.b64encode(signed).decode()
    auth = {"type": "hmac", "header": "X-Hub-Signature-256", "algorithm": algorithm, "encoding": encoding}
    sent = call(x_hub_signature_256=f"{algorithm}={text}" if prefixed else text)
    verify(auth, "key", sent, NOW)
    with pytest.raises(BadSignature):
        verify(auth, "kez", sent, NOW)


def test_a_token_comes_bare_or_as_bearer_in_the_header_that_was_named() -> None:
    verify({"type": "token"}, "t0ken", call(authorization="Bearer t0ken"), NOW)
    verify({"type": "token", "header": "X-Token"}, "t0ken", call(x_token="t0ken"), NOW)
    for headers in ({}, {"x_token": ""}, {"x_token": "t0ken2"}, {"authorization": "Bearer t0ken"}):
        with pytest.raises(Unauthenticated):
            verify({"type": "token", "header": "X-Token"}, "t0ken", call(**headers), NOW)


def test_basic_compares_user_and_password_together() -> None:
    good = "Basic " + base64.b64encode("ana:s:é".encode()).decode()
    verify({"type": "basic"}, "ana:s:é", call(authorization=good), NOW)
    for text in ("", "Basic", "Basic !!!", "Bearer ana:s:é", "Basic " + base64.b64encode(b"ana:").decode()):
        with pytest.raises(Unauthenticated):
            verify({"type": "basic"}, "ana:s:é", call(authorization=text), NOW)


@pytest.mark.parametrize("kind", ["token", "basic", "hmac"])
def test_an_empty_secret_lets_nobody_in(kind: str) -> None:
    for headers in ({}, {"authorization": "Bearer "}, {"authorization": "Basic "}, standard(1_800_000_000, key=b"")):
        with pytest.raises(Unauthenticated):
            verify({"type": kind}, "", call(**headers), NOW)


@given(st.sampled_from(STAMPED), st.text(max_size=60), st.text(max_size=20))
def test_no_header_whatever_raises_anything_but_a_refusal(pair: Any, signature: str, stamp: str) -> None:
    auth, _ = pair
    headers = {header_of(auth) or "": signature, "webhook-timestamp": stamp, "x-slack-request-timestamp": stamp}
    with pytest.raises(Unauthenticated):
        verify(auth, "key", Call("POST", "p", {}, headers, BODY), NOW)


@pytest.mark.parametrize(
    ("kind", "body", "seen"),
    [
        ("application/json", b'{"a": [1, null]}', {"a": [1, None]}),
        ("application/vnd.x+json; charset=utf-8", b"3", 3),
        ("application/x-www-form-urlencoded", b"a=1&b=x%20y&a=2", {"a": ["1", "2"], "b": "x y"}),
        ("text/plain", "olá".encode(), "olá"),
        ("application/octet-stream", b"\x00\xff", "AP8="),
        ("text/plain", b"\xff", "/w=="),
        ("application/json", b"", None),
    ],
)
def test_the_body_is_seen_as_what_its_type_says(kind: str, body: bytes, seen: Any) -> None:
    assert event_of(call(body, content_type=kind), None)["body"] == seen


@pytest.mark.parametrize(("kind", "body"), [("application/json", b"{"), ("application/json", b"NaN")])
def test_a_body_that_is_not_what_it_says_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(InvalidInput):
        event_of(call(body, content_type=kind), None)


def test_what_proves_the_caller_stays_out_of_the_event() -> None:
    event = event_of(call(authorization="Bearer t", cookie="c", x_token="t", x_kept="k"), "x-token")
    assert event["headers"] == {"x-kept": "k"}
