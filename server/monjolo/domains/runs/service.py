"""Runs as others use them: accepted, cancelled, repeated, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from monjolo.domains.audit.repository import record
from monjolo.domains.flows.service import FlowsService
from monjolo.domains.runs import queries, repository, writing
from monjolo.domains.runs.acceptance import Acceptance, changes_of
from monjolo.domains.runs.accepting import Accepting
from monjolo.domains.runs.advance import Advance, Fact, write_beginning
from monjolo.domains.runs.changes import Changes
from monjolo.domains.runs.dispatch import Dispatcher
from monjolo.domains.runs.models import NewRun, PreparedRun, Repeat, RepeatWish, Taken
from monjolo.domains.runs.repeating import step_key, taken_over
from monjolo.engine import events as facts
from monjolo.flow_document import LONGEST_WAIT
from monjolo.kit.errors import InvalidInput, MonjoloError, Unavailable
from monjolo.kit.time import DAY, SECOND, Clock
from monjolo.storage.port import Connection, Database

KEY_KEPT = DAY
BULK = 1_000


class RunsService:
    def __init__(
        self,
        database: Database,
        flows: FlowsService,
        acceptance: Acceptance,
        advance: Advance,
        dispatcher: Dispatcher,
        clock: Clock,
        *,
        group: str,
    ) -> None:
        self._database = database
        self._flows = flows
        self._acceptance = acceptance
        self._advance = advance
        self._dispatcher = dispatcher
        self._clock = clock
        self._group = group
        self._accepting = Accepting(database, advance, self._give_up, group=group)
        self._awaited: dict[str, list[asyncio.Future[None]]] = {}
        advance.listeners.append(self)

    # --- for those who make runs in a transaction of their own ----------------------------------------------

    async def prepare(self, workspace_id: str, new: Sequence[NewRun]) -> list[PreparedRun]:
        """Checked and decided, not written. Raises the MonjoloError of the first that cannot be."""
        return await self._acceptance.prepare_many(new)

    def insert(self, connection: Connection, prepared: Sequence[PreparedRun]) -> None:
        """Writes the runs; of one whose idempotency key was used before, sets `duplicate_of` and writes nothing."""
        self._insert(connection, prepared, [changes_of(run) for run in prepared])

    def committed(self, prepared: Sequence[PreparedRun]) -> None:
        """After the commit: the tasks of these runs may leave."""
        stored = [changes_of(run) for run in prepared if run.duplicate_of is None]
        for changes in stored:
            self._advance.keep(changes)
        self._dispatcher.has_backlog()
        self._advance.inbox_has_news.set()
        self._advance.announce(stored)

    def _insert(self, connection: Connection, prepared: Sequence[PreparedRun], changed: Sequence[Changes]) -> bool:
        """True when there is something new in the inbox."""
        new = [pair for pair in zip(prepared, changed, strict=True) if self._is_first(connection, pair[0])]
        changed = [changes for _, changes in new]
        _, told = writing.write(connection, changed, self._group)
        told = self._advance.put_events(connection, changed) or told
        begun = [write_beginning(connection, run) for run, _ in new]
        return told or any(begun)

    def _is_first(self, connection: Connection, prepared: PreparedRun) -> bool:
        """With its idempotency key, if it has one; the key is claimed."""
        if prepared.idempotency is None:
            return True
        scope, key, fingerprint = prepared.idempotency
        workspace_id, now = prepared.entry.workspace_id, prepared.row["created_at"]
        first = repository.claim_key(connection, workspace_id, scope, key, fingerprint, prepared.id, now, KEY_KEPT)
        if first is None:
            return True
        if first[1] != fingerprint:
            raise InvalidInput(
                "This Idempotency-Key was used with other inputs; use a new key for a new request.",
                code="idempotency_mismatch",
            )
        prepared.duplicate_of = first[0]
        return False

    # --- accept ---------------------------------------------------------------------------------------------

    async def accept(self, new: Sequence[NewRun]) -> list[PreparedRun]:
        """All or nothing; returns after the commit. One commit for whatever is accepted at the same time."""
        if len(new) > BULK:
            raise InvalidInput(f"Up to {BULK} runs are taken at once.", code="too_many_items")
        prepared = await self._acceptance.prepare_many(new)
        await self._store(prepared)
        return prepared

    async def _store(self, prepared: Sequence[PreparedRun]) -> None:
        changed = [changes_of(run) for run in prepared]
        self._reserve(changed)
        self._advance.expect(changed)
        if any(run.idempotency for run in prepared):
            # A client that leaves must not leave a stored run behind whose tasks nobody sends.
            await asyncio.shield(asyncio.create_task(self._store_with_keys(prepared, changed)))
        else:
            await self._accepting.store(prepared, changed)

    def _reserve(self, changed: Sequence[Changes]) -> None:
        for changes in changed:
            for key in changes.dispatches:
                if self._dispatcher.reserve():
                    changes.direct.add(key)

    def _give_up(self, changed: Sequence[Changes]) -> None:
        """They were not written. Called by who writes: the caller may have gone away by then."""
        self._dispatcher.unreserve(sum(len(changes.direct) for changes in changed))
        self._advance.forget(changed)

    async def _store_with_keys(self, prepared: Sequence[PreparedRun], changed: Sequence[Changes]) -> None:
        """A key that was used with other inputs undoes this request, and no other."""
        try:
            told = await self._database.write(lambda c: self._insert(c, prepared, changed))
        except Exception:
            self._give_up(changed)
            raise
        pairs = list(zip(prepared, changed, strict=True))
        self._give_up([changes for run, changes in pairs if run.duplicate_of is not None])
        await self._advance.publish([changes for run, changes in pairs if run.duplicate_of is None])
        if told:
            self._advance.inbox_has_news.set()

    # --- later ----------------------------------------------------------------------------------------------

    async def cancel(self, workspace_id: str, run_id: str, *, reason: str, force: bool, actor: str) -> None:
        """Asks the run to end; durable when it returns. A run that has ended stays as it is."""
        run = await self._database.read(lambda c: queries.get(c, workspace_id, run_id))
        if run["status"] in queries.ENDED:
            return
        now = self._clock.now()
        await self._advance.submit([Fact(run_id, facts.CancelRequested(now, reason, force))])
        detail = {"flow": run["flow"], "number": run["number"], "reason": reason, "force": force}
        await self._database.write(
            lambda c: record(
                c, workspace_id=workspace_id, actor=actor, action="run.cancelled", object=f"run:{run_id}",
                detail=detail, at=now,
            )
        )  # fmt: skip

    async def repeat(
        self, workspace_id: str, run_id: str, wish: RepeatWish, *, actor: str | None, key: str | None
    ) -> PreparedRun:
        """A new run like that one; from a step on, what need not be done again is taken over."""
        return (await self.accept([await self._wish(workspace_id, run_id, wish, actor, key)]))[0]

    async def repeat_many(
        self, workspace_id: str, run_ids: Sequence[str], wish: RepeatWish, *, actor: str | None, key: str | None
    ) -> list[PreparedRun | MonjoloError]:
        """Each by itself: one that cannot be repeated says why and keeps no other back. One commit for all."""
        outcomes: list[PreparedRun | MonjoloError] = []
        for run_id in run_ids:
            try:
                new = await self._wish(workspace_id, run_id, wish, actor, key)
                outcomes.append(await self._acceptance.prepare(new))
            except Unavailable:
                raise
            except MonjoloError as error:
                outcomes.append(error)
        await self._store([run for run in outcomes if isinstance(run, PreparedRun)])
        return outcomes

    async def _wish(
        self, workspace_id: str, run_id: str, wish: RepeatWish, actor: str | None, key: str | None
    ) -> NewRun:
        run = await self._database.read(lambda c: queries.get(c, workspace_id, run_id))
        version = None if wish.newest else run["version"]
        inputs = run["inputs"] if wish.inputs is None else wish.inputs
        reused: dict[str, Taken] = {}
        if wish.from_step is not None:
            flow = await self._flows.compiled(run["flow_id"], version)
            step = step_key(flow.compiled, wish.from_step)
            if "[" in step and inputs != run["inputs"]:
                raise InvalidInput(
                    "The other items are taken over from that run, so this one needs its inputs; repeat from "
                    f"{step[: step.index('[')]} instead.",
                    code="item_needs_same_inputs",
                )
            reused = await self._database.read(lambda c: taken_over(c, run_id, flow.compiled.plan, step))
        return NewRun(
            flow_id=run["flow_id"],
            inputs=inputs,
            trigger={"type": "repeat", "run": run_id, "from_step": wish.from_step},
            version=version,
            labels=run["labels"],
            event=run["event"],
            actor=actor,
            idempotency_key=None if key is None else f"repeat:{run_id}:{key}",
            repeat=Repeat(run_id, reused),
            priority=run["priority"] if wish.priority is None else wish.priority,
        )

    async def cancel_many(self, run_ids: Sequence[str], *, reason: str, force: bool) -> None:
        event = facts.CancelRequested(self._clock.now(), reason, force)
        await self._advance.submit([Fact(run_id, event) for run_id in run_ids])

    async def result(self, workspace_id: str, run_id: str, wait: int) -> tuple[dict[str, Any], bool]:
        """The run when it has ended (True), or as it is when the time is over; LONGEST_WAIT bounds it."""
        ended = await self.wait(run_id, min(wait, LONGEST_WAIT) / SECOND)
        return await self._database.read(lambda c: queries.get(c, workspace_id, run_id)), ended

    async def wait(self, run_id: str, seconds: float) -> bool:
        """Until the run has ended; False when it had not within the time."""
        future = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(run_id, []).append(future)
        try:
            if await self._database.read(lambda c: queries.has_ended(c, run_id)):
                return True
            await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return False
        finally:
            waiting = self._awaited.get(run_id, [])
            if future in waiting:
                waiting.remove(future)
            if not waiting:
                self._awaited.pop(run_id, None)
        return True

    def run_changed(self, changes: Changes) -> None:
        if changes.ended:
            self._tell(changes)

    def _tell(self, changes: Changes) -> None:
        if changes.ended:
            for future in self._awaited.get(changes.entry.state.run_id, ()):
                if not future.done():
                    future.set_result(None)
