"""Events find the steps that wait for them, in the transaction that stores either.

An event is told to every step whose wait was stored before it, by the type's index. A wait that is stored after an
event looks back: what was told since the step began to wait is told to it too. So each event meets each wait once,
whichever of the two was written first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monjolo.domains.runs import codec, repository
from monjolo.domains.runs.changes import Changes
from monjolo.engine import events as facts
from monjolo.kit import json
from monjolo.kit.time import to_rfc3339
from monjolo.storage.port import Connection


def tell(connection: Connection, workspace_id: str, event_id: str, kind: str, at: int) -> bool:
    """Puts an event that is being stored into the inbox of who waits for its type; True when anybody does."""
    rows = [
        (row["run_id"], _named(row["key"], row["token"], event_id, at), at)
        for row in repository.waiting_for(connection, workspace_id, kind)
    ]
    if rows:
        repository.put_inbox(connection, rows)
    return bool(rows)


def settle(connection: Connection, winners: Sequence[Changes]) -> bool:
    """Stores the waits that begin, drops those that are over; True when a wait was told of an event."""
    told = []
    for changes in winners:
        if not changes.waits and not changes.waits_over:
            continue
        run_id, workspace_id = changes.run_id, changes.entry.workspace_id
        repository.delete_waits(connection, [(run_id, key) for key in changes.waits_over])
        for order in changes.waits.values():
            repository.put_wait(connection, run_id, order.key, order.token, workspace_id, order.event)
            for row in repository.events_since(connection, workspace_id, order.event, order.since):
                told.append((run_id, _named(order.key, order.token, row["id"], row["at"]), changes.at))
    if told:
        repository.put_inbox(connection, told)
    return bool(told)


def _named(key: str, token: int, event_id: str, at: int) -> str:
    """The inbox only names the event: many may wait for one that is large."""
    return codec.event_to_text(facts.EventArrived(at, key, token, at, {"id": event_id}))


def read(connection: Connection, events: Sequence[facts.Event], now: int) -> list[facts.Event]:
    """What the inbox holds, with the events in it that it only names. It is heard of now, whenever it was told."""
    ids = {event.about["id"]: None for event in events if isinstance(event, facts.EventArrived)}
    if not ids:
        return list(events)
    found = {row["id"]: row for row in repository.events_of(connection, list(ids))}
    return [
        _whole(event, found.get(event.about["id"]), now) if isinstance(event, facts.EventArrived) else event
        for event in events
    ]


def _whole(event: facts.EventArrived, row: Any, now: int) -> facts.EventArrived:
    if row is None:  # retention took it away before anybody was there to hear it: it is nobody's
        return event._replace(at=now, token=-1)
    return event._replace(
        at=now, about=event_of(row["id"], row["type"], row["source"], row["at"], json.loads(row["data"]))
    )


def event_of(event_id: str, kind: str, source: str, at: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """An event as flows have it: the output of a step that waited for it."""
    return {"id": event_id, "type": kind, "source": source, "at": to_rfc3339(at), "data": dict(data)}
