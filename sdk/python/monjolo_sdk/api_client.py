"""`ctx.api`: the platform's own API under a short-lived token with the scopes of `permissions.platform`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from monjolo_sdk.channel import Channel
from monjolo_sdk.egress import Policy
from monjolo_sdk.errors import ApiError
from monjolo_sdk.http_client import AsyncHttp, SyncHttp


def open_api(*, is_async: bool, channel: Channel) -> AsyncApi | SyncApi:
    """The API client of one task."""
    return AsyncApi(channel) if is_async else SyncApi(channel)


class _Door:
    """The address and token that the worker handed out."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.base = str(answer["url"]).rstrip("/")
        self.headers = {"Authorization": f"Bearer {answer['token']}"}
        parts = urlsplit(self.base)
        self.host = parts.hostname or ""
        self.origin = f"{parts.scheme}://{parts.netloc}"

    def policy(self) -> Policy:
        """The platform's own host and no other; it may well be on loopback."""
        return Policy((self.host,), (self.host,))

    def url(self, path: str) -> str:
        """A path below the API's root; one that begins with /api/ is below the server's."""
        return f"{self.origin if path.startswith('/api/') else self.base}/{path.lstrip('/')}"


class AsyncApi:
    """`await ctx.api.get("/runs", params={"status": "failed"})` gives the parsed JSON; ApiError if refused."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._door: _Door | None = None
        self._http: AsyncHttp | None = None

    async def request(self, method: str, path: str, **options: Any) -> Any:
        """Any method; `params`, `json`, `headers` as in httpx2."""
        for last in (False, True):
            if self._door is None or self._http is None:
                self._door = _Door(await self._channel.request("token", {}))
                self._http = self._http or AsyncHttp(self._door.policy())
            headers = {**self._door.headers, **(options.get("headers") or {})}
            response = await self._http.request(method, self._door.url(path), **{**options, "headers": headers})
            if response.status_code != 401 or last:
                break
            self._door = None  # the token has run out: ask for another, once
        return _content(method, path, response)

    async def get(self, path: str, **options: Any) -> Any:
        """GET."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Any:
        """POST."""
        return await self.request("POST", path, **options)

    async def put(self, path: str, **options: Any) -> Any:
        """PUT."""
        return await self.request("PUT", path, **options)

    async def patch(self, path: str, **options: Any) -> Any:
        """PATCH."""
        return await self.request("PATCH", path, **options)

    async def delete(self, path: str, **options: Any) -> Any:
        """DELETE."""
        return await self.request("DELETE", path, **options)

    async def aclose(self) -> None:
        """Close its connections."""
        if self._http is not None:
            await self._http.aclose()


class SyncApi:
    """As AsyncApi, without `await`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._door: _Door | None = None
        self._http: SyncHttp | None = None

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Any method; `params`, `json`, `headers` as in httpx2."""
        for last in (False, True):
            if self._door is None or self._http is None:
                self._door = _Door(self._channel.call("token", {}))
                self._http = self._http or SyncHttp(self._door.policy())
            headers = {**self._door.headers, **(options.get("headers") or {})}
            response = self._http.request(method, self._door.url(path), **{**options, "headers": headers})
            if response.status_code != 401 or last:
                break
            self._door = None
        return _content(method, path, response)

    def get(self, path: str, **options: Any) -> Any:
        """GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Any:
        """POST."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Any:
        """PUT."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Any:
        """PATCH."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Any:
        """DELETE."""
        return self.request("DELETE", path, **options)

    def close(self) -> None:
        """Close its connections."""
        if self._http is not None:
            self._http.close()


def _content(method: str, path: str, response: Any) -> Any:
    is_json = "json" in response.headers.get("content-type", "")
    body = response.json() if is_json and response.content else response.text
    if response.status_code >= 400:
        told = body.get("detail") or body.get("title") if isinstance(body, dict) else None
        text = f"{method} {path} was refused with {response.status_code}: {told or response.reason_phrase}"
        raise ApiError(text, response.status_code, details=body if is_json else None)
    return body if is_json else (body or None)
