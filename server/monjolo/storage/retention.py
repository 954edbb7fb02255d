"""Keeps the history within what was asked, on the disk too, in steps so small that nobody waits for them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from monjolo.kit.time import DAY
from monjolo.storage import pruning
from monjolo.storage.port import Connection, Database
from monjolo.storage.pruning import BATCH_ROWS, Keep

T = TypeVar("T")
_UNUSED = 7 * DAY  # sessions, tokens and workers that ended are gone after this


class Space(Protocol):
    """How a database gives pages back to the disk."""

    async def give_back(self) -> bool:
        """One small step; False when there is nothing more to give back."""

    async def checkpoint(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ages:
    """Days that are kept of what belongs to no run."""

    events: int
    ticks: int
    audit: int


@dataclass(slots=True)
class Pruned:
    """What one pass took away."""

    runs: int = 0
    rows: Counter[str] = field(default_factory=Counter)  # by table; those of whole runs under "runs"


class Retention:
    """`run_once` is called by the orchestrator now and then; it may be cancelled at any point."""

    def __init__(
        self,
        database: Database,
        space: Space,
        delete_blobs: Callable[[Sequence[str]], Awaitable[None]],
        keep: Keep,
        ages: Ages,
    ) -> None:
        self._database, self._space, self._delete_blobs = database, space, delete_blobs
        self._keep, self._ages = keep, ages
        self._logs_gone: dict[str, int] = {}  # flow -> until when its runs' logs were looked through

    async def run_once(self, now: int) -> Pruned:
        """One whole pass. Nothing is lost when it stops half-way: the next pass goes on."""
        pruned = Pruned()
        kept = await self._database.read(lambda c: pruning.kept_of_flows(c, self._keep))
        for flow_id, keep in kept.items():
            await self._prune_runs(flow_id, keep, now, pruned)
            await self._prune_logs(flow_id, now - keep.log_days * DAY, pruned)
        await self._prune_old(now, pruned)
        if pruned.runs or pruned.rows:
            more = True
            while more:
                more = await self._rested(self._space.give_back)
            await self._space.checkpoint()
        return pruned

    async def _prune_runs(self, flow_id: str, keep: Keep, now: int, pruned: Pruned) -> None:
        beyond = partial(pruning.runs_beyond, flow_id=flow_id, keep=keep, now=now)
        while ids := await self._database.read(beyond):
            blobs = await self._database.read(partial(pruning.blobs_of, run_ids=ids))
            if blobs:
                await self._delete_blobs(blobs)
            runs, rows = await self._written(partial(pruning.delete_runs, run_ids=ids))
            pruned.runs += runs
            pruned.rows["runs"] += rows

    async def _prune_logs(self, flow_id: str, before: int, pruned: Pruned) -> None:
        since = self._logs_gone.get(flow_id, 0)
        old = partial(pruning.runs_with_old_logs, flow_id=flow_id, since=since, before=before)
        while ids := await self._database.read(old):
            pruned.rows["log_chunks"] += await self._written(partial(pruning.delete_logs, run_ids=ids))
        self._logs_gone[flow_id] = max(since, before)

    async def _prune_old(self, now: int, pruned: Pruned) -> None:
        ages = {
            "idempotency": 0,
            "events": self._ages.events * DAY,
            "ticks": self._ages.ticks * DAY,
            "backfills": self._ages.ticks * DAY,
            "audit": self._ages.audit * DAY,
            "refresh_tokens": _UNUSED,
            "sessions": _UNUSED,
            "workers": _UNUSED,
        }
        for table, age in ages.items():
            gone = BATCH_ROWS
            while gone >= BATCH_ROWS:
                gone = await self._written(partial(pruning.delete_old, table=table, before=now - age))
                if gone:
                    pruned.rows[table] += gone

    async def _written(self, work: Callable[[Connection], T]) -> T:
        return await self._rested(partial(self._database.write, work))

    async def _rested(self, step: Callable[[], Awaitable[T]]) -> T:
        """One step, and then a rest as long as it took: others have the writer at least half of the time."""
        began = time.perf_counter()
        result = await step()
        await asyncio.sleep(min(1.0, time.perf_counter() - began))
        return result
