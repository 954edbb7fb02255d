"""The end of a run that was set aside and that somebody ends by force: the engine cannot, so its rows are ended.

Nothing that others wait for stays behind: its slots are offered, its parent is told, its children are cancelled.
"""

from __future__ import annotations

from monjolo.domains.runs import codec, repository, slots
from monjolo.engine import events as facts
from monjolo.engine.types import Error
from monjolo.storage.port import Connection

_ERROR = Error("Quarantined", "the engine could not go on with the run, and it was ended by force")


def give_up(connection: Connection, run_id: str, at: int) -> None:
    error = codec.dump_or_none(codec.error_to_json(_ERROR))
    parent = repository.end_by_force(connection, run_id, error, at)
    if parent is None:
        return
    slots.give_back(connection, run_id, at)
    told = []
    if parent[0] is not None:
        finished = facts.ChildFinished(at, parent[1], parent[2], "crashed", None, _ERROR)
        told.append((parent[0], codec.event_to_text(finished), at))
    cancel = codec.event_to_text(facts.CancelRequested(at, "parent_cancelled"))
    told += [(child, cancel, at) for child in repository.live_children(connection, run_id)]
    repository.put_inbox(connection, told)
