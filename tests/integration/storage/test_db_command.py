"""`monjolo db`: upgrade, check and renew-key, as a user calls them."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from monjolo.cli.db import app
from monjolo.domains.connections.sealing import open_ring
from monjolo.storage.lock import DataLock
from monjolo.storage.sqlite import connect


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MONJOLO_DATA", str(tmp_path))
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_upgrade_makes_the_database_and_is_safe_to_repeat(data: Path) -> None:
    assert json.loads(call("upgrade", "--json").stdout)["changed"] is True
    assert "Nothing to do" in call("upgrade").stdout
    found = json.loads(call("check", "--json").stdout)
    assert (found["problems"], found["runs"]) == ([], 0)


def test_a_running_platform_keeps_it_out(data: Path) -> None:
    with DataLock.acquire(data) as lock:
        lock.announce("http://127.0.0.1:7700")
        refused = call("check")
    assert refused.exit_code == 1
    assert "http://127.0.0.1:7700" in refused.stderr


def test_check_names_a_lost_key_and_a_missing_database(data: Path) -> None:
    found = call("check")
    assert found.exit_code == 1
    assert isinstance(found.exception, SystemExit), found.exception
    call("upgrade")
    with closing(connect(data / "monjolo.db")) as connection:
        ring = open_ring(connection, data / "keys", None)
        key, value = ring.seal(b"x", ("w", "secret", "s", 1))
        connection.execute(
            "INSERT INTO sealed (id, workspace_id, kind, name, value, key_id, created_at, updated_at)"
            " VALUES ('s', 'w', 'secret', 's', ?, ?, 0, 0)",
            (value, key),
        )
    renewed = json.loads(call("renew-key", "--json").stdout)
    assert renewed["sealed_again"] == 1
    assert renewed["key"] != ring.current
    for file in (data / "keys").iterdir():
        file.unlink()
    found = call("check")
    assert found.exit_code == 1
    assert renewed["key"] in found.stdout


def test_check_finds_damage(data: Path) -> None:
    call("upgrade")
    file = data / "monjolo.db"
    content = bytearray(file.read_bytes())
    content[4096 * 3 : 4096 * 6] = b"\xff" * 4096 * 3
    file.write_bytes(content)
    found = call("check")
    assert found.exit_code == 1
    assert isinstance(found.exception, SystemExit), found.exception
