"""The tables by way of the migrations are the tables of the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from monjolo.kit.errors import Unavailable
from monjolo.storage.migrate import prepare, workspace_id
from monjolo.storage.migrations import HEAD, REVISIONS
from monjolo.storage.schema import metadata
from monjolo.storage.sqlite import connect
from monjolo.storage.upgrade import scripts

from .conftest import NOW


def tables(path: Path) -> dict[str, str]:
    connection = connect(path)
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE name <> 'alembic_version' AND sql IS NOT NULL AND tbl_name <>"
        " 'alembic_version'"
    ).fetchall()
    connection.close()
    return {row[0]: " ".join(row[1].split()) for row in rows}


def test_the_named_revisions_are_those_of_the_scripts() -> None:
    directory = ScriptDirectory.from_config(scripts())
    assert directory.get_heads() == [HEAD]
    assert tuple(script.revision for script in reversed(list(directory.walk_revisions()))) == REVISIONS


def test_migrated_tables_equal_those_of_the_metadata(path: Path, tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    metadata.create_all(engine)
    engine.dispose()
    migrated, direct = tables(path), tables(tmp_path / "direct.db")
    assert migrated.keys() == direct.keys()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
    for name, sql in direct.items():
        assert ("WITHOUT ROWID" in migrated[name]) == ("WITHOUT ROWID" in sql), name
        assert (" WHERE " in migrated[name]) == (" WHERE " in sql), name


def test_a_new_file_gets_its_identity_once(path: Path) -> None:
    connection = connect(path)
    first = dict(tuple(row) for row in connection.execute("SELECT key, value FROM meta"))
    workspaces = connection.execute("SELECT id, slug FROM workspaces").fetchall()
    assert [tuple(row) for row in workspaces] == [(workspace_id(connection), "default")]
    assert connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.close()
    assert first.keys() >= {"installation_id", "workspace_id", "created_at"}
    assert prepare(path, NOW + 1) is False
    connection = connect(path)
    assert dict(tuple(row) for row in connection.execute("SELECT key, value FROM meta")) == first
    connection.close()
    assert path.stat().st_mode & 0o077 == 0


def test_a_crash_between_tables_and_identity_is_mended(path: Path) -> None:
    connection = connect(path)
    connection.execute("DELETE FROM meta")
    connection.execute("DELETE FROM workspaces")
    connection.close()
    assert prepare(path, NOW) is True
    connection = connect(path)
    assert workspace_id(connection)
    connection.close()


def test_a_file_of_a_newer_version_is_refused_and_untouched(path: Path) -> None:
    connection = connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(Unavailable) as refused:
        prepare(path, NOW)
    assert refused.value.code == "schema_newer"
    assert "9999" in refused.value.detail


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    other = connect(tmp_path / "monjolo.db", create=True)
    other.execute("CREATE TABLE songs (id)")
    other.close()
    with pytest.raises(Unavailable) as refused:
        prepare(tmp_path / "monjolo.db", NOW)
    assert refused.value.code == "data_foreign"


def test_a_start_with_nothing_to_upgrade_loads_no_alembic(path: Path) -> None:
    code = (
        "import sys, pathlib; from monjolo.storage.migrate import prepare; "
        "prepare(pathlib.Path(sys.argv[1]), 1); print('alembic' in sys.modules, 'sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_downgrade_and_upgrade_again_give_the_same_tables(path: Path) -> None:
    before = tables(path)
    connection = connect(path)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        if not name.startswith("sqlite_"):
            connection.execute(f"DROP TABLE {name}")
    connection.close()
    assert prepare(path, NOW) is True
    assert tables(path) == before


def test_five_that_start_together_migrate_once(tmp_path: Path) -> None:
    file = tmp_path / "monjolo.db"
    code = (
        "import sys, pathlib; from monjolo.storage.upgrade import upgrade_to_head; "
        "from monjolo.storage.sqlite import connect; c = connect(pathlib.Path(sys.argv[1]), create=True); "
        "upgrade_to_head(c); c.close()"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(file)]) for _ in range(5)]
    assert [child.wait(timeout=60) for child in children] == [0] * 5
    connection = connect(file)
    assert connection.execute("SELECT count(*) FROM alembic_version").fetchone()[0] == 1
    connection.close()
