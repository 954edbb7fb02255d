"""Watch a web site: status, latency, TLS expiry, content."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import httpx2

from monjolo_sdk import Context, Field, InvalidInput, Module, PermanentError

from .certificate import Look, look_at
from .matching import MAX_PATTERN, check_pattern, search

module = Module(
    "site_check",
    version="1.0.0",
    title="Site check",
    description="Watch a web site: status, latency, TLS expiry, content.",
    icon="icon.svg",
    permissions={"net": ["*"]},
)

Code = Literal[
    "dns", "unreachable", "timeout", "tls_invalid", "tls_expiry", "status", "slow", "content_missing",
    "content_unwanted", "content_slow", "redirects", "too_large",
]  # fmt: skip


@dataclass(frozen=True)
class Finding:
    code: Code
    message: str


@dataclass(frozen=True)
class Latency:
    """Seconds; null where it could not be measured. `connect` is the TCP handshake with its own name lookup."""

    dns: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    total: float | None = None


@dataclass(frozen=True)
class Tls:
    days_left: Annotated[float, Field(description="Until the certificate runs out; negative: it has")]
    not_after: str
    subject: str
    issuer: str
    version: str
    trusted: bool


@dataclass(frozen=True)
class Redirect:
    url: str
    status: int


@dataclass(frozen=True)
class CheckResult:
    ok: bool
    findings: list[Finding]
    url: Annotated[str, Field(description="Where the answer came from, after redirects")]
    status: int | None
    latency: Latency
    tls: Tls | None
    redirects: list[Redirect]
    size: int | None
    checked_at: str


@dataclass
class _Answer:
    """What was seen so far."""

    response: httpx2.Response | None = None
    findings: list[Finding] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)

    def find(self, code: Code, message: str) -> None:
        self.findings.append(Finding(code, message))


class _Trace:
    """How long each part of the last request took, from the client's own events."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began: dict[str, float] = {}

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        name, _, phase = event.rpartition(".")
        if phase == "started":
            self._began[name] = time.monotonic()
        elif phase == "complete" and name in self._began:
            part = {"connection.connect_tcp": "connect", "connection.start_tls": "tls"}.get(name)
            if part is None and name.endswith("receive_response_headers"):
                part = "first_byte"
            if part is not None:
                self.seconds[part] = time.monotonic() - self._began[name]


@module.action(
    title="Check a site",
    effects="read",
    examples=[
        {
            "title": "It answers, is quick, and its certificate is good for two weeks",
            "with": {"url": "https://example.org/", "contains": "Example Domain", "max_seconds": 2, "min_tls_days": 14},
        }
    ],
)
async def check(
    ctx: Context,
    url: Annotated[str, Field(title="URL", format="uri", min_length=1, max_length=8192)],
    expected_status: Annotated[
        list[int], Field(title="Expected status", description="By default any from 200 to 299")
    ] = [],  # noqa: B006 - the schema shows it; it is never changed
    contains: Annotated[str, Field(title="Must contain", description="A text, exactly as it stands")] = "",
    not_contains: Annotated[str, Field(title="Must not contain")] = "",
    matches: Annotated[str, Field(title="Must match", description="A regular expression", max_length=MAX_PATTERN)] = "",
    max_seconds: Annotated[
        float, Field(title="Slow above", description="Seconds in all; 0: no limit", minimum=0)
    ] = 0.0,
    min_tls_days: Annotated[
        int, Field(title="Certificate days", description="Fewer left is a finding", minimum=0)
    ] = 14,
    follow_redirects: Annotated[bool, Field(title="Follow redirects")] = True,
    timeout_seconds: Annotated[float, Field(title="Timeout", minimum=0.1, maximum=120)] = 10.0,
    max_bytes: Annotated[int, Field(title="Largest page", minimum=1, maximum=50 * 2**20)] = 5 * 2**20,
) -> CheckResult:
    """Request a page once and say what is wrong with how it answered.

    A site that is down is a result, not an error: `ok` is false and `findings` says why, so that the next step
    can branch on it.
    """
    target = _target(url)
    if wrong := check_pattern(matches):
        raise InvalidInput(f"the pattern cannot be used: {wrong}", "matches")
    answer = _Answer()
    await _resolve(target, answer, timeout_seconds)
    look = await _look(ctx, target, answer, timeout_seconds) if target.scheme == "https" else None
    await _request(ctx, target, answer, timeout_seconds, follow_redirects, max_bytes)
    await _judge(answer, expected_status, contains, not_contains, matches)
    total = answer.times.get("total")
    if max_seconds and total is not None and total > max_seconds:
        answer.find("slow", f"it took {total:.3f} s, more than {max_seconds:g} s")
    tls = _tls(look, answer, min_tls_days)
    for finding in answer.findings:
        ctx.log.warning(finding.message, code=finding.code)
    if not answer.findings:
        ctx.log.info("the site is well", url=url.partition("?")[0], seconds=total)
    return _result(url, answer, tls)


def _target(url: str) -> httpx2.URL:
    try:
        target = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise InvalidInput(str(error), "url") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise InvalidInput("write an address that begins with http:// or https://", "url")
    return target


async def _resolve(target: httpx2.URL, answer: _Answer, timeout: float) -> None:
    began = time.monotonic()
    port = target.port or {"http": 80, "https": 443}[target.scheme]
    try:
        asking = asyncio.get_running_loop().getaddrinfo(target.host, port, type=socket.SOCK_STREAM)
        await asyncio.wait_for(asking, timeout)
    except (OSError, UnicodeError, TimeoutError) as error:
        answer.find("dns", f"the name {target.host} is not resolved: {error or 'no answer in time'}")
    else:
        answer.times["dns"] = time.monotonic() - began


async def _look(ctx: Context, target: httpx2.URL, answer: _Answer, timeout: float) -> Look | None:
    """The certificate, or None when there is no talking to the server; the request says why."""
    if answer.findings:
        return None
    try:
        look = await look_at(ctx, target.host, target.port or 443, timeout)
    except PermanentError:
        raise
    except Exception as error:
        ctx.log.debug("no look at the certificate", reason=f"{type(error).__name__}: {error}")
        return None
    answer.times |= {"connect": look.connect_seconds, "tls": look.tls_seconds}
    return look


async def _request(
    ctx: Context, target: httpx2.URL, answer: _Answer, timeout: float, follow: bool, max_bytes: int
) -> None:
    if answer.findings:
        return
    trace = _Trace()
    began = time.monotonic()
    try:
        answer.response = await ctx.http.request(
            "GET",
            str(target),
            timeout=timeout,
            follow_redirects=follow,
            max_bytes=max_bytes,
            retries=0,
            extensions={"trace": trace},
        )
    except httpx2.TimeoutException:
        answer.find("timeout", f"no answer within {timeout:g} s")
    except httpx2.TooManyRedirects as error:
        answer.find("redirects", f"it sends in circles: {error}")
    except httpx2.TransportError as error:
        invalid = "CERTIFICATE" in str(error).upper() or "SSL" in str(error).upper()
        answer.find("tls_invalid" if invalid else "unreachable", f"{type(error).__name__}: {error}")
    except PermanentError as error:
        if type(error).__name__ != "ResponseTooLarge":
            raise  # the request is not allowed: that is for whoever wrote the flow
        answer.find("too_large", str(error))
    else:
        answer.times["total"] = time.monotonic() - began
    answer.times |= trace.seconds


async def _judge(answer: _Answer, expected: list[int], contains: str, unwanted: str, pattern: str) -> None:
    response = answer.response
    if response is None:
        return
    status = response.status_code
    if status not in expected if expected else not 200 <= status < 300:
        answer.find("status", f"it answered {status} {response.reason_phrase}".rstrip())
    if not (contains or unwanted or pattern):
        return
    text = response.text
    if contains and contains not in text:
        answer.find("content_missing", f"the page does not contain {contains[:100]!r}")
    if unwanted and unwanted in text:
        answer.find("content_unwanted", f"the page contains {unwanted[:100]!r}")
    found = await search(pattern, text) if pattern else "yes"
    if found == "no":
        answer.find("content_missing", f"the page does not match {pattern[:100]!r}")
    elif found == "too_slow":
        answer.find("content_slow", f"the pattern {pattern[:100]!r} takes too long on this page; write a simpler one")


def _tls(look: Look | None, answer: _Answer, min_days: int) -> Tls | None:
    if look is None:
        return None
    days = round((look.not_after - datetime.now(UTC)).total_seconds() / 86_400, 2)
    if days < min_days:
        when = f"{look.not_after:%Y-%m-%d}"
        text = f"expires on {when}, in {days:g} days" if days >= 0 else f"expired on {when}"
        answer.find("tls_expiry", f"the certificate {text}")
    trusted = not any(finding.code == "tls_invalid" for finding in answer.findings)
    not_after = look.not_after.isoformat().replace("+00:00", "Z")
    return Tls(days, not_after, look.subject, look.issuer, look.version, trusted)


def _result(url: str, answer: _Answer, tls: Tls | None) -> CheckResult:
    response = answer.response
    history = response.history if response is not None else []
    return CheckResult(
        ok=not answer.findings,
        findings=answer.findings,
        url=str(response.url) if response is not None else url,
        status=response.status_code if response is not None else None,
        latency=Latency(**{name: round(seconds, 6) for name, seconds in answer.times.items()}),
        tls=tls,
        redirects=[Redirect(str(hop.url), hop.status_code) for hop in history],
        size=len(response.content) if response is not None else None,
        checked_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )
