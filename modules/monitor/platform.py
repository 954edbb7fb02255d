"""Read the platform through its own API, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from monjolo_sdk import ApiError, Context

_PAGE = 200


class Platform:
    """The few questions that monitoring asks."""

    def __init__(self, ctx: Context) -> None:
        self._api = ctx.api

    async def flows(self) -> list[dict[str, Any]]:
        return [flow async for flow in self._all("/flows", {})]

    async def triggers(self, flow: str) -> list[dict[str, Any]]:
        return list((await self._api.get(f"/flows/{flow}/triggers"))["items"])

    async def ticks_since(self, flow: str, status: str, since: datetime) -> list[dict[str, Any]]:
        """Newest first, so that the first one that is too old ends the reading."""
        found = []
        async for tick in self._all(f"/flows/{flow}/ticks", {"status": status}):
            if instant(tick["instant"]) < since:
                break
            found.append(tick)
        return found

    async def last_runs(self, flow: str, count: int, **filters: str) -> list[dict[str, Any]]:
        """The newest first."""
        params = {"flow": flow, "limit": count, **filters}
        return list((await self._api.get("/runs", params=params))["items"])

    async def live_runs(self) -> list[dict[str, Any]]:
        return [run async for run in self._all("/runs", {"status": "queued,running,cancelling"})]

    async def workers(self) -> list[dict[str, Any]]:
        return list((await self._api.get("/workers"))["items"])

    async def not_ready(self) -> dict[str, str]:
        """What the platform says it lacks, with why; empty when it is ready."""
        try:
            answer = await self._api.get("/health/ready")
        except ApiError as error:
            if error.status != 503 or not isinstance(error.details, dict):
                raise
            answer = error.details
        return dict(answer.get("missing") or {})

    async def _all(self, path: str, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        after: str | None = None
        while True:
            cursor = {"after": after} if after else {}
            page = await self._api.get(path, params={**params, "limit": _PAGE, **cursor})
            for item in page["items"]:
                yield item
            after = page.get("next")
            if not after:
                return


def instant(text: str) -> datetime:
    """An RFC 3339 instant of the API."""
    return datetime.fromisoformat(text)
