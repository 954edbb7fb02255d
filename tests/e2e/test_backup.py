"""A backup of the platform while it works, and the platform that goes on from it somewhere else."""

from __future__ import annotations

import json
import signal
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from monjolo.kit.time import from_rfc3339

from .conftest import ENDED, Platform, until

Another = Callable[..., Platform]
QUICK = """
schema: monjolo/flow/v1
id: quick
steps:
  - {id: a, uses: core/transform, with: {value: "${{ run.number }}"}}
  - {id: b, uses: core/transform, with: {value: "${{ steps.a.output.value }}"}}
"""
GATED = """
schema: monjolo/flow/v1
id: gated
inputs: {type: object, properties: {gate: {type: string}, told: {type: string}}}
steps:
  - id: wait
    uses: core/shell
    with: {command: 'while [ ! -e "$GATE" ]; do sleep 0.1; done', env: {GATE: "${{ inputs.gate }}"}}
  - id: once
    uses: core/shell
    delivery: at_most_once
    with: {command: 'echo "$RUN" >> "$TOLD"', env: {RUN: "${{ run.id }}", TOLD: "${{ inputs.told }}"}}
"""
EVERYTHING = """
schema: monjolo/flow/v1
id: everything
triggers: [{id: often, type: interval, every: 1s}]
steps:
  - {id: sealed, uses: core/shell, with: {command: 'test "$WORD" = hidden', env: {WORD: "${{ secrets.word }}"}}}
  - {id: keep, uses: keeper/keep}
"""
KEEPER = '''"""Keeps a file."""

from monjolo_sdk import Context, Module

module = Module("keeper", version="1.0.0", title="Keeper")


@module.action(effects="write")
async def keep(ctx: Context) -> str:
    """Keep it."""
    await ctx.artifact("kept.txt", b"kept for later")
    return "kept"
'''


class Load:
    """Runs of `quick` that never stop coming: those that were answered, with the instant of the answer."""

    def __init__(self, platform: Platform) -> None:
        self.accepted: list[tuple[float, str]] = []
        self._url, self._token = platform.url, platform.token
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    def _feed(self) -> None:
        headers = {"authorization": f"Bearer {self._token}"}
        with httpx2.Client(timeout=30, trust_env=False, headers=headers) as client:
            while not self._stop.wait(0.1):
                try:
                    answer = client.post(f"{self._url}/api/v1/flows/quick/runs/bulk", json={"items": [{}] * 5})
                except httpx2.TransportError:
                    return
                assert answer.status_code == 202, answer.text
                self.accepted += [(time.time(), run["id"]) for run in answer.json()["items"]]

    def end(self) -> list[tuple[float, str]]:
        self._stop.set()
        self._thread.join()
        return self.accepted


def backed_up(platform: Platform, file: Path, *more: str) -> dict[str, Any]:
    made = platform.cli("db", "backup", str(file), "--json", *more)
    assert made.returncode == 0, made.stderr
    return dict(json.loads(made.stdout))


def restored(file: Path, folder: Path, *more: str) -> Platform:
    new = Platform(folder)
    done = new.cli("db", "restore", str(file), *more)
    assert done.returncode == 0, done.stderr
    return new


def test_what_was_accepted_before_the_backup_is_in_it_and_the_platform_goes_on_from_it(
    another: Another, tmp_path: Path
) -> None:
    platform = another().start()
    platform.publish(QUICK)
    load = Load(platform)
    try:
        until(lambda: len(load.accepted) > 50, "load")
        made = backed_up(platform, tmp_path / "backup.zip")
        went_on = len(load.accepted)
        until(lambda: len(load.accepted) > went_on + 20, "load after the backup")
        assert platform.get("/health/ready")["status"] == "ok"
        platform.stop(signal.SIGKILL)
    finally:
        accepted = load.end()
    instant = from_rfc3339(made["instant"]) / 1e6
    before = {run for at, run in accepted if at < instant}
    assert len(before) > 40
    new = restored(tmp_path / "backup.zip", tmp_path / "elsewhere").start()
    try:
        found = until(lambda: _all_ended(new), "end of every run")
        assert before <= set(found)
        assert {found[run] for run in before} == {"succeeded"}
        assert new.run("quick")["status"] == "succeeded"
    finally:
        new.stop(signal.SIGKILL)


def _all_ended(platform: Platform) -> dict[str, str] | None:
    found: dict[str, str] = {}
    after: dict[str, str] = {}
    while True:
        page = platform.get("/runs", flow="quick", limit=200, **after)
        found |= {run["id"]: run["status"] for run in page["items"]}
        if not page["next"]:
            return found if set(found.values()) <= ENDED else None
        after = {"after": page["next"]}


def test_secrets_modules_artifacts_and_schedules_come_back(another: Another, tmp_path: Path) -> None:
    platform = another().start()
    (platform.folder / "modules" / "keeper.py").write_text(KEEPER)
    until(lambda: platform.ask("GET", "/modules/keeper").status_code == 200, "module keeper")
    assert platform.cli("secret", "set", "word", given="hidden").returncode == 0
    platform.publish(EVERYTHING)
    [run] = until(lambda: [r for r in platform.runs_of("everything") if r["status"] == "succeeded"][-1:], "run")
    made = backed_up(platform, tmp_path / "backup.zip")
    assert (made["missing_blobs"], made["left_out"], made["keys"]) == ([], [], True)
    assert (tmp_path / "backup.zip").stat().st_mode & 0o777 == 0o600
    assert b"hidden" not in (tmp_path / "backup.zip").read_bytes()
    platform.stop()
    new = restored(tmp_path / "backup.zip", tmp_path / "elsewhere").start()
    try:
        [kept] = new.get(f"/runs/{run['id']}/artifacts")["items"]
        assert new.ask("GET", f"/runs/{run['id']}/artifacts/{kept['name']}").content == b"kept for later"
        known = {one["id"] for one in new.runs_of("everything")}
        later = until(lambda: [r for r in new.runs_of("everything") if r["id"] not in known][:1], "run by the schedule")
        assert new.ended(later[0]["id"])["status"] == "succeeded"
        [entry] = new.get("/audit", action="platform.restored")["items"]
        assert entry["detail"]["instant"] == made["instant"]
    finally:
        new.stop(signal.SIGKILL)


def test_a_step_that_may_run_once_does_not_run_on_both_sides_of_a_restore(another: Another, tmp_path: Path) -> None:
    platform = another().start()
    platform.publish(GATED)
    gate, told = tmp_path / "gate", tmp_path / "told"
    runs = {platform.begin("gated", {"gate": str(gate), "told": str(told)}) for _ in range(3)}
    backed_up(platform, tmp_path / "backup.zip")
    gate.touch()  # the source goes on after the backup, and dies
    assert {platform.ended(run)["status"] for run in runs} == {"succeeded"}
    platform.stop(signal.SIGKILL)
    new = restored(tmp_path / "backup.zip", tmp_path / "elsewhere").start()
    try:
        for run in runs:
            assert new.ended(run)["status"] == "failed"
            once = next(step for step in new.get(f"/runs/{run}/steps")["items"] if step["key"] == "once")
            assert (once["status"], once["reason"]) == ("unknown", "restored")
        assert sorted(told.read_text().split()) == sorted(runs)
        afresh = new.run("gated", {"gate": str(gate), "told": str(told)})  # a run of after the restore is in no doubt
        assert afresh["status"] == "succeeded"
    finally:
        new.stop(signal.SIGKILL)


def test_after_a_move_steps_that_had_not_begun_run(another: Another, tmp_path: Path) -> None:
    platform = another().start()
    platform.publish(GATED)
    gate, told = tmp_path / "gate", tmp_path / "told"
    run = platform.begin("gated", {"gate": str(gate), "told": str(told)})
    platform.stop(signal.SIGKILL)
    backed_up(platform, tmp_path / "backup.zip")  # of a platform that is down, and was killed
    new = restored(tmp_path / "backup.zip", tmp_path / "elsewhere", "--moved").start()
    try:
        gate.touch()
        assert new.ended(run)["status"] == "succeeded"
        assert told.read_text().split() == [run]
    finally:
        new.stop(signal.SIGKILL)


def test_a_running_platform_is_not_restored_over(platform: Platform, tmp_path: Path) -> None:
    backed_up(platform, tmp_path / "backup.zip")
    refused = platform.cli("db", "restore", str(tmp_path / "backup.zip"), "--replace")
    assert refused.returncode == 1
    assert platform.url in refused.stderr
    assert zipfile.is_zipfile(tmp_path / "backup.zip")
