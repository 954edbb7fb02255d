"""GitHub's REST API as a reader needs it: pages by `Link`, answers kept by ETag, limits told to the platform."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from monjolo_sdk import AuthError, Context, InvalidInput, ModuleError, PermanentError, RetryLater

CACHE = "answers"
_ACCEPT = "application/vnd.github.v3+json"
_LONGEST_WAIT = 3600.0  # the primary limit counts by the hour
_SECONDARY_WAIT = 60.0  # what GitHub asks for when it names no time
_MAX_BYTES = 20 * 2**20
_LINK = re.compile(r'<([^>]*)>\s*;[^,]*?\brel="?(next|last)"?')
_PAGE = re.compile(r"[?&]page=(\d+)")


class GitHubUnavailable(ModuleError):
    """No usable answer: a connection that failed, or an error of the server. Worth another attempt."""


class GitHubRefused(PermanentError):
    """GitHub refused the request as it is; `status` says how."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message, details={"status": status})
        self.status = status


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: its value as `keep` left it, the address of the next page, the number of the last."""

    value: Any
    next: str | None
    last: int


class GitHub:
    """One run's view of one repository. Addresses are below `base`; the token is sent nowhere else."""

    def __init__(self, ctx: Context, base: str, repository: str, token: str | None, cache: Mapping[str, Any]) -> None:
        self._ctx = ctx
        self._base = httpx2.URL(base.rstrip("/"))
        self._repository = repository
        self._headers = {"Accept": _ACCEPT} | ({"Authorization": f"token {token}"} if token else {})
        self._cache = cache
        self.kept: dict[str, Any] = {}  # the cache of the next run: what this one used
        self.requests = self.unchanged = 0
        self.remaining: int | None = None

    async def one(self, path: str, keep: Callable[[Any], Any], **query: str | int) -> Page:
        """A single answer. Raises GitHubRefused and the other errors of this file."""
        return await self._get(self._address(path, query), keep)

    async def pages(self, path: str, keep: Callable[[Any], Any], **query: str | int) -> AsyncIterator[Page]:
        """Every page, one at a time; `keep` is applied to each row."""
        address: str | None = self._address(path, query)
        while address is not None:
            page = await self._get(address, lambda rows: [keep(row) for row in rows])
            yield page
            address = page.next

    def _address(self, path: str, query: Mapping[str, str | int]) -> str:
        return str(httpx2.URL(f"{self._base}/repos/{self._repository}{path}").copy_merge_params(dict(query)))

    async def _get(self, address: str, keep: Callable[[Any], Any]) -> Page:
        if self._ctx.cancelled:
            raise ModuleError("the step was cancelled")
        known = self._cache.get(address)
        answer = await self._ask(address, known["etag"] if known else None)
        if answer.status_code == 304 and known:
            self.unchanged += 1
            self.kept[address] = known
            return Page(known["value"], known["next"], known["last"])
        try:
            value = keep(_json(answer) if answer.status_code != 204 else {})
        except (AttributeError, KeyError, TypeError, ValueError):
            raise GitHubRefused(answer.status_code, f"what {self._base.host} answered is not of GitHub's API") from None
        links = {relation: target for target, relation in _LINK.findall(answer.headers.get("link", ""))}
        following = self._within(links.get("next"))
        last = _PAGE.search(links.get("last", ""))
        page = Page(value, following, int(last[1]) if last else 1)
        if etag := answer.headers.get("etag"):
            self.kept[address] = {"etag": etag, "value": value, "next": page.next, "last": page.last}
        return page

    async def _ask(self, address: str, etag: str | None) -> httpx2.Response:
        headers = self._headers | ({"If-None-Match": etag} if etag else {})
        self.requests += 1
        try:
            answer: httpx2.Response = await self._ctx.http.get(
                address, headers=headers, retries=0, max_bytes=_MAX_BYTES, follow_redirects=True
            )
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise InvalidInput(str(error), "base_url") from None
        except httpx2.TooManyRedirects:
            raise PermanentError("the server sends in circles: too many redirects") from None
        except httpx2.TransportError as error:
            raise GitHubUnavailable(f"{self._base.host}: {type(error).__name__}: {error}") from None
        remaining = answer.headers.get("x-ratelimit-remaining", "")
        self.remaining = int(remaining) if remaining.isdigit() else self.remaining
        _judge(answer, datetime.now(UTC))
        return answer

    def _within(self, address: str | None) -> str | None:
        """A next page is asked for only where the first one came from."""
        if address is None:
            return None
        url = self._base.join(address)
        if (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port):
            raise GitHubRefused(200, f"the next page is said to be at {url.host}, which is not {self._base.host}")
        return str(url)


def _judge(answer: httpx2.Response, now: datetime) -> None:
    status = answer.status_code
    if status < 400:
        return
    message = _message(answer)
    text = f"GitHub answered {status}: {message}"
    if status in (403, 429) and (wait := wait_told(answer.headers, message, status, now)) is not None:
        raise RetryLater(wait, f"{text}; it asks to come back in {wait:g} s", details={"status": status})
    if status >= 500:
        raise GitHubUnavailable(text, details={"status": status})
    if status == 401:
        raise AuthError(text, details={"status": status})
    raise GitHubRefused(status, text)


def wait_told(headers: Mapping[str, str], message: str, status: int, now: datetime) -> float | None:
    """Seconds to wait when this is a rate limit: the secondary one says Retry-After, the primary one when it resets."""
    after = headers.get("retry-after", "").strip()
    if after.isdigit():
        return min(float(after), _LONGEST_WAIT)
    if after:
        try:
            return min(max((parsedate_to_datetime(after) - now).total_seconds(), 0.0), _LONGEST_WAIT)
        except (TypeError, ValueError):
            return _SECONDARY_WAIT
    if headers.get("x-ratelimit-remaining") == "0":
        reset = headers.get("x-ratelimit-reset", "")
        wait = float(reset) - now.timestamp() + 1 if reset.isdigit() else _SECONDARY_WAIT
        return min(max(wait, 1.0), _LONGEST_WAIT)
    return _SECONDARY_WAIT if status == 429 or "secondary rate limit" in message.lower() else None


def _json(answer: httpx2.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise GitHubUnavailable(f"{answer.url.host} answered {answer.status_code} with what is no JSON") from None


def _message(answer: httpx2.Response) -> str:
    try:
        return str(answer.json().get("message", ""))[:500]
    except (ValueError, AttributeError):
        return answer.reason_phrase
