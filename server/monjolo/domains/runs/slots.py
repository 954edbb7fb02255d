"""Concurrency slots, settled in the transaction that asked for them or gave them back.

A slot is a row from the moment it is asked for until its step or run has ended. Each ending offers its slot
in the same transaction, so that none is ever lost or waited for in vain.
"""

from __future__ import annotations

from collections.abc import Sequence

from monjolo.domains.runs import codec, repository
from monjolo.domains.runs.changes import Changes
from monjolo.engine import events as facts
from monjolo.engine.admission import next_holders, places, queue_at, who_leaves
from monjolo.engine.commands import AcquireSlot
from monjolo.storage.port import Connection

_AT_ONCE = 1_000  # of a queue that a new version of the flow made too long, this many leave with one that comes

Ask = tuple[Changes, AcquireSlot]
Told = list[tuple[str, str, int]]  # run id, event, at


def settle(connection: Connection, winners: Sequence[Changes]) -> bool:
    """Takes back, hands on and refuses; tells each run concerned by its inbox. True when any was told."""
    touched: dict[tuple[str, str], list[Ask]] = {}
    for changes in winners:
        run_id, workspace_id = changes.entry.state.run_id, changes.entry.workspace_id
        for release in changes.releases:
            repository.release_slot(connection, run_id, release.key)
            touched.setdefault((workspace_id, release.slot), [])
        for ask in changes.acquires:
            turn = queue_at(changes.entry.priority, changes.at)
            repository.ask_slot(connection, workspace_id, run_id, ask, turn, changes.at)
            touched.setdefault((workspace_id, ask.slot), []).append((changes, ask))
    granted: set[tuple[str, str]] = set()
    told: Told = []
    at = max((changes.at for changes in winners), default=0)
    for (workspace_id, slot), _ in sorted(touched.items(), key=lambda item: item[0]):
        for run_id, key in _grant(connection, workspace_id, slot):
            granted.add((run_id, key))
            told.append((run_id, codec.event_to_text(facts.SlotGranted(at, key)), at))
    for (workspace_id, slot), asks in touched.items():
        waiting = [(changes, ask) for changes, ask in asks if (changes.run_id, ask.key) not in granted]
        told += _turn_away(connection, workspace_id, slot, waiting)
    if told:
        repository.put_inbox(connection, told)
    return bool(told)


def give_back(connection: Connection, run_id: str, at: int) -> None:
    """All that a run holds or waits for, offered to who comes next."""
    told = []
    for workspace_id, slot in repository.release_slots_of(connection, run_id):
        for next_run, key in _grant(connection, workspace_id, slot):
            told.append((next_run, codec.event_to_text(facts.SlotGranted(at, key)), at))
    repository.put_inbox(connection, told)


def _grant(connection: Connection, workspace_id: str, slot: str) -> list[tuple[str, str]]:
    """Reads the rows of those that are let in, and counts those that are in; never the queue behind them."""
    waiters = repository.slot_waiters(connection, workspace_id, slot, 1)
    if not waiters:
        return []
    limit = waiters[0]["slot_limit"]
    held = repository.count_slots(connection, workspace_id, slot, "held", limit)
    if limit - held > 1:
        waiters = repository.slot_waiters(connection, workspace_id, slot, limit - held)
    chosen = [(row["run_id"], row["key"]) for row in next_holders(limit, held, waiters)]
    for run_id, key in chosen:
        repository.hold_slot(connection, run_id, key)
    return chosen


def _turn_away(connection: Connection, workspace_id: str, slot: str, asks: Sequence[Ask]) -> Told:
    """What `on_limit`, `max_queued` and `coalesce` say of those that were not let in at once; the newest first."""
    bounds = [bound for _, ask in asks if (bound := places(ask)) is not None]
    waiting = 0
    if bounds:
        up_to = max(bounds) + len(asks) + _AT_ONCE
        waiting = repository.count_slots(connection, workspace_id, slot, "waiting", up_to)
    gone: set[tuple[str, str]] = set()
    told: Told = []
    for changes, ask in reversed(asks):
        leaving = who_leaves(ask, waiting)
        if leaving is None or (changes.run_id, ask.key) in gone:
            continue
        if leaving.who == "others":
            left, news = _supersede(connection, workspace_id, changes, ask)
        elif leaving.who == "oldest":
            left, news = _coalesce(connection, workspace_id, changes, ask, leaving.many)
        else:
            by = None
            if leaving.how == "coalesced":
                by = repository.oldest_waiters(connection, workspace_id, slot, 1)[0]["run_id"]
            left = [(changes.run_id, ask.key)]
            news = [_refused(changes.run_id, facts.SlotRefused(changes.at, ask.key, leaving.how, by))]
        for run_id, key in left:
            repository.release_slot(connection, run_id, key)
        gone.update(left)
        waiting -= len(left)
        told += news
    return told


def _supersede(
    connection: Connection, workspace_id: str, changes: Changes, ask: AcquireSlot
) -> tuple[list[tuple[str, str]], Told]:
    """Every other run that holds the slot or waits for it is cancelled: the newest wins."""
    holders = repository.slot_holders(connection, workspace_id, ask.slot, ask.limit)
    waiters = repository.oldest_waiters(connection, workspace_id, ask.slot, _AT_ONCE)
    left = [(row["run_id"], row["key"]) for row in waiters if row["run_id"] != changes.run_id]
    runs = dict.fromkeys([*(row["run_id"] for row in holders), *(run_id for run_id, _ in left)])
    cancel = codec.event_to_text(facts.CancelRequested(changes.at, "superseded"))
    return left, [(run_id, cancel, changes.at) for run_id in runs if run_id != changes.run_id]


def _coalesce(
    connection: Connection, workspace_id: str, changes: Changes, ask: AcquireSlot, count: int
) -> tuple[list[tuple[str, str]], Told]:
    """The oldest that wait leave; this one waits in their place."""
    rows = repository.oldest_waiters(connection, workspace_id, ask.slot, min(count, _AT_ONCE) + 1)
    own = (changes.run_id, ask.key)
    left = [name for row in rows if (name := (row["run_id"], row["key"])) != own][:count]
    news = [_refused(run_id, facts.SlotRefused(changes.at, key, "coalesced", changes.run_id)) for run_id, key in left]
    return left, news


def _refused(run_id: str, event: facts.SlotRefused) -> tuple[str, str, int]:
    return (run_id, codec.event_to_text(event), event.at)
