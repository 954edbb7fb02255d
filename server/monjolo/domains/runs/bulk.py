"""One wish about many runs: cancelled or repeated, page by page, however many the filter finds.

A page is at most a thousand runs, done a hundred at a time, each hundred in a transaction of its own. Said again
with the same key, a page does nothing twice: the key fixes which runs there were, and each repeat has a key of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from monjolo.domains.audit.repository import record
from monjolo.domains.runs import queries, repository
from monjolo.domains.runs.models import PreparedRun, RepeatWish
from monjolo.domains.runs.schemas import RunFilter
from monjolo.domains.runs.service import KEY_KEPT, RunsService
from monjolo.kit import json
from monjolo.kit.errors import InvalidInput, MonjoloError
from monjolo.kit.ids import new_id
from monjolo.kit.time import Clock
from monjolo.storage.port import Connection, Database

AT_ONCE = 100
COUNTED = 10_000
SAMPLE = 10
LIVE = ("queued", "running", "waiting", "cancelling")


class BulkRuns:
    def __init__(self, database: Database, runs: RunsService, clock: Clock) -> None:
        self._database = database
        self._runs = runs
        self._clock = clock

    async def preview(self, workspace_id: str, filters: Mapping[str, Any]) -> dict[str, Any]:
        """How many runs there are, and the newest of them; changes nothing."""

        def read(connection: Connection) -> tuple[int, list[Any]]:
            found = queries.count_runs(connection, workspace_id, dict(filters), COUNTED + 1)
            return found, queries.list_runs(connection, workspace_id, dict(filters), None, SAMPLE)

        count, rows = await self._database.read(read)
        total = {"total": count} if count <= COUNTED else {"total_at_least": COUNTED}
        return {"dry_run": True, **total, "sample": [queries.brief(row) for row in rows]}

    async def bound(self, workspace_id: str, wish: Mapping[str, Any], key: str | None) -> str:
        """Runs made from now on are none of this wish's; with a key: from its first page on."""
        now = new_id()
        if key is None:
            return now
        print_ = hashlib.sha256(json.canonical(dict(wish))).hexdigest()
        first = await self._database.write(
            lambda c: repository.claim_key(c, workspace_id, "bulk", key, print_, now, self._clock.now(), KEY_KEPT)
        )
        if first is not None and first[1] != print_:
            raise InvalidInput(
                "This Idempotency-Key was used for another wish; use a new key for a new one.",
                code="idempotency_mismatch",
            )
        return now if first is None else first[0]

    async def cancel(
        self, workspace_id: str, filters: Mapping[str, Any], before: str, limit: int, *, reason: str, force: bool
    ) -> tuple[dict[str, Any], str | None]:
        """The page's answer, and the last run of it when there may be more."""
        items: list[dict[str, Any]] = []
        while len(items) < limit:
            rows = await self._page(workspace_id, filters, before, min(AT_ONCE, limit - len(items)))
            if not rows:
                return {"items": items, "refused": []}, None
            await self._runs.cancel_many([row["id"] for row in rows], reason=reason, force=force)
            items += [_named(row) for row in rows]
            before = rows[-1]["id"]
        return {"items": items, "refused": []}, before

    async def repeat(
        self,
        workspace_id: str,
        filters: Mapping[str, Any],
        before: str,
        limit: int,
        wish: RepeatWish,
        *,
        actor: str | None,
        key: str | None,
    ) -> tuple[dict[str, Any], str | None]:
        items: list[dict[str, Any]] = []
        refused: list[dict[str, Any]] = []
        while len(items) + len(refused) < limit:
            room = limit - len(items) - len(refused)
            rows = await self._page(workspace_id, filters, before, min(AT_ONCE, room))
            if not rows:
                return {"items": items, "refused": refused}, None
            ids = [row["id"] for row in rows]
            own = None if key is None else f"bulk:{key}"  # a single repeat's key, with other inputs, is another's
            outcomes = await self._runs.repeat_many(workspace_id, ids, wish, actor=actor, key=own)
            for row, outcome in zip(rows, outcomes, strict=True):
                if isinstance(outcome, MonjoloError):
                    refused.append({**_named(row), "code": outcome.code, "detail": outcome.detail})
                else:
                    items.append({**_named(row), "repeat": _repeat(outcome)})
            before = rows[-1]["id"]
        return {"items": items, "refused": refused}, before

    async def note(self, workspace_id: str, action: str, filter_: RunFilter, count: int, actor: str) -> None:
        """Who asked for it, in the audit log."""
        if not count:
            return
        name = "runs" if filter_.flow is None else f"flow:{filter_.flow}"
        detail = {"filter": filter_.model_dump(by_alias=True, exclude_none=True), "runs": count}
        done = {"cancel": "runs.cancelled", "repeat": "runs.repeated"}[action]
        await self._database.write(
            lambda c: record(
                c, workspace_id=workspace_id, actor=actor, action=done, object=name, detail=detail, at=self._clock.now()
            )
        )

    async def _page(self, workspace_id: str, filters: Mapping[str, Any], before: str, limit: int) -> list[Any]:
        return await self._database.read(lambda c: queries.list_runs(c, workspace_id, dict(filters), before, limit))


def _named(row: Any) -> dict[str, Any]:
    return {"id": row["id"], "flow": row["flow"], "number": row["number"]}


def _repeat(run: PreparedRun) -> dict[str, Any]:
    if run.duplicate_of is not None:
        return {"id": run.duplicate_of, "duplicate": True}
    return {"id": run.id, "number": run.number}
