"""A look at a database file: its version, its soundness, its size, what it refers to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from monjolo.kit.errors import NotFound
from monjolo.storage.errors import named
from monjolo.storage.migrate import version
from monjolo.storage.sqlite import connect


@dataclass(frozen=True, slots=True)
class Findings:
    version: str | None  # the revision of the tables
    problems: list[str]  # what the file says about itself when it is damaged
    bytes: int
    free_bytes: int
    runs: int


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction of its own on the file, for a program that holds the data folder's lock."""
    if not path.is_file():
        raise NotFound(f"There is no database at {path}. `monjolo db upgrade` makes one.", code="data_missing")
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise named(error, path) from error
    finally:
        connection.close()


def inspect(path: Path) -> Findings:
    """Reads the whole file. Raises Unavailable when it cannot be opened at all."""
    with transaction(path) as connection:
        found = version(connection, path)
        said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
        page = connection.execute("PRAGMA page_size").fetchone()[0]
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        free = connection.execute("PRAGMA freelist_count").fetchone()[0]
        runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0] if found else 0
    return Findings(found, [line for line in said if line != "ok"], pages * page, free * page, runs)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup must know of a database: the revision of its tables, its runs, the blobs it names."""

    tables: str
    runs: int
    blobs: list[str]


def contents(connection: sqlite3.Connection, path: Path) -> Contents:
    tables = version(connection, path)
    if tables is None:
        raise NotFound(f"{path} is empty: there is nothing to back up.", code="data_empty")
    runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    blobs = [row[0] for row in connection.execute("SELECT DISTINCT blob FROM artifacts ORDER BY blob")]
    return Contents(tables, runs, blobs)
