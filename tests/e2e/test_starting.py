"""`monjolo up`: its start, its end, and every way in which it cannot start."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from .conftest import MONJOLO, Platform, environment, until

Another = Callable[..., Platform]
SLOW = """
schema: monjolo/flow/v1
id: slow
steps:
  - {id: nap, uses: core/shell, with: {command: "sleep 1.5; echo rested"}}
"""


def refused(platform: Platform, *arguments: str, **variables: str) -> str:
    """The one line that a start which cannot be leaves on standard error."""
    done = platform.cli("up", *arguments, **variables)
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


def test_the_printed_link_answers_and_makes_the_first_user_once(another: Another) -> None:
    platform = another().start()
    link = re.search(r"http://\S+", platform.said)
    assert link is not None
    address, _, key = link[0].partition("#setup=")
    with httpx2.Client(trust_env=False) as client:
        assert client.get(address).status_code == 200
    assert platform.get("/setup/state") == {"needed": True}
    person = {"name": "Ana", "email": "ana@example.org", "password": "a long enough sentence 7", "key": key}
    wrong = platform.ask("POST", "/setup", json={**person, "key": "mjk_wrong"}, token=None)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "setup_key")
    tokens = platform.post("/setup", person, 201, token=None)
    me = platform.ask("GET", "/auth/me", token=tokens["access_token"]).json()
    assert (me["role"], me["user"]["email"]) == ("admin", "ana@example.org")
    again = platform.ask("POST", "/setup", json=person, token=None)
    assert (again.status_code, again.json()["code"]) == (409, "already_set_up")
    made = platform.cli("token", "create", "robot", "--scope", "runs:read", "--as", "ana@example.org",
                        given="a long enough sentence 7\n")  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert platform.ask("GET", "/runs", token=made.stdout.strip()).status_code == 200
    assert platform.ask("GET", "/flows", token=made.stdout.strip()).status_code == 403
    link_again = platform.cli("setup-link")
    assert (link_again.returncode, "set up already" in link_again.stderr) == (3, True)


def test_a_link_made_while_the_platform_is_down_holds_when_it_is_up(another: Another) -> None:
    platform = another()
    made = platform.cli("setup-link", "--json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["url"].partition("#setup=")[2]
    platform.start()
    person = {"name": "Rui", "email": "rui@example.org", "password": "a long enough sentence 7", "key": key}
    platform.post("/setup", person, 201, token=None)


def test_a_second_platform_on_the_same_data_names_the_first(platform: Platform) -> None:
    assert platform.process is not None
    said = refused(platform, "--port", "0")
    assert str(platform.process.pid) in said
    assert platform.url in said
    assert platform.get("/health/ready")["status"] == "ok"


def test_a_port_in_use_is_named_with_what_to_do(another: Another, taken_port: int) -> None:
    said = refused(another(), "--port", str(taken_port))
    assert f"Port {taken_port} on 127.0.0.1 is in use" in said
    assert "MONJOLO_PORT" in said


def test_a_setting_that_is_none_is_named_with_the_one_that_was_meant(another: Another) -> None:
    assert "did you mean MONJOLO_PORT" in refused(another(), MONJOLO_PROT="1")
    assert refused(another(), "--port", "99999").startswith("--port:")


@pytest.mark.parametrize("place", ["/etc/passwd", "/proc/none"])
def test_a_data_folder_that_cannot_be_says_so(another: Another, place: str) -> None:
    said = refused(another(), "--data", place)
    assert place in said
    assert "MONJOLO_DATA" in said


def test_a_newer_database_and_a_missing_key_are_refused_untouched(another: Another) -> None:
    platform = another().start()
    assert platform.cli("secret", "set", "kept", given="value").returncode == 0
    assert platform.stop() == 0
    [key] = (platform.folder / "keys").glob("*.key")
    key.rename(key.with_suffix(".away"))
    said = refused(platform, "--port", "0")
    assert "key" in said
    assert not list((platform.folder / "keys").glob("*.key"))
    key.with_suffix(".away").rename(key)
    with sqlite3.connect(platform.folder / "monjolo.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert "newer" in refused(platform, "--port", "0")
    checked = platform.cli("db", "check")
    assert checked.returncode == 1, checked.stdout


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: both refuse the write."""
    script = f"ulimit -f 64; exec {' '.join(_quoted(part) for part in MONJOLO)} up --port 0"
    done = subprocess.run(
        ["bash", "-c", script], env=environment(tmp_path / "fresh"), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert "full" in done.stderr


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def test_sigterm_lets_a_running_step_finish_and_the_run_goes_on_at_the_next_start(another: Another) -> None:
    platform = another().start()
    platform.publish(SLOW)
    run = platform.begin("slow")
    _until_status(platform, run, "running")
    assert platform.stop(signal.SIGTERM) == 0
    assert [one for one in Path("/proc").iterdir() if str(platform.folder) in _command_of(one)] == []
    platform.start()
    assert platform.ended(run)["status"] == "succeeded"
    attempts = platform.get(f"/runs/{run}/steps/nap")["attempts"]
    assert [attempt["status"] for attempt in attempts] == ["succeeded"]


def test_a_run_in_the_middle_survives_kill_nine(another: Another, tmp_path: Path) -> None:
    platform = another().start()
    marks = tmp_path / "marks"
    platform.publish(f"""
schema: monjolo/flow/v1
id: survivor
steps:
  - {{id: first, uses: core/shell, with: {{command: "echo first >> {marks}"}}}}
  - {{id: second, uses: core/shell, with: {{command: "echo second >> {marks}; sleep 1"}}}}
  - {{id: third, uses: core/shell, with: {{command: "echo third >> {marks}"}}}}
""")
    run = platform.begin("survivor")
    until(lambda: marks.exists() and "second" in marks.read_text(), "second step")
    platform.stop(signal.SIGKILL)
    platform.start()
    ended = platform.ended(run)
    assert ended["status"] == "succeeded", ended
    lines = marks.read_text().split()
    assert lines.count("first") == 1  # what was stored is not done again
    assert lines[-1] == "third"
    assert lines.count("third") == 1


def _until_status(platform: Platform, run: str, status: str) -> None:
    def running() -> bool:
        steps = platform.get(f"/runs/{run}/steps")["items"]
        return any(step["status"] == status for step in steps)

    until(running, f"step that is {status}")


def _command_of(process: Path) -> str:
    """Empty for what is no process, or none any more."""
    try:
        return (process / "cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
