"""Runs of before a restore: what the platform of the backup did with them afterwards, nobody here knows.

An `at_most_once` step of theirs may have run there; so it does not start here, and ends as `unknown`.
"""

from __future__ import annotations

from monjolo.domains.runs import repository
from monjolo.domains.users.repository import find_meta, save_meta
from monjolo.kit.errors import Conflict
from monjolo.storage.port import Connection

_KEY = "in_doubt_until"  # runs that came from a run accepted up to this instant


class InDoubt(Conflict):
    code, title = "restored_in_doubt", "It may have run before the platform was restored"

    def __init__(self) -> None:
        super().__init__(
            "The platform was restored from a backup, and this at_most_once step may have run after it was made. "
            "Look whether it did, then repeat the run from here or let it be."
        )


def put_in_doubt(connection: Connection, *, moved: bool) -> int:
    """For a database just restored; `moved`: the source did nothing more. Returns how many runs are under way."""
    newest, under_way = repository.newest_and_live(connection)
    if not moved:
        save_meta(connection, _KEY, str(newest))
    return under_way


def in_doubt_until(connection: Connection) -> int:
    return int(find_meta(connection, _KEY) or 0)
