"""Secrets and connections: set and changed here, opened only for a task, never shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from monjolo.domains.audit.repository import record
from monjolo.domains.connections import repository
from monjolo.domains.connections.models import (
    SECRET_LIMIT,
    ConnectionMissing,
    Opened,
    Sealed,
    SecretMissing,
    check_identifier,
    check_slug,
)
from monjolo.domains.connections.sealing import KeyRing, binding
from monjolo.domains.connections.types import TypeBook, check_fields, secret_names
from monjolo.http.etag import IfMatch
from monjolo.kit import json
from monjolo.kit.errors import Conflict, NotFound, PayloadTooLarge
from monjolo.kit.ids import new_id
from monjolo.kit.time import Clock
from monjolo.storage.port import Connection, Database

SECRET, CONNECTION = "secret", "connection"
_ONLY = "value"  # what a secret seals, beside the fields of a connection


class ConnectionService:
    """Everything that is sealed. Built once, by bootstrap."""

    def __init__(self, database: Database, clock: Clock, ring: KeyRing, types: TypeBook) -> None:
        self._database, self._clock, self._ring = database, clock, ring
        self.types = types
        self._used: set[str] = set()

    # --- reading, without values ----------------------------------------------------------------------------

    async def list_sealed(
        self, workspace_id: str, kind: str, *, after: str | None, limit: int
    ) -> tuple[list[Sealed], int]:
        return await self._database.read(
            lambda c: repository.list_sealed(c, workspace_id, kind, after=after, limit=limit)
        )

    async def get(self, workspace_id: str, kind: str, reference: str) -> Sealed:
        """By id or by name. Raises NotFound."""
        return await self._database.read(lambda c: _get(c, workspace_id, kind, reference))

    # --- changing -------------------------------------------------------------------------------------------

    async def create_secret(self, workspace_id: str, actor: str, name: str, value: str, title: str | None) -> Sealed:
        """Raises Conflict when the name is taken."""
        draft = self._draft(SECRET, check_identifier(name), None, title, {}, [])
        return await self._create(workspace_id, actor, draft, {_ONLY: value})

    async def create_connection(
        self,
        workspace_id: str,
        actor: str,
        name: str,
        type: str,
        fields: Mapping[str, Any],
        title: str | None,
        hosts: list[str] | None,
    ) -> Sealed:
        """Raises NotFound for the type, InvalidInput for its fields, Conflict when the name is taken."""
        kind = self.types.get(type)
        check_fields(kind, fields)
        hidden = secret_names(kind, fields)
        plain = {key: value for key, value in fields.items() if key not in hidden}
        bound_to = [*kind["hosts"]] if hosts is None else hosts
        draft = self._draft(CONNECTION, check_slug(name), type, title, plain, bound_to)
        return await self._create(workspace_id, actor, draft, {key: fields[key] for key in hidden})

    async def change(
        self,
        workspace_id: str,
        actor: str,
        kind: str,
        reference: str,
        match: IfMatch,
        changes: Mapping[str, Any],
    ) -> Sealed:
        """`changes` holds what is to change of title, value (of a secret), fields and hosts (of a connection).

        Fields that are not named stay; one that is null goes.
        Raises NotFound, PreconditionFailed or InvalidInput.
        """

        def work(connection: Connection) -> Sealed:
            old = _get(connection, workspace_id, kind, reference)
            match.check(old.revision)
            hidden = self._open(connection, workspace_id, old)
            new = replace(old, revision=old.revision + 1, updated_at=self._clock.now())
            if "title" in changes:
                new = replace(new, title=changes["title"])
            if changes.get("hosts") is not None:
                new = replace(new, hosts=changes["hosts"])
            if kind == SECRET and "value" in changes:
                hidden = {_ONLY: changes["value"]}
            elif "fields" in changes:
                new, hidden = self._merged(new, hidden, changes["fields"])
            new = replace(new, version=old.version + 1)
            key_id, value = self._seal(workspace_id, new, hidden)
            repository.save(connection, workspace_id, replace(new, key_id=key_id), value)
            _audit(connection, workspace_id, actor, "changed", new, changed=sorted(changes))
            return replace(new, key_id=key_id)

        return await self._database.write(work)

    async def delete(self, workspace_id: str, actor: str, kind: str, reference: str, match: IfMatch) -> None:
        def work(connection: Connection) -> None:
            old = _get(connection, workspace_id, kind, reference)
            match.check(old.revision)
            repository.delete(connection, workspace_id, kind, old.id)
            _audit(connection, workspace_id, actor, "deleted", replace(old, updated_at=self._clock.now()))

        await self._database.write(work)

    # --- opening, for tasks alone ---------------------------------------------------------------------------

    def open_for_task(
        self,
        connection: Connection,
        workspace_id: str,
        secrets: Collection[str] = (),
        connections: Collection[str] = (),
    ) -> Opened:
        """The values of these names. Raises SecretMissing or ConnectionMissing, with the name.

        Reads only; call `note_use` afterwards, outside, so that `last_used_at` follows within a minute.
        """
        opened, now = Opened(), self._clock.now()
        for kind, names in ((SECRET, secrets), (CONNECTION, connections)):
            for name in names:
                row = repository.find_value(connection, workspace_id, kind, name)
                if row is None:
                    raise _gone(kind, name)
                bound_to = binding(workspace_id, kind, row["id"], row["version"])
                hidden = json.loads(self._ring.open(row["key_id"], row["value"], bound_to))
                if kind == SECRET:
                    opened.secrets[name] = hidden[_ONLY]
                else:
                    opened.connections[name] = {
                        "name": name,
                        "type": row["type"],
                        "hosts": json.loads(row["hosts"] or "[]"),
                        "secrets": sorted(hidden),
                        "fields": json.loads(row["fields"] or "{}") | hidden,
                    }
                if repository.use_is_due(row, now):
                    self._used.add(row["id"])
        return opened

    async def open(self, workspace_id: str, secrets: Collection[str] = (), connections: Collection[str] = ()) -> Opened:
        """`open_for_task` in a read of its own, with the note of use."""
        opened = await self._database.read(lambda c: self.open_for_task(c, workspace_id, secrets, connections))
        await self.note_use()
        return opened

    async def note_use(self) -> None:
        """Writes down what was opened for the first time in a minute; mostly there is nothing to write."""
        if self._used:
            used, self._used = self._used, set()
            now = self._clock.now()
            await self._database.write(lambda c: repository.note_use(c, used, now))

    # --- parts ----------------------------------------------------------------------------------------------

    def _draft(
        self,
        kind: str,
        name: str,
        type: str | None,
        title: str | None,
        fields: dict[str, Any],
        hosts: list[str],
    ) -> Sealed:
        now = self._clock.now()
        return Sealed(
            id=new_id(), kind=kind, name=name, type=type, title=title, fields=fields, hosts=hosts, key_id="",
            version=1, revision=1, created_at=now, updated_at=now, last_used_at=None,
        )  # fmt: skip

    async def _create(self, workspace_id: str, actor: str, draft: Sealed, hidden: dict[str, Any]) -> Sealed:
        key_id, value = self._seal(workspace_id, draft, hidden)
        sealed = replace(draft, key_id=key_id)

        def work(connection: Connection) -> None:
            if not repository.insert(connection, workspace_id, sealed, value):
                raise Conflict(
                    f"There is a {sealed.kind} {sealed.name!r} already. Change it, or take another name.",
                    code=f"{sealed.kind}_exists",
                )
            _audit(connection, workspace_id, actor, "created", sealed)

        await self._database.write(work)
        return sealed

    def _merged(
        self, sealed: Sealed, hidden: dict[str, Any], changes: Mapping[str, Any]
    ) -> tuple[Sealed, dict[str, Any]]:
        fields = {**sealed.fields, **hidden, **changes}
        fields = {key: value for key, value in fields.items() if value is not None}
        kind = self.types.get(sealed.type or "")
        check_fields(kind, fields)
        names = secret_names(kind, fields)
        plain = {key: value for key, value in fields.items() if key not in names}
        return replace(sealed, fields=plain), {key: fields[key] for key in names}

    def _open(self, connection: Connection, workspace_id: str, sealed: Sealed) -> dict[str, Any]:
        row = repository.find_value(connection, workspace_id, sealed.kind, sealed.name)
        assert row is not None
        bound_to = binding(workspace_id, sealed.kind, sealed.id, sealed.version)
        found: dict[str, Any] = json.loads(self._ring.open(row["key_id"], row["value"], bound_to))
        return found

    def _seal(self, workspace_id: str, sealed: Sealed, hidden: dict[str, Any]) -> tuple[str, bytes]:
        plain = json.dumpb(hidden)
        if len(plain) > SECRET_LIMIT:
            raise PayloadTooLarge(f"What is sealed may be {SECRET_LIMIT:,} bytes at most.")
        return self._ring.seal(plain, binding(workspace_id, sealed.kind, sealed.id, sealed.version))


def _get(connection: Connection, workspace_id: str, kind: str, reference: str) -> Sealed:
    found = repository.find(connection, workspace_id, kind, reference)
    if found is None:
        raise NotFound(f"There is no {kind} {reference[:80]!r}.", code=f"{kind}_missing")
    return found


def _gone(kind: str, name: str) -> NotFound:
    if kind == SECRET:
        return SecretMissing(f"There is no secret {name!r}. Set it with: monjolo secret set {name}")
    return ConnectionMissing(f"There is no connection {name!r}. Make it with: monjolo connection")


def _audit(connection: Connection, workspace_id: str, actor: str, what: str, sealed: Sealed, **detail: Any) -> None:
    record(
        connection,
        workspace_id=workspace_id,
        actor=actor,
        action=f"{sealed.kind}.{what}",
        object=f"{sealed.kind}:{sealed.name}",
        detail={**({"type": sealed.type} if sealed.type else {}), **detail},
        at=sealed.updated_at,
    )
