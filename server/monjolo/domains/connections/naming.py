"""What other domains ask of variables and secrets by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monjolo.domains.connections import repository
from monjolo.domains.connections.models import SecretMissing
from monjolo.domains.connections.service import ConnectionService
from monjolo.storage.port import Connection, Database


class NamedValues:
    def __init__(self, database: Database, connections: ConnectionService) -> None:
        self._database = database
        self._connections = connections

    async def variables(self, workspace_id: str, names: Sequence[str]) -> dict[str, Any]:
        """The values of these variables; one that is not there is null."""
        if not names:
            return {}

        def query(connection: Connection) -> dict[str, Any]:
            found = {name: repository.find_variable(connection, workspace_id, name) for name in names}
            return {name: None if variable is None else variable.value for name, variable in found.items()}

        return await self._database.read(query)

    async def secret(self, workspace_id: str, name: str) -> str | None:
        try:
            return (await self._connections.open(workspace_id, [name])).secrets[name]
        except SecretMissing:
            return None
