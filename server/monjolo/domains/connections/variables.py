"""Variables: plain values that flows read as `vars.NAME`."""

from __future__ import annotations

from typing import Any

from monjolo.domains.audit.repository import record
from monjolo.domains.connections import repository
from monjolo.domains.connections.models import SECRET_LIMIT, Variable, check_identifier
from monjolo.http.etag import IfMatch
from monjolo.kit import json
from monjolo.kit.errors import Conflict, NotFound, PayloadTooLarge
from monjolo.kit.time import Clock
from monjolo.storage.port import Connection, Database


class VariableService:
    """The variables of a workspace. Flows read them by `repository.variable_values`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def list_variables(self, workspace_id: str, *, after: str | None, limit: int) -> tuple[list[Variable], int]:
        return await self._database.read(lambda c: repository.list_variables(c, workspace_id, after=after, limit=limit))

    async def get(self, workspace_id: str, name: str) -> Variable:
        return await self._database.read(lambda c: _get(c, workspace_id, name))

    async def create(self, workspace_id: str, actor: str, name: str, value: Any) -> Variable:
        """Raises Conflict when the name is taken."""
        variable = Variable(check_identifier(name), _fitting(value), 1, self._clock.now())

        def work(connection: Connection) -> None:
            if not repository.insert_variable(connection, workspace_id, variable):
                raise Conflict(
                    f"There is a variable {name!r} already. Change it, or take another name.",
                    code="variable_exists",
                )
            _audit(connection, workspace_id, actor, "created", name, variable.updated_at)

        await self._database.write(work)
        return variable

    async def change(self, workspace_id: str, actor: str, name: str, match: IfMatch, value: Any) -> Variable:
        def work(connection: Connection) -> Variable:
            old = _get(connection, workspace_id, name)
            match.check(old.revision)
            new = Variable(name, _fitting(value), old.revision + 1, self._clock.now())
            repository.save_variable(connection, workspace_id, new)
            _audit(connection, workspace_id, actor, "changed", name, new.updated_at)
            return new

        return await self._database.write(work)

    async def delete(self, workspace_id: str, actor: str, name: str, match: IfMatch) -> None:
        def work(connection: Connection) -> None:
            match.check(_get(connection, workspace_id, name).revision)
            repository.delete_variable(connection, workspace_id, name)
            _audit(connection, workspace_id, actor, "deleted", name, self._clock.now())

        await self._database.write(work)


def _get(connection: Connection, workspace_id: str, name: str) -> Variable:
    found = repository.find_variable(connection, workspace_id, name)
    if found is None:
        raise NotFound(f"There is no variable {name[:80]!r}.", code="variable_missing")
    return found


def _fitting(value: Any) -> Any:
    if len(json.dumpb(value)) > SECRET_LIMIT:
        raise PayloadTooLarge(f"A variable may be {SECRET_LIMIT:,} bytes at most, as JSON.")
    return value


def _audit(connection: Connection, workspace_id: str, actor: str, what: str, name: str, at: int) -> None:
    record(
        connection,
        workspace_id=workspace_id,
        actor=actor,
        action=f"variable.{what}",
        object=f"variable:{name}",
        detail={},
        at=at,
    )
