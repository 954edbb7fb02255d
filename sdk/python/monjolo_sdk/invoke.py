"""Calling an action: inputs converted, the context made, the result turned into JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monjolo_sdk.fields import Connection
from monjolo_sdk.inputs import Inputs
from monjolo_sdk.manifest import describe_connection
from monjolo_sdk.module import Action, Module
from monjolo_sdk.signature import Signature


class Invoker:
    """One action, ready to be called many times."""

    def __init__(self, module: Module, action: Action) -> None:
        self.action = action
        self.is_async = action.is_async
        self.net = tuple(module.permissions["net"])
        self._inputs = Inputs(Signature(action.function))
        self._context_name = self._inputs.context
        self._types = {
            parameter.name: parameter.connection_type
            for parameter, _ in self._inputs.parameters
            if parameter.connection_type is not None
        }
        self._known = {kind.id: describe_connection(kind) for kind in module.connection_types.values()}

    def connections(self, given: Mapping[str, Mapping[str, Any]]) -> dict[str, Connection]:
        """The connections of the step, each bound to the hosts its type declares.

        `given` maps an input's name to the stored fields, or to `{name, type, hosts, secrets, fields}`.
        """
        made = {}
        for name, value in given.items():
            whole = isinstance(value.get("fields"), Mapping)
            type_id = str(value.get("type") or "") if whole else str(self._types.get(name) or "")
            known = self._known.get(type_id, {})
            made[name] = Connection(
                str(value.get("name") or name) if whole else name,
                type_id,
                value["fields"] if whole else value,
                tuple(value.get("hosts") or () if whole else ()) or tuple(known.get("hosts", ())),
                tuple(value.get("secrets") or () if whole else ()) or tuple(known.get("secrets", ())),
            )
        return made

    def arguments(
        self, context: Any, inputs: Mapping[str, Any], connections: Mapping[str, Connection]
    ) -> dict[str, Any]:
        """The keyword arguments of the call. Raises InvalidInput."""
        arguments = self._inputs.arguments(inputs, connections)
        if self._context_name is not None:
            arguments[self._context_name] = context
        return arguments
