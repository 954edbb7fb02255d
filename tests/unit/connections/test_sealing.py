"""The ring of keys: made once, kept private, checked at each start, never replaced in silence."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from monjolo.domains.connections.sealing import (
    KeyMissing,
    KeyUnfit,
    SealBroken,
    add_key,
    binding,
    key_id,
    open_ring,
    reseal,
)
from monjolo.storage.migrate import prepare
from monjolo.storage.sqlite import connect


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    prepare(tmp_path / "monjolo.db", 1)
    opened = connect(tmp_path / "monjolo.db")
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def store(connection: sqlite3.Connection, folder: Path, secret_key: str | None = None, name: str = "s") -> None:
    ring = open_ring(connection, folder, secret_key)
    key, value = ring.seal(b"hidden", binding("w", "secret", name, 1))
    connection.execute(
        "INSERT INTO sealed (id, workspace_id, kind, name, value, key_id, created_at, updated_at)"
        " VALUES (?, 'w', 'secret', ?, ?, ?, 0, 0)",
        (name, name, value, key),
    )


def test_the_first_start_makes_one_private_key(connection: sqlite3.Connection, folder: Path) -> None:
    first = open_ring(connection, folder, None)
    files = list(folder.iterdir())
    assert len(files) == 1
    assert files[0].stat().st_mode & 0o777 == 0o600
    assert open_ring(connection, folder, None).current == first.current
    assert list(folder.iterdir()) == files


def test_a_lost_key_is_named_and_none_is_made(connection: sqlite3.Connection, folder: Path) -> None:
    store(connection, folder)
    (file,) = folder.iterdir()
    lost = open_ring(connection, folder, None).current
    file.unlink()
    with pytest.raises(KeyMissing, match=lost):
        open_ring(connection, folder, None)
    assert list(folder.iterdir()) == []


def test_another_key_is_refused_by_name(connection: sqlite3.Connection, folder: Path) -> None:
    right = secrets.token_bytes(32)
    store(connection, folder, right.hex())
    wrong = secrets.token_bytes(32)
    with pytest.raises(KeyMissing, match=key_id(right)) as refused:
        open_ring(connection, folder, wrong.hex())
    assert key_id(wrong) in refused.value.detail
    assert wrong.hex() not in refused.value.detail


def test_a_key_from_the_environment_makes_no_file(connection: sqlite3.Connection, folder: Path) -> None:
    open_ring(connection, folder, secrets.token_bytes(32).hex())
    assert not folder.exists()


def test_an_added_key_seals_and_the_old_one_still_opens(connection: sqlite3.Connection, folder: Path) -> None:
    store(connection, folder)
    old = open_ring(connection, folder, None).current
    added, _ = add_key(folder)
    ring = open_ring(connection, folder, None)
    assert ring.current == added != old
    row = connection.execute("SELECT key_id, value FROM sealed").fetchone()
    assert ring.open(row["key_id"], row["value"], binding("w", "secret", "s", 1)) == b"hidden"
    assert reseal(connection, ring, 100) == 1
    assert reseal(connection, ring, 100) == 0
    next(file for file in folder.iterdir() if old in file.name).unlink()
    row = connection.execute("SELECT key_id, value FROM sealed").fetchone()
    ring = open_ring(connection, folder, None)
    assert ring.open(row["key_id"], row["value"], binding("w", "secret", "s", 1)) == b"hidden"


def test_of_several_given_keys_the_first_seals(connection: sqlite3.Connection, folder: Path) -> None:
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    store(connection, folder, old.hex())
    ring = open_ring(connection, folder, f"{new.hex()},{old.hex()}")
    assert ring.current == key_id(new)
    assert ring.ids == {key_id(old), key_id(new)}


@pytest.mark.parametrize("text", ["changeme", "0" * 64, "ab" * 32, "not base64 !!", "c2hvcnQ="])
def test_a_placeholder_is_no_key(connection: sqlite3.Connection, folder: Path, text: str) -> None:
    with pytest.raises(KeyUnfit, match="openssl rand -hex 32"):
        open_ring(connection, folder, text)


def test_a_damaged_or_exposed_key_file_is_refused(connection: sqlite3.Connection, folder: Path) -> None:
    open_ring(connection, folder, None)
    (file,) = folder.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-10])
    with pytest.raises(KeyUnfit, match=r"damaged|cannot be read"):
        open_ring(connection, folder, None)
    file.write_bytes(content)
    file.chmod(0o644)
    with pytest.raises(KeyUnfit, match="chmod 600"):
        open_ring(connection, folder, None)


def test_a_value_opens_only_where_it_belongs(connection: sqlite3.Connection, folder: Path) -> None:
    ring = open_ring(connection, folder, None)
    key, value = ring.seal(b"x", binding("w", "secret", "id", 1))
    for other in (
        ("v", "secret", "id", 1),
        ("w", "connection", "id", 1),
        ("w", "secret", "di", 1),
        ("w", "secret", "id", 2),
    ):
        with pytest.raises(SealBroken):
            ring.open(key, value, binding(*other))
    with pytest.raises(SealBroken):
        ring.open(key, value[:-1] + bytes([value[-1] ^ 1]), binding("w", "secret", "id", 1))
    assert ring.seal(b"x", ("w",))[1] != ring.seal(b"x", ("w",))[1]
