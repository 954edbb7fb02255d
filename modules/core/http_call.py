"""One HTTP request through the platform's client, and what its answer means for the step."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal

import httpx2
import orjson

from monjolo_sdk import AuthError, Context, Field, InvalidInput, ModuleError, PermanentError, RetryLater

_SHOWN_BODY = 2000
_RETRYABLE = {408, 425, 429, *range(500, 600)}

ResponseKind = Literal["auto", "json", "text", "base64"]


class HttpUnreachable(ModuleError):
    """No answer: the name was not found, the connection failed or it took too long. Worth another attempt."""


class HttpServerError(ModuleError):
    """The server says that it cannot answer now. Worth another attempt."""


class HttpStatusError(PermanentError):
    """The server refused the request as it is. Another attempt cannot help."""


class UnusableResponse(PermanentError):
    """The answer came, and cannot be used: it is not what was asked for."""


@dataclass(frozen=True)
class HttpResult:
    status: int
    ok: Annotated[bool, Field(description="True for a status below 400")]
    url: Annotated[str, Field(description="Where the answer came from, after redirects")]
    headers: Annotated[dict[str, str], Field(description="Names in lower case")]
    body: Annotated[Any, Field(description="JSON value, text, or base64 text; see body_kind")]
    body_kind: Literal["json", "text", "base64", "none"]
    size: int
    elapsed_seconds: float


async def call(
    ctx: Context,
    request: Mapping[str, Any],
    *,
    expected: Sequence[int],
    response: ResponseKind,
    max_bytes: int,
) -> HttpResult:
    """Send `request` (arguments of the client's `request`, and `query`) and read the answer, at most `max_bytes` of it.

    Once: whether it is sent again is for the step's own `retry` to say.
    """
    began = time.monotonic()
    try:
        url = httpx2.URL(request["url"]).copy_merge_params(request["query"])
        options = {name: value for name, value in request.items() if name not in ("url", "query")}
        answer = await ctx.http.request(url=str(url), **options, retries=0, max_bytes=max_bytes)
    except httpx2.TimeoutException as error:
        raise HttpUnreachable(f"no answer within {request['timeout']:g} s ({type(error).__name__})") from None
    except httpx2.TooManyRedirects:
        raise PermanentError("the server sends in circles: too many redirects") from None
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        raise InvalidInput(str(error), "url") from None
    except httpx2.DecodingError as error:
        raise UnusableResponse(f"the answer cannot be unpacked: {error}") from None
    except httpx2.TransportError as error:
        raise HttpUnreachable(f"{type(error).__name__}: {error}") from None
    elapsed, content = time.monotonic() - began, answer.content
    _judge(answer, content, expected)
    body, kind = _body(answer, content, response)
    return HttpResult(
        status=answer.status_code,
        ok=answer.status_code < 400,
        url=str(answer.url),
        headers={name.lower(): value for name, value in answer.headers.items()},
        body=body,
        body_kind=kind,
        size=len(content),
        elapsed_seconds=round(elapsed, 6),
    )


def _judge(answer: httpx2.Response, content: bytes, expected: Sequence[int]) -> None:
    status = answer.status_code
    if status in expected if expected else status < 400:
        return
    details = {"status": status, "body": content[:_SHOWN_BODY].decode("utf-8", "replace")}
    message = f"{answer.request.method} {answer.url.host} answered {status} {answer.reason_phrase}".rstrip()
    if status in _RETRYABLE:
        after = retry_after(answer.headers.get("retry-after"), datetime.now(UTC))
        if after is not None:
            raise RetryLater(after, f"{message}; it asks to come back in {after:g} s", details=details)
        raise HttpServerError(message, details=details)
    if status == 401:
        raise AuthError(message, details=details)
    raise HttpStatusError(message, details=details)


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header (seconds or a date), None when it makes no sense."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _body(
    answer: httpx2.Response, content: bytes, wanted: ResponseKind
) -> tuple[Any, Literal["json", "text", "base64", "none"]]:
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if wanted == "json" or (wanted == "auto" and content and (media.endswith(("/json", "+json")))):
        try:
            return orjson.loads(content), "json"
        except orjson.JSONDecodeError as error:
            if wanted == "json":
                raise UnusableResponse(f"the answer is not JSON: {error}") from None
    if wanted == "base64":
        return base64.b64encode(content).decode("ascii"), "base64"
    if not content and wanted == "auto":
        return None, "none"
    if wanted == "text" or media.startswith("text/") or "charset" in answer.headers.get("content-type", ""):
        return content.decode(answer.encoding or "utf-8", "replace"), "text"
    try:
        return content.decode("utf-8"), "text"
    except UnicodeDecodeError:
        return base64.b64encode(content).decode("ascii"), "base64"
