"""Flows: published, read, paused and removed. A version that was published never changes in meaning."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from monjolo.domains.flows import documents, repository
from monjolo.domains.flows.cache import LeastRecent
from monjolo.domains.flows.models import (
    AuditTrail,
    CompiledFlow,
    FlowHead,
    FlowState,
    FlowVersion,
    Published,
    TriggerBook,
)
from monjolo.flow_document import Catalogue, Compiled
from monjolo.kit import json
from monjolo.kit.errors import Conflict, InvalidInput, NotFound, Problem, Unavailable
from monjolo.kit.ids import new_id
from monjolo.kit.time import Clock
from monjolo.storage.port import Connection, Database

T = TypeVar("T")
STEPS_KEPT = 40_000  # of compiled flows, some 2 KiB each: ten thousand small flows that are due at once stay at hand
HEADS_KEPT = 20_000

Expectation = Callable[[int], None]
"""Called with the flow's revision before it is changed (0: there is none); raises PreconditionFailed."""


def any_revision(revision: int) -> None:
    """The caller did not say what they have read."""


@dataclass(frozen=True, slots=True)
class _Edition:
    """A document that was found valid, ready to become a version."""

    workspace_id: str
    checked: documents.Checked
    digest: str
    draft: bool
    message: str | None
    actor: str
    now: int


class FlowsService:
    def __init__(
        self, database: Database, clock: Clock, catalogue: Catalogue, triggers: TriggerBook, audit: AuditTrail
    ) -> None:
        self._database = database
        self._clock = clock
        self._catalogue = catalogue
        self._triggers = triggers
        self._audit = audit
        self._compiled: LeastRecent[tuple[str, int], Compiled] = LeastRecent(STEPS_KEPT, _weight)
        self._heads: LeastRecent[str, FlowHead] = LeastRecent(HEADS_KEPT)
        self._gone: LeastRecent[str, bool] = LeastRecent(HEADS_KEPT)
        self._ids: LeastRecent[tuple[str, str], str] = LeastRecent(HEADS_KEPT)
        self.changed: Callable[[], None] = lambda: None  # told after each commit: triggers may have moved

    # --- what runs ask --------------------------------------------------------------------------------------

    async def compiled(self, flow_id: str, version: int | None = None) -> CompiledFlow:
        """A version ready to run; None is the published one. Known versions are answered from memory.

        An explicit version of a deleted flow is still given, for the runs that were accepted before.
        """
        head = self._heads.get(flow_id) or await self._load_head(flow_id, deleted=version is not None)
        number = version or head.runnable_version
        compiled = self._compiled.get((flow_id, number)) or await self._compile(head, number)
        return CompiledFlow(head.id, head.workspace_id, head.slug, head.name, number, head.state, compiled)

    async def at_hand(self, wanted: Iterable[tuple[str, int | None]]) -> None:
        """Loads together what `compiled` would load one by one. What cannot be loaded is left for it to say."""
        missing = [(flow_id, version) for flow_id, version in dict.fromkeys(wanted) if self._lacks(flow_id, version)]
        if len(missing) < 2:
            return

        def query(connection: Connection) -> list[tuple[FlowHead, bool, FlowVersion]]:
            found = []
            for flow_id, version in missing:
                with suppress(NotFound):
                    head = repository.get_by_id(connection, flow_id)
                    stored = repository.get_version(connection, flow_id, version or head.runnable_version)
                    found.append((head, repository.is_deleted(connection, flow_id), stored))
            return found

        try:
            found = await self._database.read(query)
        except Unavailable:
            return
        ready = await asyncio.to_thread(_compiled, [(head, stored) for head, _, stored in found])
        for head, gone, stored in found:
            if not gone:
                self._remember(head)
            if (head.id, stored.number) in ready:
                self._compiled.put((head.id, stored.number), ready[head.id, stored.number])

    def _lacks(self, flow_id: str, version: int | None) -> bool:
        head = self._heads.get(flow_id)
        return head is None or self._compiled.get((flow_id, version or head.runnable_version)) is None

    async def by_slug(self, workspace_id: str, slug: str) -> FlowHead:
        head = await self._database.read(lambda c: repository.get(c, workspace_id, slug))
        self._remember(head)
        return head

    async def id_of(self, workspace_id: str, slug: str) -> str:
        """The id of a flow that is there. A known one is answered from memory."""
        flow_id = self._ids.get((workspace_id, slug))
        if flow_id is not None and self._heads.get(flow_id) is not None:
            return flow_id
        head = await self.by_slug(workspace_id, slug)
        self._ids.put((workspace_id, slug), head.id)
        return head.id

    async def _load_head(self, flow_id: str, *, deleted: bool) -> FlowHead:
        def query(connection: Connection) -> tuple[FlowHead, bool]:
            return repository.get_by_id(connection, flow_id), repository.is_deleted(connection, flow_id)

        head, gone = await self._database.read(query)
        if gone and not deleted:
            raise NotFound("The flow was deleted.", code="flow_not_found")
        if not gone:
            self._remember(head)
        return head

    def _remember(self, head: FlowHead) -> None:
        """A slow read must not put back what a later change has replaced."""
        known = self._heads.get(head.id)
        if not self._gone.get(head.id) and (known is None or known.revision <= head.revision):
            self._heads.put(head.id, head)

    async def _compile(self, head: FlowHead, number: int) -> Compiled:
        stored = await self._database.read(lambda c: repository.get_version(c, head.id, number))
        compiled = await asyncio.to_thread(
            documents.compile_stored, stored.document, head.slug, number, stored.resolved
        )
        self._compiled.put((head.id, number), compiled)
        return compiled

    # --- publishing -----------------------------------------------------------------------------------------

    async def validate(self, workspace_id: str, source: str) -> list[Problem]:
        """All that is wrong, or may be, with a flow's text; nothing is stored."""
        return (await self._check(workspace_id, source)).problems

    async def compare(self, workspace_id: str, source: str) -> tuple[FlowVersion | None, dict[str, Any]]:
        """The flow's version of today (None: it is new) and the document of a text that might follow it.

        Nothing is stored. Raises InvalidInput as `publish` does.
        """
        document = (await self._valid(workspace_id, source)).document or {}

        def query(connection: Connection) -> FlowVersion | None:
            head = repository.find(connection, workspace_id, document["id"])
            return None if head is None else repository.get_version(connection, head.id, head.runnable_version)

        return await self._database.read(query), document

    async def publish(
        self,
        workspace_id: str,
        *,
        source: str | None = None,
        document: dict[str, Any] | None = None,
        slug: str | None = None,
        message: str | None = None,
        draft: bool = False,
        actor: str,
        new: bool = False,
        expects: Expectation = any_revision,
    ) -> Published:
        """Make the text (or document) the flow's newest version, or its draft; all of it, or nothing.

        `slug` is the flow's name in the address, if there is one; `new` refuses a flow that is there already;
        `expects` refuses one that changed since. Raises InvalidInput with problems that have their places.
        """
        text = documents.as_text(source, document)
        checked = await self._valid(workspace_id, text)
        assert checked.document is not None
        if slug is not None and checked.document["id"] != slug:
            detail = f"The address says {slug!r}, the document says {checked.document['id']!r}: make them the same."
            raise InvalidInput(detail, code="flow_id_mismatch", errors=[Problem("id", "flow_id_mismatch", detail)])
        digest = hashlib.sha256(json.canonical(checked.document)).hexdigest()
        edition = _Edition(workspace_id, checked, digest, draft, message, actor, self._clock.now())
        published = await self._write(lambda c: self._publish(c, edition, new=new, expects=expects))
        self._remember(published.head)
        return published

    async def _valid(self, workspace_id: str, text: str) -> documents.Checked:
        checked = await self._check(workspace_id, text)
        errors = [p for p in checked.problems if p.severity == "error"]
        if errors or checked.document is None:
            raise InvalidInput(
                f"The flow was not published: {_count(len(errors), 'problem')} to mend.",
                code="invalid_flow",
                errors=checked.problems,
            )
        return checked

    async def _check(self, workspace_id: str, text: str) -> documents.Checked:
        slugs = await self._database.read(lambda c: repository.list_slugs(c, workspace_id))
        return await asyncio.to_thread(documents.check, text, self._catalogue, frozenset(slugs))

    def _publish(self, connection: Connection, edition: _Edition, *, new: bool, expects: Expectation) -> Published:
        document = edition.checked.document or {}
        head = repository.find(connection, edition.workspace_id, document["id"])
        _expect(head, document["id"], new=new, expects=expects)
        if head is not None and (same := self._unchanged(connection, head, edition)):
            return Published(head, same, created=False, unchanged=True)
        base = head or _new_head(edition)
        version = self._store_version(connection, base, edition)
        after = _head_after(base, edition, version.number)
        if head is None:
            repository.insert(connection, after)
        else:
            repository.save(connection, after, revision=head.revision)
        if not edition.draft:
            self._triggers.replace(connection, after, document.get("triggers") or [], edition.now)
        action = "flow.drafted" if edition.draft else "flow.published"
        self._record(connection, after, action, edition.actor, edition.now, version=version.number)
        return Published(after, version, created=head is None, unchanged=False)

    def _unchanged(self, connection: Connection, head: FlowHead, edition: _Edition) -> FlowVersion | None:
        """The current version, when it means exactly this. A new text of it (comments, layout) is kept."""
        number = (head.draft or head.version) if edition.draft else head.version
        current = repository.find_version(connection, head.id, number)
        if current is None or not _same(current, edition) or (head.draft and not edition.draft):
            return None
        if current.source != edition.checked.source:
            repository.save_source(connection, current, edition.checked.source)
        return replace(current, source=edition.checked.source)

    def _store_version(self, connection: Connection, head: FlowHead, edition: _Edition) -> FlowVersion:
        drafted = repository.find_version(connection, head.id, head.draft) if head.draft else None
        if drafted is not None and not edition.draft and _same(drafted, edition):
            repository.promote(connection, drafted, edition.message, edition.actor)
            return replace(drafted, draft=False, message=edition.message, author=edition.actor)
        version = FlowVersion(
            flow_id=head.id,
            number=repository.last_number(connection, head.id) + 1,
            document=edition.checked.document or {},
            source=edition.checked.source,
            digest=edition.digest,
            resolved=edition.checked.resolved,
            message=edition.message,
            author=edition.actor,
            draft=edition.draft,
            created_at=edition.now,
        )
        repository.insert_version(connection, version, edition.checked.awaits)
        return version

    async def restore(
        self, workspace_id: str, slug: str, number: int, *, actor: str, expects: Expectation = any_revision
    ) -> Published:
        """Publish an old version's text again, as a new version."""
        old = await self.version(workspace_id, slug, number)
        return await self.publish(
            workspace_id,
            source=old.source,
            slug=slug,
            message=f"Restored version {number}",
            actor=actor,
            expects=expects,
        )

    # --- changing a flow's state ----------------------------------------------------------------------------

    async def pause(
        self,
        workspace_id: str,
        slug: str,
        reason: str | None,
        *,
        actor: str,
        expects: Expectation = any_revision,
    ) -> FlowHead:
        """Nothing starts the flow any more; runs that were accepted go on, and can be repeated."""
        return await self._set_state(workspace_id, slug, "paused", reason, actor, expects)

    async def resume(
        self, workspace_id: str, slug: str, *, actor: str, expects: Expectation = any_revision
    ) -> FlowHead:
        return await self._set_state(workspace_id, slug, "active", None, actor, expects)

    async def _set_state(
        self,
        workspace_id: str,
        slug: str,
        state: FlowState,
        reason: str | None,
        actor: str,
        expects: Expectation,
    ) -> FlowHead:
        now = self._clock.now()
        paused = state == "paused"

        def work(connection: Connection) -> FlowHead:
            head = repository.get(connection, workspace_id, slug)
            _expect(head, slug, new=False, expects=expects)
            if head.state == "draft":
                raise Conflict("The flow is a draft: it starts on demand only. Publish it first.", code="flow_is_draft")
            if head.state == state and head.pause_reason == reason:
                return head
            after = replace(
                head,
                state=state,
                pause_reason=reason,
                paused_by=actor if paused else None,
                revision=head.revision + 1,
                updated_at=now,
            )
            repository.save(connection, after, revision=head.revision)
            self._triggers.set_live(connection, head.id, live=not paused, now=now)
            self._record(connection, after, f"flow.{'paused' if paused else 'resumed'}", actor, now, reason=reason)
            return after

        head = await self._write(work)
        self._remember(head)
        return head

    async def delete(
        self,
        workspace_id: str,
        slug: str,
        *,
        actor: str,
        force: bool = False,
        expects: Expectation = any_revision,
    ) -> None:
        """Take the flow away; its history stays. Live runs are let go on to their end, by `force` only."""
        now = self._clock.now()

        def work(connection: Connection) -> FlowHead:
            head = repository.get(connection, workspace_id, slug)
            _expect(head, slug, new=False, expects=expects)
            live = repository.count_live_runs(connection, head.id)
            if live and not force:
                raise Conflict(
                    f"{_count(live, 'run')} of this flow not ended: cancel them, or delete with force=true.",
                    code="flow_has_live_runs",
                )
            self._triggers.remove(connection, head.id)
            repository.delete(connection, head, now)
            self._record(connection, head, "flow.deleted", actor, now, live_runs=live)
            return head

        head = await self._write(work)
        self._heads.drop(head.id)
        self._gone.put(head.id, True)

    def _record(self, connection: Connection, head: FlowHead, action: str, actor: str, now: int, **detail: Any) -> None:
        """The audit trail, and the internal event that other flows can start from."""
        self._audit(
            connection,
            workspace_id=head.workspace_id,
            actor=actor,
            action=action,
            object=f"flow:{head.slug}",
            detail=detail,
            at=now,
        )
        data = {"flow": head.slug, "actor": actor, **detail}
        self._triggers.tell(connection, head.workspace_id, action, data, now)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        result = await self._database.write(work)
        self.changed()
        return result

    # --- reading --------------------------------------------------------------------------------------------

    async def list_flows(
        self,
        workspace_id: str,
        *,
        state: str | None = None,
        q: str | None = None,
        label: tuple[str, str | None] | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> tuple[list[FlowHead], int]:
        return await self._database.read(
            lambda c: repository.list_heads(c, workspace_id, state=state, q=q, label=label, after=after, limit=limit)
        )

    async def current(self, workspace_id: str, slug: str) -> tuple[FlowHead, FlowVersion]:
        """A flow and the version that a run takes."""

        def query(connection: Connection) -> tuple[FlowHead, FlowVersion]:
            head = repository.get(connection, workspace_id, slug)
            return head, repository.get_version(connection, head.id, head.runnable_version)

        return await self._database.read(query)

    async def used_digests(self) -> set[str]:
        """Every module digest that some published version names: what must not be thrown away."""
        found: set[str] = set()
        after: tuple[str, int] | None = ("", 0)
        while after is not None:
            page, after = await self._database.read(lambda c, a=after: repository.used_digests(c, a, 500))  # type: ignore[misc]
            found |= page
        return found

    async def version(self, workspace_id: str, slug: str, number: int) -> FlowVersion:
        def query(connection: Connection) -> FlowVersion:
            head = repository.get(connection, workspace_id, slug)
            return repository.get_version(connection, head.id, number)

        return await self._database.read(query)

    async def versions(
        self, workspace_id: str, slug: str, *, before: int | None = None, limit: int = 50
    ) -> tuple[list[FlowVersion], int]:
        """Newest first, and how many there are."""

        def query(connection: Connection) -> tuple[list[FlowVersion], int]:
            head = repository.get(connection, workspace_id, slug)
            found = repository.list_versions(connection, head.id, before=before, limit=limit)
            return found, repository.count_versions(connection, head.id)

        return await self._database.read(query)


def _expect(head: FlowHead | None, slug: str, *, new: bool, expects: Expectation) -> None:
    if head is not None and new:
        raise Conflict(f"There is a flow {slug!r} already: change it with PUT /flows/{slug}.", code="flow_exists")
    expects(head.revision if head is not None else 0)


def _same(version: FlowVersion, edition: _Edition) -> bool:
    return version.digest == edition.digest and version.resolved == edition.checked.resolved


def _new_head(edition: _Edition) -> FlowHead:
    document = edition.checked.document or {}
    return FlowHead(
        id=new_id(),
        workspace_id=edition.workspace_id,
        slug=document["id"],
        name=document["id"],
        description=None,
        state="draft",
        pause_reason=None,
        paused_by=None,
        labels={},
        version=0,
        draft=None,
        revision=0,
        created_at=edition.now,
        updated_at=edition.now,
    )


def _head_after(head: FlowHead, edition: _Edition, number: int) -> FlowHead:
    head = replace(head, revision=head.revision + 1, updated_at=edition.now)
    if edition.draft and head.version:
        return replace(head, draft=number)
    document = edition.checked.document or {}
    head = replace(
        head,
        name=document.get("name") or document["id"],
        description=document.get("description"),
        labels={key: str(value) for key, value in (document.get("labels") or {}).items()},
    )
    if edition.draft:
        return replace(head, draft=number)
    return replace(head, version=number, draft=None, state="paused" if head.state == "paused" else "active")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _weight(compiled: Compiled) -> int:
    return 1 + len(compiled.plan.steps)


def _compiled(versions: list[tuple[FlowHead, FlowVersion]]) -> dict[tuple[str, int], Compiled]:
    ready = {}
    for head, stored in versions:
        with suppress(Exception):  # who asks for this one meets the same error, and says it
            ready[head.id, stored.number] = documents.compile_stored(
                stored.document, head.slug, stored.number, stored.resolved
            )
    return ready
