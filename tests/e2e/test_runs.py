"""Runs as people and programs use them: followed, read, cancelled, repeated, asked why, accepted once."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import httpx2
import pytest

from .conftest import Platform, until

TALK = """
schema: monjolo/flow/v1
id: talk
inputs: {type: object, properties: {word: {type: string, default: water}, times: {type: integer, default: 3}}}
steps:
  - id: think
    uses: core/python
    with:
      script: |
        import time
        def main(inputs):
            for n in range(inputs["times"]):
                print("line", n, inputs["word"])
            time.sleep(0.3)
            return {"word": inputs["word"].upper()}
      inputs: {word: "${{ inputs.word }}", times: "${{ inputs.times }}"}
  - {id: say, uses: core/log, with: {level: warning, message: "the word is ${{ steps.think.output.word }}"}}
  - {id: end, uses: core/transform, with: {value: "${{ steps.think.output.word }}/${{ inputs.word }}"}}
outputs: {word: "${{ steps.end.output.value }}"}
"""


@pytest.fixture(scope="module")
def talk(platform: Platform) -> str:
    return platform.publish(TALK)


def test_a_run_is_followed_live_to_its_end(platform: Platform, talk: str) -> None:
    run = platform.begin(talk)
    headers = {"authorization": f"Bearer {platform.token}"}
    kinds, lines, steps = [], [], {}
    with (
        httpx2.Client(base_url=platform.url, timeout=30, trust_env=False) as client,
        client.stream("GET", f"/api/v1/runs/{run}/stream", headers=headers) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line[7:]
                kinds.append(kind)
            elif line.startswith("data: "):
                data = json.loads(line[6:])
                lines += [one["text"] for one in data.get("lines", [])]
                if kind == "step.updated":
                    steps[data["step"]] = data["status"]
    assert kinds[-1] == "run.finished"  # and the stream ended by itself
    assert lines == ["line 0 water", "line 1 water", "line 2 water", "the word is WATER"]
    assert steps["end"] == "succeeded"  # the last step is told of before the end


def test_the_command_line_follows_a_run_and_takes_over_how_it_ended(platform: Platform, talk: str) -> None:
    done = platform.cli("flow", "run", talk, "--with", "word=tea", "--follow")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"word": "TEA/tea"}
    assert "line 2 tea" in done.stderr
    assert "say succeeded" in done.stderr
    platform.publish("""
schema: monjolo/flow/v1
id: doomed
steps: [{id: fall, uses: core/fail, with: {type: Sad, message: "it was meant to"}}]
""")
    failed = platform.cli("flow", "run", "doomed", "--wait")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "fall: Sad: it was meant to" in failed.stderr


def test_a_run_is_named_by_flow_and_number(platform: Platform, talk: str) -> None:
    run = platform.run(talk)
    shown = platform.cli("run", "show", f"{talk}#{run['number']}", "--json")
    assert json.loads(shown.stdout)["id"] == run["id"]
    assert [step["key"] for step in json.loads(shown.stdout)["steps"]] == ["end", "say", "think"]
    listed = platform.cli("run", "list", "--flow", talk, "--json")
    assert json.loads(listed.stdout)["items"][0]["id"] == run["id"]
    missing = platform.cli("run", "show", f"{talk}#999999")
    assert (missing.returncode, "no run" in missing.stderr) == (3, True)


def test_a_log_is_read_and_downloaded_in_every_form(platform: Platform, talk: str, tmp_path: Path) -> None:
    run = platform.run(talk, {"times": 2000})["id"]
    expected = [*(f"line {n} water" for n in range(2000)), "the word is WATER"]
    whole = platform.ask("GET", f"/runs/{run}/logs/download", params={"format": "ndjson"})
    assert [json.loads(line)["text"] for line in whole.text.splitlines()] == expected
    packed = platform.ask("GET", f"/runs/{run}/logs/download", params={"format": "txt", "gzip": "true"})
    text = gzip.decompress(packed.content).decode()
    assert [line for line in expected if line not in text] == []
    for name in ("log.txt", "log.ndjson", "log.txt.gz"):
        done = platform.cli("run", "logs", run, "--download", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "log.ndjson").read_bytes() == whole.content
    assert gzip.decompress((tmp_path / "log.txt.gz").read_bytes()) == (tmp_path / "log.txt").read_bytes()
    loud = platform.cli("run", "logs", run, "--level", "warning")
    assert loud.stdout.count("\n") == 1
    of_step = platform.cli("run", "logs", run, "--step", "think", "--json")
    assert [json.loads(line)["text"] for line in of_step.stdout.splitlines()] == expected[:-1]


def test_what_a_step_leaves_comes_back_byte_for_byte(platform: Platform, tmp_path: Path) -> None:
    (platform.folder / "modules" / "e2e_leaver.py").write_text('''"""Leaves a file."""
from monjolo_sdk import Context, Module

module = Module("e2e_leaver", version="1.0.0", title="Leaver")


@module.action(effects="read")
async def leave(ctx: Context, size: int) -> int:
    """Leave a file of this size."""
    await ctx.artifact("bytes of mine.bin", bytes(n % 251 for n in range(size)))
    return size
''')
    until(lambda: platform.ask("GET", "/modules/e2e_leaver").status_code == 200, "module e2e_leaver")
    platform.publish("""
schema: monjolo/flow/v1
id: leaving
steps: [{id: leave, uses: e2e_leaver/leave, with: {size: 300000}}]
""")
    run = platform.run("leaving")
    [listed] = platform.get(f"/runs/{run['id']}/artifacts")["items"]
    saved = platform.cli("run", "artifact", run["id"], listed["name"], "--to", str(tmp_path / "saved"))
    assert saved.returncode == 0, saved.stderr
    content = (tmp_path / "saved").read_bytes()
    assert content == bytes(n % 251 for n in range(300_000))
    assert hashlib.sha256(content).hexdigest() == listed["sha256"]


def test_cancel_ends_every_process_that_a_step_started(platform: Platform) -> None:
    platform.publish("""
schema: monjolo/flow/v1
id: stubborn
steps:
  - id: forks
    uses: core/shell
    with:
      command: |
        trap '' TERM
        (setsid sh -c 'trap "" TERM; sleep 654321') &
        echo started
        sleep 654321
""")
    run = platform.begin("stubborn")
    until(lambda: len(_sleepers()) >= 2, "processes of the step")
    until(lambda: "forks is running" in platform.cli("run", "why", run).stdout, "reason that it runs")
    done = platform.cli("run", "cancel", run, "--wait", "--reason", "enough")
    assert done.returncode == 0, done.stderr
    assert platform.ended(run)["status"] == "cancelled"
    until(lambda: not _sleepers(), "end of the processes", 10)


def _sleepers() -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
        except OSError:
            continue
        if command.split("\0")[:2] == ["sleep", "654321"]:
            found.append(process.name)
    return found


def test_a_repeat_from_a_step_takes_over_what_came_before(platform: Platform, talk: str) -> None:
    first = platform.run(talk, {"word": "one"})
    done = platform.cli("run", "repeat", first["id"], "--from", "end", "--with", "word=two", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    second = json.loads(done.stdout)
    assert second["outputs"] == {"word": "ONE/two"}
    assert second["repeat_of"] == first["id"]
    steps = {step["key"]: step for step in platform.get(f"/runs/{second['id']}/steps")["items"]}
    assert steps["think"]["reused_from"] == first["id"]
    assert platform.get(f"/runs/{second['id']}/steps/think")["attempts"] == []


def test_one_idempotency_key_starts_one_run(platform: Platform, talk: str) -> None:
    def start(word: str) -> httpx2.Response:
        return platform.ask("POST", f"/flows/{talk}/runs", json={"inputs": {"word": word}},
                            headers={"idempotency-key": "only-once"})  # fmt: skip

    first, again = start("a"), start("a")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    before = len(platform.runs_of(talk))
    other = start("b")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert len(platform.runs_of(talk)) == before


def test_a_bulk_is_accepted_whole_or_not_at_all(platform: Platform) -> None:
    platform.publish(TALK.replace("id: talk", "id: bulk").replace("time.sleep(0.3)", ""))
    items = [{"inputs": {"word": f"w{n}", "times": 0}} for n in range(20)]
    spoiled = platform.ask("POST", "/flows/bulk/runs/bulk", json={"items": [*items, {"inputs": {"word": 5}}]})
    assert spoiled.status_code == 422
    assert platform.runs_of("bulk") == []
    accepted = platform.post("/flows/bulk/runs/bulk", {"items": items})["items"]
    assert len({run["id"] for run in accepted}) == 20
    outputs = [platform.ended(run["id"])["outputs"]["word"] for run in accepted]
    assert outputs == [f"W{n}/w{n}" for n in range(20)]


def test_a_paused_flow_takes_no_webhook_and_resumes(platform: Platform) -> None:
    platform.publish("""
schema: monjolo/flow/v1
id: shy
triggers: [{id: open, type: webhook, path: e2e/shy, auth: {type: none}}]
steps: [{id: tell, uses: core/log, with: {message: hello}}]
""")
    assert platform.ask("POST", "/flows/shy/pause", json={"reason": "holiday"}).status_code == 200
    refused = platform.ask("POST", "/hooks/e2e/shy", json={}, token=None)
    assert (refused.status_code, refused.json()["code"]) == (503, "flow_paused")
    assert "retry-after" in refused.headers
    assert platform.cli("flow", "resume", "shy").returncode == 0
    assert platform.ask("POST", "/hooks/e2e/shy", json={}, token=None).status_code == 202


def test_an_export_applied_again_changes_nothing(platform: Platform, talk: str, tmp_path: Path) -> None:
    file = tmp_path / "talk.yaml"
    assert platform.cli("flow", "export", talk, "--to", str(file)).returncode == 0
    assert file.read_text() == TALK
    again = platform.cli("flow", "apply", str(file), "--json")
    assert json.loads(again.stdout)["items"][0]["flow"]["unchanged"] is True
    file.write_text(TALK.replace("times: {type: integer, default: 3}", "times: {type: integer, default: 4}"))
    changes = json.loads(platform.cli("flow", "diff", str(file), "--json").stdout)["changes"]
    assert [(c["path"], c["before"], c["after"]) for c in changes] == [("inputs.properties.times.default", 3, 4)]
