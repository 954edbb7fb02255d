"""`monjolo doctor`: how the platform fares, and which settings do not go together."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import typing
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from monjolo.bootstrap import condition, diagnosis
from monjolo.bootstrap.backup import back_up
from monjolo.kit.time import SystemClock
from monjolo.settings import Settings, load
from monjolo.storage.inspect import transaction
from monjolo.storage.migrate import prepare

if typing.TYPE_CHECKING:
    from .conftest import FakePlatform

Cli = Callable[..., subprocess.CompletedProcess[str]]
HOUR, NOW = 3_600_000_000, 1_800_000_000_000_000


@pytest.fixture
def lived_in(tmp_path: Path) -> Settings:
    """A data folder with a flow, a trigger of it, and one run that is as it should be: its task waits for a worker."""
    settings = load({"data": tmp_path})
    prepare(settings.database_file, NOW)
    with transaction(settings.database_file) as connection:
        connection.execute(
            "INSERT INTO flows (id, workspace_id, slug, name, state, labels, created_at, updated_at)"
            " VALUES ('f', 'w', 'nightly', 'Nightly', 'active', '{}', 0, 0)"
        )
        connection.execute(
            "INSERT INTO triggers (id, workspace_id, flow_id, name, type, config, next_at, since)"
            " VALUES ('t', 'w', 'f', 'at2', 'schedule', '{}', ?, 0)",
            (NOW + HOUR,),
        )
        connection.execute(
            "INSERT INTO runs (id, workspace_id, number, flow_id, flow, version, status, seed, trigger_type, trigger,"
            " inputs, labels, context, head, root_run_id, created_at)"
            " VALUES ('run-1', 'w', 1, 'f', 'nightly', 1, 'running', 0, 'manual', '{}', '{}', '{}', '{}', '{}',"
            " 'run-1', ?)",
            (NOW,),
        )
        connection.execute(
            "INSERT INTO tasks (run_id, key, token, attempt, flow_id, worker_group, state, inputs, ready_at)"
            " VALUES ('run-1', 'a', 1, 1, 'f', 'default', 'ready', '{}', ?)",
            (NOW,),
        )
    return settings


def found(settings: Settings, now: int, *, up: bool = True) -> dict[str, diagnosis.Finding]:
    return {finding.name: finding for finding in condition.condition(settings, now, up=up)}


def test_doctor_tells_what_does_not_move_and_what_is_late(lived_in: Settings) -> None:
    calm = found(lived_in, NOW)
    assert {name for name, finding in calm.items() if finding.state != "ok"} == {"backup"}
    late = found(lived_in, NOW + 2 * HOUR)
    assert {name for name, finding in late.items() if finding.state != "ok"} == {"backup", "backlog", "schedules"}
    assert "nightly/at2" in late["schedules"].detail
    down = found(lived_in, NOW + 2 * HOUR, up=False)
    assert (down["schedules"].state, down["backlog"].state, down["first user"].state) == ("ok", "ok", "warning")
    assert "ahead of this clock" in [f.detail for f in condition.condition(lived_in, NOW - HOUR, up=True)][-2]
    with transaction(lived_in.database_file) as connection:
        connection.execute("DELETE FROM tasks")
    stuck = found(lived_in, NOW)["runs"]
    assert (stuck.state, "run-1" in stuck.detail) == ("wrong", True)
    with transaction(lived_in.database_file) as connection:
        connection.execute("UPDATE runs SET quarantined = 'why'")
    assert (found(lived_in, NOW)["runs"].state, "set aside" in found(lived_in, NOW)["runs"].detail) == ("warning", True)


def test_doctor_tells_how_old_the_last_backup_is(lived_in: Settings, tmp_path: Path) -> None:
    assert "none was ever made" in found(lived_in, NOW)["backup"].detail
    (tmp_path / "backups").mkdir()
    made = back_up(lived_in, tmp_path / "backups", SystemClock())
    assert found(lived_in, made.instant + HOUR)["backup"].state == "ok"
    old = found(lived_in, made.instant + 24 * 8 * HOUR)["backup"]
    assert (old.state, str(made.file) in old.detail, "8d" in old.detail) == ("warning", True, True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"host": "0.0.0.0"}, "neither public_url nor allow_http"),
        ({"host": "0.0.0.0", "allow_http": True}, "allow_http is on"),
        ({"public_url": "http://monjolo.example.org"}, "not encrypted"),
        ({"retention.days": 3}, "retention.log_days (30) is longer"),
        ({"egress.allow": "169.254.0.0/16"}, "egress.allow has 169.254.0.0/16"),
        ({"modules_dir": "/nowhere/at/all"}, "is no folder"),
        ({"worker.memory": "9000000GiB"}, "worker.memory is"),
    ],
)
def test_doctor_tells_settings_that_do_not_do_together_what_they_seem_to(
    given: dict[str, object], said: str, tmp_path: Path
) -> None:
    sound = {"data": tmp_path, "host": "127.0.0.1"}
    assert condition.contradictions(load(sound)) == []
    [finding] = condition.contradictions(load(sound | given))
    assert said in finding.detail
    assert finding.why
    assert finding.advice


def test_every_fault_says_why_it_matters_and_what_to_do(lived_in: Settings, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "monjolo.db").write_bytes(b"not a database" * 1000)
    answer = json.loads(cli("doctor", "--json", MONJOLO_PORT="0").stdout)
    told = [f for f in answer["findings"] if f["state"] != "ok"]
    told += [asdict(f) for f in found(lived_in, NOW + 2 * HOUR, up=False).values() if f.state != "ok"]
    assert {"database", "platform", "first user"} <= {f["name"] for f in told}
    assert [f["name"] for f in told if not (f["why"] and f["advice"])] == []


@pytest.mark.parametrize(("tables", "code"), [("", 0), ("CREATE TABLE theirs (x)", 1)])
def test_doctor_knows_an_empty_database_and_another_programs(cli: Cli, tmp_path: Path, tables: str, code: int) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    with closing(sqlite3.connect(tmp_path / "data" / "monjolo.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(tables)
    done = cli("doctor", "--json", MONJOLO_PORT="0")
    assert done.returncode == code, done.stderr
    told = {f["name"]: f["state"] for f in json.loads(done.stdout)["findings"]}
    assert (told["database"] == "wrong") == bool(code)


def test_doctor_does_not_take_another_program_on_the_port_for_the_platform(cli: Cli, fake: FakePlatform) -> None:
    fake.answers["GET /health/live"] = (200, {"status": "ok"})
    told = json.loads(cli("doctor", "--json", MONJOLO_PORT=fake.url.rpartition(":")[2]).stdout)["findings"]
    assert [(f["name"], f["state"]) for f in told if f["state"] != "ok"] == [("platform", "warning"), ("port", "wrong")]
