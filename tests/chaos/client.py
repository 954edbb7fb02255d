"""The platform's API as a stubborn caller uses it: what is not answered is sent again under the same key."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx2
from tests.chaos.processes import Platform

PATIENCE_SECONDS = 120.0
ENDED = frozenset(("succeeded", "failed", "cancelled", "skipped", "timed_out", "crashed"))


class NotTaken(Exception):
    """The platform answered, and the answer was no."""


class Client:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._token = platform.token
        limits = httpx2.Limits(max_connections=64, max_keepalive_connections=32)
        self._http = httpx2.AsyncClient(base_url=platform.url, timeout=20, limits=limits, trust_env=False)
        self.resent = 0

    async def close(self) -> None:
        await self._http.aclose()

    async def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """The answer as JSON. No answer, 429 and 5xx are tried again: the platform may be down at this moment."""
        sent = {"authorization": f"Bearer {self._token}"} | (headers or {})
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = await self._http.request(method, path, json=body, headers=sent)
            except httpx2.TransportError:
                self.resent += 1
            else:
                if answer.status_code < 400:
                    return answer.json() if answer.content else None
                if answer.status_code not in (429, 500, 502, 503, 504):
                    raise NotTaken(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
            if time.monotonic() > until:
                raise NotTaken(f"{method} {path}: no answer for {PATIENCE_SECONDS:.0f} s")
            await asyncio.sleep(0.1)

    async def publish(self, document: dict[str, Any]) -> None:
        await self.call("PUT", f"/api/v1/flows/{document['id']}", {"document": document})

    async def start(self, flow: str, inputs: dict[str, Any], key: str) -> str:
        path = f"/api/v1/flows/{flow}/runs"
        run = await self.call("POST", path, {"inputs": inputs}, {"idempotency-key": key})
        return str(run["id"])

    async def start_many(self, flow: str, items: list[tuple[dict[str, Any], str]]) -> list[str]:
        body = {"items": [{"inputs": inputs, "idempotency_key": key} for inputs, key in items]}
        answer = await self.call("POST", f"/api/v1/flows/{flow}/runs/bulk", body)
        return [str(run["id"]) for run in answer["items"]]

    async def runs(self, flow: str) -> dict[str, dict[str, Any]]:
        """Every run of the flow, by id."""
        found: dict[str, dict[str, Any]] = {}
        after = ""
        while True:
            page = await self.call("GET", f"/api/v1/runs?flow={flow}&limit=200{after}")
            found |= {run["id"]: run for run in page["items"]}
            if not page["next"]:
                return found
            after = f"&after={page['next']}"

    async def steps(self, run: str) -> dict[str, dict[str, Any]]:
        page = await self.call("GET", f"/api/v1/runs/{run}/steps?limit=200")
        return {step["key"]: step for step in page["items"]}

    async def log_lines(self, run: str) -> list[str]:
        """The text of every line of the run, in order."""
        path = f"/api/v1/runs/{run}/logs/download?format=ndjson"
        headers = {"authorization": f"Bearer {self._token}"}
        answer = await self._http.get(path, headers=headers)
        answer.raise_for_status()
        return [json.loads(line)["text"] for line in answer.text.splitlines()]

    async def until_ended(self, flow: str, seconds: float) -> tuple[float, dict[str, dict[str, Any]]]:
        """Waits until every run of the flow has ended: (seconds that took, the runs)."""
        began = time.monotonic()
        while True:
            runs = await self.runs(flow)
            passed = time.monotonic() - began
            if all(run["status"] in ENDED for run in runs.values()) or passed > seconds:
                return passed, runs
            await asyncio.sleep(0.5)
