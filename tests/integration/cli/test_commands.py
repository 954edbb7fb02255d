"""Every command: what it weighs, what it says, and the code that it ends with."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monjolo.bootstrap import diagnosis
from monjolo.cli.client import find_token, platform_url
from monjolo.cli.exits import MEANINGS, Exit
from monjolo.cli.following import events
from monjolo.cli.main import GROUPS, Groups
from monjolo.domains.connections.sealing import open_ring
from monjolo.settings import load
from monjolo.storage.inspect import transaction
from monjolo.storage.lock import DataLock
from monjolo.storage.migrate import prepare

if typing.TYPE_CHECKING:
    from .conftest import FakePlatform

Cli = Callable[..., subprocess.CompletedProcess[str]]


def test_help_loads_no_group_and_is_quick() -> None:
    script = (
        "import sys; from monjolo.cli.main import Groups, run; sys.stdout = open('/dev/null', 'w');"
        "run(Groups(name='monjolo'), ['--help']);"
        "heavy = [m for m in sys.modules if m.split('.')[0] in ('pydantic', 'sqlalchemy', 'fastapi', 'httpx2', 'rich')"
        " or m.startswith('monjolo.domains')]; sys.exit(repr(heavy) if heavy else 0)"
    )
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.3


def commands() -> Iterator[tuple[str, Any]]:
    group = Groups(name="monjolo")
    for name in GROUPS:
        found = group.get_command(None, name)
        below = getattr(found, "commands", None)
        yield from ((f"{name} {sub}", command) for sub, command in below.items()) if below else [(name, found)]


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_says_what_it_does_and_speaks_json(name: str, command: Any) -> None:
    assert command.help
    options = {option for param in command.params for option in param.opts}
    assert "--json" in options or name == "up"
    assert "--install-completion" not in options
    assert all(param.help for param in command.params if param.param_type_name == "option" and param.name != "help")


def test_the_exit_codes_are_told_in_the_help(cli: Cli) -> None:
    shown = cli("--help").stdout
    assert set(MEANINGS) == set(Exit)
    assert all(f"  {int(code)}  " in shown for code in Exit)


def test_wrong_use_is_2_and_names_the_help(cli: Cli, fake: FakePlatform) -> None:
    for arguments in (["nothing"], ["flow"], ["flow", "run"], ["flow", "run", "x", "--with", "novalue"],
                      ["run", "logs", "x#1", "--download", "f", "--follow"], ["flow", "apply", "/no/such/file.yaml"],
                      ["flow", "apply", "recipe:none"], ["token", "create", "x", "--scope", "a", "--expires", "soon"],
                      ["flow", "delete", "x"]):  # fmt: skip
        done = cli(*arguments, MONJOLO_URL=fake.url)
        assert (done.returncode, done.stdout if arguments != ["flow"] else "") == (2, ""), (arguments, done)
        assert "Traceback" not in done.stderr
    assert [asked for asked in fake.asked if asked.method != "GET"] == []


def test_nobody_there_is_4_and_says_how_to_start(cli: Cli) -> None:
    done = cli("flow", "list", "--json", MONJOLO_URL="http://127.0.0.1:9")
    assert done.returncode == 4
    assert json.loads(done.stdout)["code"] == "unreachable"
    assert "monjolo up" in done.stderr


def test_a_refusal_is_3_with_its_places(cli: Cli, fake: FakePlatform, tmp_path: Path) -> None:
    problem = {"code": "invalid_flow", "detail": "1 problem to mend", "errors": [
        {"path": "steps[0]", "line": 7, "column": 3, "code": "unknown_key", "message": "no such key"}]}  # fmt: skip
    fake.answers["POST /flows"] = (422, problem)
    file = tmp_path / "flow.yaml"
    file.write_text("id: x\n")
    done = cli("flow", "apply", str(file), MONJOLO_URL=fake.url)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{file}:7:3 steps[0]: no such key (unknown_key)" in done.stderr


def test_a_secret_comes_from_a_pipe_or_a_file_and_never_from_the_command(
    cli: Cli, fake: FakePlatform, tmp_path: Path
) -> None:
    fake.answers["POST /secrets"] = (201, {"name": "a"})
    (tmp_path / "value").write_text("from a file\n")
    assert cli("secret", "set", "a", given="from a pipe\n", MONJOLO_URL=fake.url).returncode == 0
    assert cli("secret", "set", "a", "--from-file", str(tmp_path / "value"), MONJOLO_URL=fake.url).returncode == 0
    assert [a.body["value"] for a in fake.asked if a.method == "POST"] == ["from a pipe", "from a file"]
    assert cli("secret", "set", "a", "in-the-open", MONJOLO_URL=fake.url).returncode == 2
    fields = {"properties": {"user": {"type": "string"}, "key": {"type": "string"}}, "required": ["user", "key"]}
    kind = {"id": "vault", "secrets": ["key"], "fields": fields}
    fake.answers["GET /connection-types"] = (200, {"items": [kind]})
    fake.answers["POST /connections"] = (201, {"name": "c"})
    open_ = cli("connection", "create", "c", "--type", "vault", "--field", "key=k", MONJOLO_URL=fake.url)
    assert (open_.returncode, "key=@FILE" in open_.stderr) == (2, True)
    given = ("--field", "user=007", "--field", f"key=@{tmp_path / 'value'}")
    assert cli("connection", "create", "c", "--type", "vault", *given, MONJOLO_URL=fake.url).returncode == 0
    assert fake.asked[-1].body["fields"] == {"user": "007", "key": "from a file"}


def test_the_machines_own_token_goes_to_the_machine_itself_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("MONJOLO_TOKEN", "MONJOLO_URL", "MONJOLO_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MONJOLO_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    token = tmp_path / "cli-token"
    token.write_text("mj_own\n")
    token.chmod(0o600)
    assert platform_url() == "http://127.0.0.1:7700"
    (tmp_path / "monjolo.lock").write_text('{"pid": 1, "url": "http://127.0.0.1:7799"}')
    assert (platform_url(), find_token()) == ("http://127.0.0.1:7799", "mj_own")
    monkeypatch.setenv("MONJOLO_URL", "https://elsewhere.example.org/")
    assert (platform_url(), find_token()) == ("https://elsewhere.example.org", None)
    monkeypatch.delenv("MONJOLO_URL")
    token.chmod(0o644)
    assert find_token() is None


def test_a_stream_that_breaks_off_is_taken_up_where_it_was(monkeypatch: pytest.MonkeyPatch, fake: FakePlatform) -> None:
    first = b'retry: 2000\n\nid: p1\nevent: log\ndata: {"lines": [1]}\n\n: still here\n\nevent: log\ndata: {"li'
    rest = b'id: p2\nevent: log\ndata: {"lines": [2]}\n\nevent: run.finished\ndata: {}\n\n'
    fake.answers["GET /runs/r/stream"] = lambda headers: rest if headers.get("last-event-id") == "p1" else first
    monkeypatch.setenv("MONJOLO_URL", fake.url)
    began = time.monotonic()
    told = [(event.kind, event.data, event.id) for event in events("r")]
    assert told == [("log", {"lines": [1]}, "p1"), ("log", {"lines": [2]}, "p2"), ("run.finished", {}, None)]
    assert time.monotonic() - began < 10


def test_doctor_finds_nothing_wrong_on_a_fresh_machine_and_names_what_is(cli: Cli, tmp_path: Path) -> None:
    well = cli("doctor", "--json", MONJOLO_PORT="0")
    assert well.returncode == 0, well.stdout
    names = [finding["name"] for finding in json.loads(well.stdout)["findings"]]
    assert {"python", "uv", "runner", "disk", "data folder", "platform", "port"} <= set(names)
    file = tmp_path / "a-file"
    file.write_text("")
    ill = cli("doctor", "--json", "--data", str(file))
    wrong = [finding for finding in json.loads(ill.stdout)["findings"] if finding["state"] == "wrong"]
    assert ill.returncode == 1
    assert [(finding["name"], bool(finding["advice"])) for finding in wrong] == [("data folder", True)]


def test_doctor_tells_a_damaged_database_and_a_spoiled_key(tmp_path: Path) -> None:
    settings = load({"data": tmp_path})
    prepare(settings.database_file, 1)
    with transaction(settings.database_file) as connection:
        open_ring(connection, settings.keys_folder, None)
    assert [found.state for found in diagnosis.data(settings)] == ["ok", "ok", "ok"]
    for key in settings.keys_folder.glob("*.key"):
        key.chmod(0o600)
        key.write_text("no key any more")
    assert [found.state for found in diagnosis.data(settings)] == ["ok", "ok", "wrong"]
    settings.database_file.write_bytes(b"not a database" * 1000)
    assert {found.name: found.state for found in diagnosis.data(settings)}["database"] == "wrong"
    with DataLock.acquire(settings.data):
        assert [(found.name, found.state) for found in diagnosis.data(settings)] == [("lock", "wrong")]
