"""Concurrency slots, settled in the transaction that asked for them or gave them back.

A slot is a row from the moment it is asked for until its step or run has ended. Each ending offers its slot
in the same transaction, so that none is ever lost or waited for in vain.
"""

from __future__ import annotations

from collections.abc import Sequence

from monjolo.domains.runs import codec, repository
from monjolo.domains.runs.changes import Changes
from monjolo.engine import events as facts
from monjolo.engine.admission import next_holders
from monjolo.storage.port import Connection

_AT_ONCE = 1_000


def settle(connection: Connection, winners: Sequence[Changes]) -> bool:
    """Takes back, hands on and refuses; tells each run concerned by its inbox. True when any was told."""
    touched: dict[tuple[str, str], None] = {}
    for changes in winners:
        run_id, workspace_id = changes.entry.state.run_id, changes.entry.workspace_id
        for release in changes.releases:
            repository.release_slot(connection, run_id, release.key)
            touched[workspace_id, release.slot] = None
        for ask in changes.acquires:
            repository.ask_slot(connection, workspace_id, run_id, ask.key, ask.slot, ask.limit, changes.at)
            touched[workspace_id, ask.slot] = None
    granted: set[tuple[str, str]] = set()
    told: list[tuple[str, str, int]] = []
    at = max((changes.at for changes in winners), default=0)
    for workspace_id, slot in sorted(touched):
        for run_id, key in _grant(connection, workspace_id, slot):
            granted.add((run_id, key))
            told.append((run_id, codec.event_to_text(facts.SlotGranted(at, key)), at))
    told += _refuse(connection, winners, granted)
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
    waiters = repository.slot_waiters(connection, workspace_id, slot, _AT_ONCE)
    if not waiters:
        return []
    limit = waiters[0]["slot_limit"]
    held = len(repository.slot_holders(connection, workspace_id, slot, limit))
    chosen = [(row["run_id"], row["key"]) for row in next_holders(limit, held, waiters)]
    for run_id, key in chosen:
        repository.hold_slot(connection, run_id, key)
    return chosen


def _refuse(
    connection: Connection, winners: Sequence[Changes], granted: set[tuple[str, str]]
) -> list[tuple[str, str, int]]:
    """What `on_limit` says of those that were not let in at once."""
    told = []
    for changes in winners:
        run_id = changes.entry.state.run_id
        for ask in changes.acquires:
            if (run_id, ask.key) in granted or ask.on_limit == "queue":
                continue
            if ask.on_limit == "cancel_running":
                holders = repository.slot_holders(connection, changes.entry.workspace_id, ask.slot, ask.limit)
                cancel = codec.event_to_text(facts.CancelRequested(changes.at, "superseded"))
                told += [(row["run_id"], cancel, changes.at) for row in holders if row["run_id"] != run_id]
                continue
            repository.release_slot(connection, run_id, ask.key)
            refused = facts.SlotRefused(changes.at, ask.key, ask.on_limit)
            told.append((run_id, codec.event_to_text(refused), changes.at))
    return told
