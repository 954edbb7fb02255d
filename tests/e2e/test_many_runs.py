"""Many runs through the doors that people use: limited, prioritised, repeated and cancelled by a filter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Platform

BRITTLE = """
schema: monjolo/flow/v1
id: brittle
steps:
  - {id: a, uses: core/transform, with: {value: 1}}
  - {id: b, fail: no}
"""
HELD = """
schema: monjolo/flow/v1
id: held
concurrency: {limit: 1, max_queued: 2}
steps: [{id: nap, sleep: 1h}]
"""


@pytest.fixture(scope="module")
def brittle(platform: Platform) -> str:
    platform.publish(BRITTLE)
    for run in platform.post("/flows/brittle/runs/bulk", {"items": [{}, {"priority": 9}, {}]})["items"]:
        platform.ended(run["id"])
    return "brittle"


def _bulk(platform: Platform, status: int, **body: Any) -> Any:
    answer = platform.ask("POST", "/runs/bulk", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_what_would_be_done_is_told_and_not_done(platform: Platform, brittle: str) -> None:
    before = len(platform.runs_of(brittle))
    shown = _bulk(platform, 200, filter={"flow": brittle, "status": ["failed"]}, action="repeat", dry_run=True)
    assert (shown["total"], len(shown["sample"]), shown["dry_run"]) == (before, before, True)
    assert len(platform.runs_of(brittle)) == before


def test_a_page_says_where_the_next_begins_and_a_repeat_keeps_its_priority(platform: Platform, brittle: str) -> None:
    wish = {"filter": {"flow": brittle, "status": "failed"}, "action": "repeat", "from_step": "b", "limit": 2}
    first = _bulk(platform, 202, **wish)
    second = _bulk(platform, 202, **wish, after=first["next"])
    made = {each["number"]: each["repeat"]["id"] for each in (*first["items"], *second["items"])}
    assert set(made) >= {1, 2, 3}
    run = platform.ended(made[2])
    assert (run["priority"], run["trigger"]["from_step"]) == (9, "b")
    steps = platform.get(f"/runs/{made[2]}/steps")["items"]
    assert [(step["key"], step["reused"]) for step in steps] == [("a", True), ("b", False)]


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"filter": {}, "action": "repeat"}, "empty_filter"),
        ({"filter": {"flow": "brittle", "status": "failed"}, "action": "cancel"}, "bad_status"),
        ({"filter": {"flow": "brittle", "status": "odd"}, "action": "repeat"}, "bad_status"),
        ({"filter": {"flow": "brittle"}, "action": "delete"}, "invalid_input"),
        ({"filter": {"flow": "brittle"}, "action": "repeat", "after": "?"}, "bad_cursor"),
        ({"filter": {"flow": "brittle"}, "action": "repeat", "priority": 101}, "invalid_input"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(platform: Platform, brittle: str, wish: dict[str, Any], code: str) -> None:
    assert _bulk(platform, 404 if code == "not_found" else 422, **wish)["code"] == code


def test_runs_that_wait_are_cancelled_by_a_filter_and_the_rest_was_refused(platform: Platform) -> None:
    platform.publish(HELD)
    runs = platform.post("/flows/held/runs/bulk", {"items": [{}] * 4})["items"]
    ended = platform.ended(runs[3]["id"])
    assert (ended["status"], ended["reason"]) == ("failed", "queue_full")
    why = platform.get(f"/runs/{runs[2]['id']}/why")
    assert (why["parts"][0]["code"], why["parts"][0]["before"]) == ("concurrency", 1)
    shown = platform.cli("run", "cancel", "--filter", "flow=held", "--dry-run", "--json")
    assert json.loads(shown.stdout)["total"] == 3
    done = platform.cli("run", "cancel", "--filter", "flow=held", "--reason", "enough", "--json")
    assert len(json.loads(done.stdout)["items"]) == 3, done.stderr
    assert {platform.ended(run["id"])["status"] for run in runs[:3]} == {"cancelled"}


def test_the_command_line_repeats_what_a_filter_finds_and_refuses_two_ways_of_saying_which(
    platform: Platform, brittle: str
) -> None:
    done = platform.cli("run", "repeat", "--filter", f"flow={brittle}", "--filter", "number=1", "--json")
    assert [each["number"] for each in json.loads(done.stdout)["items"]] == [1]
    for arguments in (("repeat",), ("repeat", "brittle#1", "--filter", "flow=x"), ("cancel", "brittle#1", "--dry-run")):
        assert platform.cli("run", *arguments).returncode == 2
    assert platform.cli("run", "repeat", "--filter", "colour=red").returncode == 2


def test_a_filter_of_nothing_is_nobody_and_a_sign_of_a_pattern_is_a_letter(platform: Platform, brittle: str) -> None:
    empty = _bulk(platform, 422, filter={"q": "", "flow": None}, action="repeat")
    assert empty["code"] == "empty_filter"
    for sign in ("%", "_%", "!%"):
        assert _bulk(platform, 200, filter={"q": sign}, action="repeat", dry_run=True)["total"] == 0
    assert _bulk(platform, 200, filter={"q": brittle}, action="repeat", dry_run=True)["total"] > 0


def test_a_key_that_repeated_one_run_with_other_inputs_does_not_stop_a_repeat_of_many(platform: Platform) -> None:
    platform.publish(BRITTLE.replace("brittle", "keyed") + "inputs: {type: object, properties: {n: {}}}\n")
    run = platform.run("keyed", {"n": 1})
    key = {"idempotency-key": "k-1"}
    platform.post(f"/runs/{run['id']}/repeat", {"inputs": {"n": 2}}, headers=key)
    platform.post("/runs/bulk", {"filter": {"flow": "keyed", "number": 1}, "action": "repeat"}, headers=key)


def test_who_cancelled_and_who_repeated_many_stands_in_the_audit_log(platform: Platform, brittle: str) -> None:
    platform.publish(HELD)
    one = platform.begin("held")
    platform.begin("held")
    platform.post(f"/runs/{one}/cancel", {"reason": "enough"})
    _bulk(platform, 202, filter={"flow": "held"}, action="cancel")
    _bulk(platform, 202, filter={"flow": brittle, "number": 1}, action="repeat")
    found = {(e["action"], e["object"]) for e in platform.get("/audit", limit=20)["items"]}
    assert found >= {
        ("run.cancelled", f"run:{one}"), ("runs.cancelled", "flow:held"), ("runs.repeated", f"flow:{brittle}"),
    }  # fmt: skip
