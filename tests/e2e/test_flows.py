"""Flows as people and programs use them: recipes, by command line and API; triggers; a module dropped in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest

from .conftest import Platform, until

WITHOUT_CONFIGURATION = ("ola-monjolo", "vigiar-pasta", "backup-pasta")


@pytest.mark.parametrize("recipe", WITHOUT_CONFIGURATION)
def test_a_recipe_without_configuration_succeeds_from_command_line_and_api(platform: Platform, recipe: str) -> None:
    applied = platform.cli("flow", "apply", f"recipe:{recipe}")
    assert applied.returncode == 0, applied.stderr
    waited = platform.cli("flow", "run", recipe, "--wait", "--json")
    assert waited.returncode == 0, waited.stderr
    first = json.loads(waited.stdout)
    second = platform.run(recipe)
    for run in (first, second):
        assert (run["status"], run["error"]) == ("succeeded", None)
    if recipe == "backup-pasta":
        for run in (first, second):
            Path(run["outputs"]["archive"]).unlink(missing_ok=True)


def test_every_recipe_that_is_shipped_is_listed_and_valid(platform: Platform) -> None:
    listed = json.loads(platform.cli("flow", "recipes", "--json").stdout)["items"]
    assert {recipe["id"] for recipe in listed} >= set(WITHOUT_CONFIGURATION)
    checked = platform.cli("flow", "validate", *(recipe["file"] for recipe in listed))
    assert checked.returncode == 0, checked.stderr


def test_an_interval_of_a_second_and_a_schedule_fire_until_the_flow_is_paused(platform: Platform) -> None:
    platform.publish("""
schema: monjolo/flow/v1
id: ticking
triggers:
  - {id: often, type: interval, every: 1s}
  - {id: clock, type: schedule, cron: "* * * * * *"}
steps:
  - {id: tell, uses: core/log, with: {message: "by ${{ trigger.id }}"}}
""")
    until(lambda: {"interval", "schedule"} <= {run["trigger"]["type"] for run in platform.runs_of("ticking")}, "tick")
    paused = platform.cli("flow", "pause", "ticking", "--reason", "enough")
    assert paused.returncode == 0, paused.stderr
    for run in platform.runs_of("ticking"):
        assert platform.ended(run["id"])["status"] == "succeeded"
    ticks = platform.get("/flows/ticking/ticks")["items"]
    assert {tick["status"] for tick in ticks} == {"ran"}
    assert platform.get("/flows/ticking/next")["items"] == []
    refused = platform.cli("flow", "run", "ticking")
    assert (refused.returncode, refused.stderr) == (3, "The flow is paused; resume it first.\n")
    shown = platform.get("/flows/ticking")
    assert (shown["state"], shown["pause_reason"]) == ("paused", "enough")
    assert platform.cli("flow", "delete", "ticking", "--yes").returncode == 0


HOOK = """
schema: monjolo/flow/v1
id: hooked
triggers:
  - id: signed
    type: webhook
    path: e2e/signed
    auth: {type: hmac, secret: "${{ secrets.hook }}", header: X-Hub-Signature-256}
steps:
  - {id: tell, uses: core/transform, with: {value: "${{ event.body.word }}"}}
outputs: {word: "${{ steps.tell.output.value }}"}
"""


def test_a_paused_flow_does_not_start_as_a_sub_flow_either(platform: Platform) -> None:
    platform.publish("{schema: monjolo/flow/v1, id: called, steps: [{id: a, uses: core/transform, with: {value: 1}}]}")
    platform.publish("{schema: monjolo/flow/v1, id: calling, steps: [{id: sub, subflow: {flow: called}}]}")
    assert platform.run("calling")["status"] == "succeeded"
    assert platform.cli("flow", "pause", "called").returncode == 0
    run = platform.run("calling")
    [sub] = platform.get(f"/runs/{run['id']}/steps")["items"]
    assert (run["status"], sub["status"], sub["reason"]) == ("failed", "failed", "subflow_refused")
    assert "called is paused; resume it first" in sub["error"]["message"]
    assert platform.cli("flow", "resume", "called").returncode == 0
    assert platform.run("calling")["status"] == "succeeded"


def test_a_signed_webhook_starts_a_run_once_and_a_bad_one_none(platform: Platform) -> None:
    assert platform.cli("secret", "set", "hook", given="hook-secret-value").returncode == 0
    platform.publish(HOOK)
    body = b'{"word": "water"}'
    signature = "sha256=" + hmac.new(b"hook-secret-value", body, hashlib.sha256).hexdigest()
    headers = {"x-hub-signature-256": signature, "x-github-delivery": "d-1", "content-type": "application/json"}
    first = platform.ask("POST", "/hooks/e2e/signed", content=body, headers=headers, token=None)
    assert first.status_code == 202, first.text
    again = platform.ask("POST", "/hooks/e2e/signed", content=body, headers=headers, token=None)
    assert again.json()["id"] == first.json()["id"]
    run = platform.ended(first.json()["id"])
    assert (run["status"], run["outputs"]) == ("succeeded", {"word": "water"})
    forged = {**headers, "x-hub-signature-256": "sha256=" + "0" * 64, "x-github-delivery": "d-2"}
    refused = platform.ask("POST", "/hooks/e2e/signed", content=body, headers=forged, token=None)
    assert (refused.status_code, refused.json()["code"]) == (401, "bad_signature")
    assert len(platform.runs_of("hooked")) == 1


def test_a_webhook_with_an_old_time_stamp_is_refused(platform: Platform) -> None:
    assert platform.cli("secret", "set", "hook", given="hook-secret-value").returncode == 0
    platform.publish(
        HOOK.replace("id: hooked", "id: hooked-late")
        .replace("e2e/signed", "e2e/late")
        .replace(", header: X-Hub-Signature-256", "")
    )
    body, old = b'{"word": "late"}', "1700000000"
    digest = hmac.new(b"hook-secret-value", b"id-1." + old.encode() + b"." + body, hashlib.sha256).digest()
    headers = {
        "webhook-id": "id-1",
        "webhook-timestamp": old,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        "content-type": "application/json",
    }
    refused = platform.ask("POST", "/hooks/e2e/late", content=body, headers=headers, token=None)
    assert (refused.status_code, refused.json()["code"]) == (401, "stale_timestamp")
    assert platform.runs_of("hooked-late") == []


def test_an_event_starts_the_flows_that_wait_for_it(platform: Platform) -> None:
    platform.publish("""
schema: monjolo/flow/v1
id: listening
triggers:
  - {id: heard, type: event, event: e2e.happened, when: "event.data.level > 3"}
steps:
  - {id: tell, uses: core/log, with: {message: "heard"}}
""")
    assert platform.post("/events", {"type": "e2e.happened", "data": {"level": 1}})["duplicate"] is False
    platform.post("/events", {"type": "e2e.happened", "data": {"level": 7}, "id": "event-7"})
    assert platform.post("/events", {"type": "e2e.happened", "data": {"level": 7}, "id": "event-7"})["duplicate"]
    [run] = until(lambda: platform.runs_of("listening"), "run by an event")
    assert platform.ended(run["id"])["status"] == "succeeded"
    assert run["trigger"]["type"] == "event"


MODULE = '''"""Says hello from a site of its own."""

# /// script
# dependencies = ["iniconfig==2.0.0"]
# ///
import iniconfig

from monjolo_sdk import Context, Module

module = Module("site_hello", version="{version}", title="Hello")


@module.action(effects="read")
async def greet(ctx: Context, name: str) -> str:
    """Say hello, with what was installed for it."""
    return f"{word} {{name}} from {{iniconfig.__name__}}"
'''


def test_a_module_dropped_in_with_a_dependency_runs_without_a_restart(platform: Platform) -> None:
    file = platform.folder / "modules" / "site_hello.py"
    file.write_text(MODULE.format(version="1.0.0", word="hello"))
    until(lambda: _version(platform) == "1.0.0", "module site_hello", 60)
    source = """
schema: monjolo/flow/v1
id: greeting
steps:
  - {id: greet, uses: site_hello/greet, with: {name: Ana}}
outputs: {said: "${{ steps.greet.output }}"}
"""
    platform.publish(source)
    assert platform.run("greeting")["outputs"] == {"said": "hello Ana from iniconfig"}
    file.write_text("def broken(:\n")
    until(lambda: platform.get("/modules")["faults"], "fault of the broken file")
    assert platform.run("greeting")["outputs"] == {"said": "hello Ana from iniconfig"}
    doctor = platform.cli("doctor", "--json")
    assert (doctor.returncode, "site_hello" in doctor.stdout) == (1, True)
    file.write_text(MODULE.format(version="1.0.1", word="good day"))
    until(lambda: _version(platform) == "1.0.1", "newer module")
    platform.publish(source + "# with the newer one\n")
    listed = platform.cli("module", "list")
    assert (listed.returncode, "site_hello" in listed.stdout) == (0, True)


def _version(platform: Platform) -> str | None:
    answer = platform.ask("GET", "/modules/site_hello")
    return str(answer.json()["manifest"]["version"]) if answer.status_code == 200 else None
