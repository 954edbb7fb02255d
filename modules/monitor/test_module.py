"""`monitor` against an HTTP server that answers like the platform's API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from monjolo_sdk import ApiError, InvalidInput
from monjolo_sdk.testing import Runner

from .module import duration, module


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat().replace("+00:00", "Z")


class Api:
    """The platform's answers, from plain lists that a test changes."""

    def __init__(self) -> None:
        self.flows: list[dict[str, Any]] = [self.flow("a")]
        self.workers = [{"id": "w1", "alive": True, "heartbeat_at": ago(seconds=3), "held": 1, "capacity": 8}]
        self.runs: list[dict[str, Any]] = []
        self.ticks: dict[str, list[dict[str, Any]]] = {}
        self.triggers: dict[str, list[dict[str, Any]]] = {}
        self.missing: dict[str, str] = {}
        self.refuse = 0
        self.asked: list[str] = []

    @staticmethod
    def flow(slug: str, **more: Any) -> dict[str, Any]:
        return {"slug": slug, "state": "active", "pause_reason": None, "paused_by": None, **more}

    @staticmethod
    def run(flow: str, status: str, created: str, **more: Any) -> dict[str, Any]:
        times = {"created_at": created, "started_at": None, "finished_at": None}
        return {"number": 7, "flow": flow, "status": status, "error": None, "quarantined": False, **times, **more}

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        parts = path.removeprefix("/api/v1/").split("/")
        if self.refuse:
            return self.refuse, {"title": "refused"}
        match parts:
            case ["flows"]:
                return 200, self._page(self.flows, query)
            case ["flows", slug, "ticks"]:
                wanted = query["status"][0]
                return 200, self._page([t for t in self.ticks.get(slug, []) if t["status"] == wanted], query)
            case ["flows", slug, "triggers"]:
                return 200, {"items": self.triggers.get(slug, [])}
            case ["runs"]:
                statuses = query["status"][0].split(",")
                found = [run for run in self.runs if run["status"] in statuses]
                return 200, self._page([r for r in found if query.get("flow", [r["flow"]])[0] == r["flow"]], query)
            case ["workers"]:
                return 200, {"items": self.workers}
            case ["health", "ready"]:
                return (503 if self.missing else 200), {"status": "x", "missing": self.missing}
        return 404, {"title": "not found"}

    def _page(self, rows: list[dict[str, Any]], query: dict[str, list[str]]) -> dict[str, Any]:
        start, limit = int(query.get("after", ["0"])[0]), min(int(query["limit"][0]), 3)  # small pages
        return {"items": rows[start : start + limit], "next": str(start + limit) if rows[start + limit :] else None}


@pytest.fixture
def api() -> Iterator[Api]:
    told = Api()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            allowed = self.headers.get("authorization") == "Bearer short-lived"
            told.asked.append(parts.path)
            status, body = told.answer(parts.path, parse_qs(parts.query)) if allowed else (401, {"title": "who?"})
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    door = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    door.daemon_threads = True
    threading.Thread(target=door.serve_forever, args=(0.05,), daemon=True).start()
    told.url = f"http://127.0.0.1:{door.server_address[1]}/api/v1"  # type: ignore[attr-defined]
    yield told
    door.shutdown()
    door.server_close()


async def look(api: Api, **inputs: Any) -> Any:
    runner = Runner(module, api={"url": api.url, "token": "short-lived"})  # type: ignore[attr-defined]
    return (await runner.run("flows", {"min_free_percent": 0, **inputs})).output


def found(result: Any) -> list[tuple[str, str, str | None]]:
    return [(finding["severity"], finding["code"], finding["flow"]) for finding in result["findings"]]


async def test_a_platform_that_is_well_has_no_findings(api: Api) -> None:
    result = await look(api)
    assert result["ok"]
    assert result["findings"] == []
    assert result["checked"] == {"flows": 1, "runs": 0, "workers": 1, "disks": 1}
    assert result["summary"].startswith("all is well")


async def test_every_page_is_read(api: Api) -> None:
    api.flows = [api.flow(f"f{number}") for number in range(10)]
    api.runs = [api.run("f9", "running", ago(hours=1), number=number) for number in range(7)]
    result = await look(api)
    assert (result["checked"]["flows"], result["checked"]["runs"]) == (10, 7)
    assert "/api/v1/flows/f9/ticks" in api.asked


async def test_a_time_that_was_missed_within_the_window_is_found(api: Api) -> None:
    api.ticks["a"] = [
        {"status": "missed", "instant": ago(hours=1), "reason": "platform_down"},
        {"status": "missed", "instant": ago(hours=2), "reason": None},
        {"status": "missed", "instant": ago(hours=30), "reason": None},
        {"status": "ran", "instant": ago(hours=3), "reason": None},
    ]
    result = await look(api)
    assert found(result) == [("warning", "missed", "a")]
    assert "missed 2 of its times" in result["findings"][0]["message"]
    assert "platform_down" in result["findings"][0]["message"]


async def test_a_schedule_that_was_due_and_did_not_start_is_found(api: Api) -> None:
    api.triggers["a"] = [
        {"name": "nightly", "enabled": True, "next_at": ago(minutes=10)},
        {"name": "off", "enabled": False, "next_at": ago(minutes=10)},
        {"name": "soon", "enabled": True, "next_at": ago(seconds=5)},
        {"name": "hook", "enabled": True, "next_at": None},
    ]
    assert found(await look(api)) == [("critical", "not_started", "a")]


async def test_runs_that_wait_or_take_too_long_are_found(api: Api) -> None:
    api.runs = [
        api.run("a", "queued", ago(minutes=11)),
        api.run("a", "queued", ago(minutes=1)),
        api.run("a", "running", ago(hours=9), started_at=ago(hours=7)),
        api.run("a", "running", ago(hours=9), started_at=ago(hours=1)),
        api.run("a", "running", ago(hours=1), quarantined=True),
        api.run("noisy", "running", ago(days=9)),
    ]
    result = await look(api, ignore=["noisy"])
    assert {entry[1] for entry in found(result)} == {"queued_too_long", "stuck", "quarantined"}
    assert len(result["findings"]) == 3
    assert result["findings"][0]["severity"] == "critical"


async def test_a_flow_that_only_fails_is_found(api: Api) -> None:
    api.runs = [
        api.run("a", status, ago(hours=1), error={"message": "no disk"}) for status in ("failed", "crashed", "failed")
    ]
    result = await look(api)
    assert found(result) == [("warning", "failing", "a")]
    assert "no disk" in result["summary"]
    api.runs[1]["status"] = "succeeded"
    assert (await look(api))["ok"]


async def test_a_flow_that_should_have_succeeded_and_did_not_is_found(api: Api) -> None:
    api.flows.append(api.flow("b"))
    api.runs = [api.run("a", "succeeded", ago(hours=30), finished_at=ago(hours=29))]
    result = await look(api, expect={"a": "25h", "b": "1d", "gone": "1h"})
    assert found(result) == [("critical", "overdue", flow) for flow in ("a", "b", "gone")]
    assert (await look(api, expect={"a": "1d12h"}))["ok"]


async def test_workers_that_are_gone_silent_or_busy_are_found(api: Api) -> None:
    api.workers[0] |= {"heartbeat_at": ago(minutes=5), "held": 8}
    result = await look(api)
    assert found(result) == [("warning", "worker_silent", None), ("info", "workers_busy", None)]
    api.workers[0]["alive"] = False
    assert found(await look(api)) == [("critical", "no_worker", None)]


async def test_a_paused_flow_is_told_and_is_no_alarm(api: Api) -> None:
    api.flows = [api.flow("a", state="paused", paused_by="ana", pause_reason="holidays")]
    result = await look(api)
    assert result["ok"]
    assert found(result) == [("info", "paused", "a")]


async def test_what_the_platform_lacks_is_told(api: Api) -> None:
    api.missing = {"database": "the disk is full"}
    assert found(await look(api)) == [("critical", "not_ready", None)]


async def test_a_full_disk_is_found(api: Api) -> None:
    assert found(await look(api, min_free_percent=100)) == [("critical", "disk_low", None)] or found(
        await look(api, min_free_percent=100)
    ) == [("warning", "disk_low", None)]
    assert found(await look(api, disks=["/no/such/disk"])) == [("warning", "disk_low", None)]


async def test_a_refusal_of_the_api_fails_the_step(api: Api) -> None:
    api.refuse = 403
    with pytest.raises(ApiError, match="403"):
        await look(api)


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1w2", "9" * 30 + "d"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="window"):
        duration(text, "window")
