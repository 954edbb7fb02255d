"""SQLite's error codes, as errors with a name and an advice."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from monjolo.kit.errors import Unavailable
from monjolo.storage.port import Duplicate

_ADVICE = {
    sqlite3.SQLITE_FULL: ("disk_full", "The disk that holds {path} is full. Free some space"),
    sqlite3.SQLITE_READONLY: (
        "data_read_only",
        "{path} cannot be written. Make its folder writable, or choose another with MONJOLO_DATA",
    ),
    sqlite3.SQLITE_PERM: ("data_read_only", "{path} may not be opened for writing by this user"),
    sqlite3.SQLITE_CORRUPT: ("data_corrupt", "{path} is damaged. Stop, keep a copy, restore a backup"),
    sqlite3.SQLITE_NOTADB: ("data_corrupt", "{path} is not a database. Move it away, or restore a backup"),
    sqlite3.SQLITE_BUSY: ("data_locked", "Another program holds {path}. Close it and try again"),
    sqlite3.SQLITE_LOCKED: ("data_locked", "Another connection holds {path}. Try again"),
    sqlite3.SQLITE_IOERR: ("data_io_failed", "Reading or writing {path} failed. Look at the disk"),
    sqlite3.SQLITE_CANTOPEN: ("data_unreachable", "{path} cannot be opened. Is its folder there, and yours?"),
}
_UNIQUE = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}


def named(error: BaseException, path: Path) -> BaseException:
    """The named form of a failure of the file, the disk or a unique rule; any other error as it is."""
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(error, sqlite3.Error) or code is None:
        return error
    if code in _UNIQUE:
        named_error: BaseException = Duplicate(f"This exists already ({str(error).rpartition(': ')[2]})")
    elif advice := _ADVICE.get(code & 0xFF):
        named_error = Unavailable(
            advice[1].format(path=path) + ". Nothing of this change was stored.",
            code=advice[0],
            retry_after=5,
        )
    else:
        return error
    named_error.__cause__ = error
    return named_error
