"""Secrets and connections, put into a task's inputs when it leaves and not before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monjolo.domains.connections.placeholders import resolve_secrets, secret_names
from monjolo.domains.connections.service import ConnectionService
from monjolo.domains.modules.catalogue import ModuleCatalogue
from monjolo.domains.modules.registry import Registry
from monjolo.kit.errors import InvalidInput


class TaskSealer:
    def __init__(self, connections: ConnectionService, registry: Registry) -> None:
        self._connections = connections
        self._registry = registry
        self._inputs: dict[tuple[str, str], dict[str, str]] = {}
        self._catalogue: ModuleCatalogue | None = None

    def needs(self, digest: str, action: str, inputs: Mapping[str, Any]) -> bool:
        return bool(self._connection_inputs(digest, action)) or bool(secret_names(inputs))

    async def fill(
        self, workspace_id: str, digest: str, action: str, inputs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]], tuple[str, ...]]:
        wanted = {
            name: inputs[name] for name in self._connection_inputs(digest, action) if inputs.get(name) is not None
        }
        for name, value in wanted.items():
            if not isinstance(value, str):
                raise InvalidInput(f"with.{name} names a connection, so it is a text.", code="connection_not_named")
        names = secret_names(inputs)
        opened = await self._connections.open(workspace_id, names, set(wanted.values()))
        filled, masks = resolve_secrets(inputs, opened.secrets.__getitem__)
        connections = {name: opened.connections[value] for name, value in wanted.items()}
        hidden = tuple(str(each["fields"][field]) for each in connections.values() for field in each.get("secrets", ()))
        return filled, connections, (*masks, *hidden)

    def _connection_inputs(self, digest: str, action: str) -> dict[str, str]:
        catalogue = self._registry.catalogue()
        if catalogue is not self._catalogue:
            self._catalogue = catalogue
            self._inputs.clear()
        known = self._inputs.get((digest, action))
        if known is None:
            version = catalogue.by_digest(digest)
            rules = None if version is None else catalogue.rules(version.id, version.version, digest, action)
            known = self._inputs[digest, action] = {} if rules is None else dict(rules.connections)
        return known
