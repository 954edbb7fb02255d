"""How a webhook's caller proves itself: a token, a password, or an HMAC over the raw bytes (S17).

The header's name chooses how a signature is written: `webhook-signature` (standard-webhooks: over
`id.timestamp.body`), `stripe-signature` (`t=…,v1=…` over `timestamp.body`), `x-slack-signature` (over
`v0:timestamp:body`); in any other header it stands over the body alone, with or without `sha256=` before it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monjolo.kit.errors import Unauthenticated
from monjolo.kit.time import SECOND, parse_duration

STANDARD, STRIPE, SLACK = "webhook-signature", "stripe-signature", "x-slack-signature"
TOLERANCE = 300 * SECOND
_DIGESTS = {"sha256": hashlib.sha256, "sha512": hashlib.sha512, "sha1": hashlib.sha1}
_MOST_SIGNATURES = 20  # of one header: keys are rotated, but not that often


class BadSignature(Unauthenticated):
    code, title = "bad_signature", "The call is not signed as this webhook asks"


class StaleTimestamp(Unauthenticated):
    code, title = "stale_timestamp", "The call was signed too long ago, or in the future"


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a webhook. Header names are lower case."""

    method: str
    path: str
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    body: bytes


def header_of(auth: Mapping[str, Any]) -> str | None:
    """The header that carries the proof, in lower case."""
    if auth["type"] == "none":
        return None
    default = STANDARD if auth["type"] == "hmac" else "authorization"
    return str(auth.get("header") or default).lower()


def verify(auth: Mapping[str, Any], secret: str, call: Call, now: int) -> None:
    """Raises BadSignature or StaleTimestamp. Equal work whatever is wrong with what was sent."""
    sent = call.headers.get(header_of(auth) or "", "")
    match auth["type"]:
        case "none":
            return
        case "token":
            _verify_token(secret, sent)
        case "basic":
            _verify_basic(secret, sent)
        case "hmac":
            _verify_hmac(auth, secret, call, sent, now)
        case unknown:
            raise BadSignature(f"This webhook asks for {unknown!r}, which is not known.")


def _same(left: bytes, right: bytes) -> bool:
    return hmac.compare_digest(left, right)


def _verify_token(secret: str, sent: str) -> None:
    scheme, _, token = sent.partition(" ")
    bare = token.strip() if scheme.lower() in ("bearer", "token") and token else sent
    if not secret or not _same(bare.encode(), secret.encode()):
        raise BadSignature("Send this webhook's token in its header.", code="bad_token")


def _verify_basic(secret: str, sent: str) -> None:
    scheme, _, encoded = sent.partition(" ")
    try:
        pair = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        pair = b""
    if scheme.lower() != "basic" or not secret or not _same(pair, secret.encode()):
        raise BadSignature("Send this webhook's user and password as HTTP basic authentication.", code="bad_token")


def _verify_hmac(auth: Mapping[str, Any], secret: str, call: Call, sent: str, now: int) -> None:
    header = header_of(auth)
    digest = _DIGESTS[auth.get("algorithm", "sha256")]
    tolerance = parse_duration(auth["tolerance"]) if "tolerance" in auth else TOLERANCE
    if header == STANDARD:
        stamp = call.headers.get("webhook-timestamp", "")
        message = f"{call.headers.get('webhook-id', '')}.{stamp}.".encode() + call.body
        signed = hmac.new(_standard_key(secret), message, digest).digest()
        wanted, given = base64.b64encode(signed), [part.removeprefix("v1,") for part in sent.split(" ")]
    elif header == STRIPE:
        parts = [part.strip().partition("=") for part in sent.split(",")]
        stamp = next((value for key, _, value in parts if key == "t"), "")
        wanted = _hex(secret, f"{stamp}.".encode() + call.body, digest)
        given = [value for key, _, value in parts if key == "v1"]
    elif header == SLACK:
        stamp = call.headers.get("x-slack-request-timestamp", "")
        wanted = b"v0=" + _hex(secret, f"v0:{stamp}:".encode() + call.body, digest)
        given = [sent]
    else:
        _verify_plain(auth, secret, call, sent)
        return
    if not secret or not any(_same(one.encode(), wanted) for one in given[:_MOST_SIGNATURES]):
        raise BadSignature(_advice(auth))
    _verify_stamp(stamp, tolerance, now)


def _verify_plain(auth: Mapping[str, Any], secret: str, call: Call, sent: str) -> None:
    algorithm = auth.get("algorithm", "sha256")
    signed = hmac.new(secret.encode(), call.body, _DIGESTS[algorithm]).digest()
    given = sent.strip().removeprefix(f"{algorithm}=")
    if auth.get("encoding", "hex") == "base64":
        wanted = base64.b64encode(signed)
    else:
        wanted, given = signed.hex().encode(), given.lower()
    if not secret or not _same(given.encode(), wanted):
        raise BadSignature(_advice(auth))


def _advice(auth: Mapping[str, Any]) -> str:
    algorithm, header = auth.get("algorithm", "sha256"), header_of(auth)
    return f"Sign the exact bytes of the body with HMAC-{algorithm.upper()} and send it in {header}."


def _hex(secret: str, message: bytes, digest: Any) -> bytes:
    return hmac.new(secret.encode(), message, digest).hexdigest().encode()


def _standard_key(secret: str) -> bytes:
    """standard-webhooks writes keys as `whsec_` and base64; any other text is the key itself."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()


def _verify_stamp(stamp: str, tolerance: int, now: int) -> None:
    """Only after the signature was found good: the time stamp is part of what was signed."""
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12 or abs(now - int(stamp) * SECOND) > tolerance:
        raise StaleTimestamp(
            f"The time stamp must be Unix seconds within {tolerance // SECOND} s of now: sign it again."
        )
