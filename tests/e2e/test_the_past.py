"""Instants of the past, run through the API and the command line of a real platform that may be killed."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from .conftest import Platform, until

FLOW = """
schema: monjolo/flow/v1
id: %s
triggers:
  - {id: hourly, type: schedule, cron: "0 * * * *"}
steps:
  - {id: say, uses: core/log, with: {message: "${{ trigger.instant }}"}}
"""


def span(hours: int) -> dict[str, str]:
    """So many whole hours, the last one a day ago."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
    return {"from": (end - timedelta(hours=hours)).isoformat(), "to": end.isoformat()}


def finished(platform: Platform, flow: str, backfill: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = platform.get(f"/flows/{flow}/backfills/{backfill}")
        return dict(found) if found["state"] != "running" else None

    return until(look, f"end of the backfill {backfill}", 60)


def instants_of(platform: Platform, flow: str) -> list[str]:
    """What each run of the flow was started for."""
    found: list[str] = []
    after = None
    while True:
        page = platform.get(f"/flows/{flow}/ticks", limit=200, **({"after": after} if after else {}))
        found += [tick["instant"] for tick in page["items"] if tick["status"] == "ran"]
        after = page["next"]
        if after is None:
            return found


def test_a_backfill_of_a_platform_that_is_killed_goes_on_and_makes_no_instant_twice(
    another: Callable[..., Platform],
) -> None:
    platform = another().start()
    platform.publish(FLOW % "past")
    made = platform.post("/flows/past/backfill", {**span(300), "max_active": 5, "order": "desc"})
    assert (made["state"], made["instants"], made["left"]) == ("running", 300, 300)
    for started in (40, 120, 200):

        def far_enough(started: int = started) -> bool:
            return bool(platform.get(f"/flows/past/backfills/{made['id']}")["started"] >= started)

        until(far_enough, f"{started} runs")
        platform.stop(signal.SIGKILL)
        platform.start()
    done = finished(platform, "past", made["id"])
    assert (done["state"], done["started"], done["succeeded"], done["left"]) == ("done", 300, 300, 0)
    instants = instants_of(platform, "past")
    assert len(instants) == len(set(instants)) == 300
    counted = platform.get("/runs", flow="past", count="true", limit=1)
    assert counted["total"] == 300
    [entry] = platform.get("/audit", action="backfill.started")["items"]
    assert entry["object"] == "flow:past"


def test_the_command_line_tells_starts_follows_and_lists_backfills(platform: Platform) -> None:
    platform.publish(FLOW % "past-cli")
    given = [f"--{name}={value}" for name, value in span(12).items()]
    told = platform.cli("flow", "backfill", "past-cli", *given, "--dry-run")
    assert (told.returncode, told.stdout.endswith("12 runs\n")) == (0, True), told
    assert instants_of(platform, "past-cli") == []
    done = platform.cli("flow", "backfill", "past-cli", *given, "--wait", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["succeeded"] == 12
    listed = json.loads(platform.cli("flow", "backfills", "past-cli", "--json").stdout)["items"]
    assert [each["state"] for each in listed] == ["done"]
    ticks = json.loads(platform.cli("flow", "ticks", "past-cli", "--json").stdout)["items"]
    assert {tick["reason"] for tick in ticks} == {"backfill"}
    cancelled = platform.cli("flow", "cancel-backfill", "past-cli", listed[0]["id"], "--json")
    assert json.loads(cancelled.stdout)["state"] == "done"
    nothing = platform.cli("flow", "catch-up", "past-cli")
    assert (nothing.returncode, "0 runs started" in nothing.stderr) == (0, True)
    wrong = platform.cli("flow", "backfill", "past-cli", "--from=2020-01-01T00:00:00Z", "--to=2999-01-01T00:00:00Z")
    assert (wrong.returncode, "future" in wrong.stderr) == (3, True)


def test_bad_requests_about_the_past_are_refused_and_change_nothing(platform: Platform) -> None:
    platform.publish(FLOW % "past-bad")
    for path, body, code in (
        ("backfill", {}, "invalid_input"),
        ("backfill", {"from": "yesterday", "to": "2026-01-01T00:00:00Z"}, "bad_instant"),
        ("backfill", {**span(3), "max_active": 0}, "invalid_input"),
        ("backfill", {**span(3), "reprocess": "some"}, "invalid_input"),
        ("backfill", {**span(3), "trigger": "x"}, "unknown_trigger"),
        ("ticks/catch-up", {"limit": 5_000}, "invalid_input"),
        ("ticks/catch-up", {"ticks": [{"trigger": "hourly", "instant": "2026-01-01T00:00:00Z"}]}, "unknown_tick"),
        ("ticks/catch-up", {"ticks": [{"trigger": "hourly", "instant": "x"}]}, "bad_instant"),
        ("ticks/catch-up", {"ticks": [{"trigger": "hourly", "instant": "x"}], "limit": 3}, "invalid_input"),
        ("ticks/catch-up", {"after": "nonsense"}, "bad_cursor"),
    ):
        answer = platform.ask("POST", f"/flows/past-bad/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert platform.ask("GET", "/flows/past-bad/backfills/x").json()["code"] == "backfill_not_found"
    assert platform.get("/flows/past-bad/backfills")["items"] == []
    assert platform.runs_of("past-bad") == []
