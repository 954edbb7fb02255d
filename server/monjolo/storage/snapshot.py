"""A copy of a database file as it is at one moment, while others read and write it."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from monjolo.kit.errors import NotFound
from monjolo.storage.errors import named
from monjolo.storage.sqlite import connect

T = TypeVar("T")
_PAGES_AT_ONCE = 1_024
_INSTRUCTIONS = 100_000


def snapshot(source: Path, target: Path, look: Callable[[sqlite3.Connection], T]) -> T:
    """Copies all that is committed now to the new file `target`; answers `look`, asked of the same moment.

    One read transaction is open as long as it takes: it waits for no writer and no writer waits for it, but the
    log of writes grows meanwhile. Raises NotFound, Unavailable, or OSError for the target, which is the caller's to
    remove.
    """
    if not source.is_file():
        raise NotFound(f"There is no database at {source}. Is this the platform's data folder?", code="data_missing")
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(connect(source, read_only=True)) as reader, closing(_plain(target)) as copy:
        try:
            reader.execute("BEGIN")
            found = look(reader)
        except sqlite3.Error as error:
            raise named(error, source) from error
        try:
            # The open transaction holds the moment: without it every commit of another would begin the copy again.
            reader.backup(copy, pages=_PAGES_AT_ONCE, progress=lambda *_: None, sleep=0)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
        except sqlite3.Error as error:
            raise _named(error, source) from error
    return found


def _named(error: sqlite3.Error, source: Path) -> BaseException:
    """Damage is the source's; what else fails while pages are copied is the disk of the target."""
    kind = error.sqlite_errorcode & 0xFF
    if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return named(error, source)
    return OSError(errno.ENOSPC if kind == sqlite3.SQLITE_FULL else errno.EIO, str(error))


def faults(path: Path) -> list[str]:
    """What a file that nobody else has open says about itself when it is read from end to end; nothing when sound."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_progress_handler(lambda: 0, _INSTRUCTIONS)  # so that Ctrl C is heard
        try:
            said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise KeyboardInterrupt from error
            said = [str(error)]
    return [line for line in said if line != "ok"]


def _plain(path: Path) -> sqlite3.Connection:
    """A connection to a file that is thrown away when anything fails: it need not be durable by itself."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    return connection
