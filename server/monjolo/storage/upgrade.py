"""Runs Alembic on a SQLite file. Loaded only when there is something to upgrade: Alembic is slow to load."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.pool import StaticPool

from monjolo.kit.errors import Unavailable
from monjolo.storage.errors import named
from monjolo.storage.sqlite import connect

_SCRIPTS = Path(__file__).parent / "migrations"


def scripts() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def upgrade_to_head(connection: sqlite3.Connection, head: str = "head") -> None:
    """All missing revisions in one transaction: either all of them or none. The connection stays open."""
    factory, connection.row_factory = connection.row_factory, None
    engine = sa.create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    # BEGIN IMMEDIATE before the version is read: of several that start together, one upgrades.
    sa.event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
    config = scripts()
    try:
        with engine.begin() as bound:
            config.attributes["connection"] = bound
            command.upgrade(config, head)
    except sa.exc.DBAPIError as error:
        raise error.orig or error from error  # the driver's own error, which storage/errors.py can name
    finally:
        connection.row_factory = factory


def _main(path: Path) -> int:
    """For `migrate.upgrade_apart`: 0, or 1 with what is wrong as JSON."""
    try:
        with contextlib.closing(connect(path)) as connection:
            upgrade_to_head(connection)
    except (sqlite3.Error, Unavailable) as error:
        told = named(error, path)
        sys.stdout.write(json.dumps({"code": getattr(told, "code", Unavailable.code), "detail": str(told)}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
