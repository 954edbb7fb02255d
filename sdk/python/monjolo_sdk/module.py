"""`Module` and what it registers: actions and connection types. Schemas are made when asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from monjolo_sdk.fields import Field

Effects = Literal["read", "write", "notify"]
LifeCycle = Literal["stable", "beta", "experimental", "deprecated"]
Isolation = Literal["process", "sandbox"]
ActionFunction = TypeVar("ActionFunction", bound=Callable[..., Any])

_ID = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)\Z")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PERMISSIONS = ("net", "platform", "paths", "secrets", "env", "memory", "time")
_IS_COROUTINE = 0x80  # inspect.CO_COROUTINE; `inspect` alone would cost a third of the import budget


class Action:
    """One action as it was registered."""

    def __init__(self, name: str, function: Callable[..., Any], *, title: str, effects: Effects) -> None:
        self.name = name
        self.function = function
        self.title = title
        self.effects = effects
        self.description: str | None = None
        self.timeout_seconds: float | None = None
        self.examples: list[dict[str, Any]] = []
        self.is_async = is_coroutine_function(function)


class ConnectionType:
    """A kind of credential: the fields a person fills in, and the hosts its secrets may be sent to."""

    def __init__(
        self, id: str, *, title: str, description: str | None, fields: Mapping[str, Any], hosts: Sequence[str]
    ) -> None:
        self.id = id
        self.title = title
        self.description = description
        self.fields = dict(fields)
        self.hosts = tuple(hosts)


class Module:
    """A module: its name and version, what it is permitted, and its actions.

    `permissions`: `net` (host names, `*.example.org`, `*`), `platform` (scopes of `ctx.api`, such as
    `runs:read`), `paths`, `secrets`, `env`, `memory`, `time`.
    """

    def __init__(
        self,
        id: str,
        *,
        version: str,
        title: str | None = None,
        description: str | None = None,
        icon: str | None = None,
        permissions: Mapping[str, Any] | None = None,
        isolation: Isolation = "process",
        state: LifeCycle = "stable",
        requires_platform: str = "0.1.0",
    ) -> None:
        if not _ID.match(id):
            raise ValueError(f"module id {id!r}: use lower-case letters, digits and _, a letter first, 63 at most")
        self.id = id
        self.version = version
        self.title = title or id.replace("_", " ").capitalize()
        self.description = description
        self.icon = icon
        self.permissions = _permissions(id, permissions or {})
        self.isolation = isolation
        self.state = state
        self.requires_platform = requires_platform
        self.actions: dict[str, Action] = {}
        self.connection_types: dict[str, ConnectionType] = {}

    def action(
        self,
        undecorated: object = None,
        /,
        *,
        title: str | None = None,
        effects: Effects = "write",
        name: str | None = None,
        description: str | None = None,
        timeout: float | str | None = None,
        examples: Sequence[Mapping[str, Any]] = (),
    ) -> Callable[[ActionFunction], ActionFunction]:
        """Register a function as an action and give it back unchanged.

        `effects` says what it does to the world outside; `timeout` is in seconds or a text such as `5m`; each
        example is `{"title": …, "with": {input: value}}` (or the inputs alone).
        """
        if undecorated is not None:
            name_shown = getattr(undecorated, "__name__", repr(undecorated))
            raise ValueError(f"write @module.action() above {name_shown}, with the parentheses")

        def register(function: ActionFunction) -> ActionFunction:
            action_name = name or function.__name__
            if not _ID.match(action_name):
                raise ValueError(f"action name {action_name!r}: use lower-case letters, digits and _")
            if action_name in self.actions:
                raise ValueError(f"the module {self.id!r} has two actions named {action_name!r}")
            if effects not in ("read", "write", "notify"):
                raise ValueError(f"action {action_name!r}: effects is read, write or notify, not {effects!r}")
            title_shown = title or action_name.replace("_", " ").capitalize()
            action = Action(action_name, function, title=title_shown, effects=effects)
            action.description = description
            action.timeout_seconds = seconds(timeout)
            action.examples = [_example(example) for example in examples]
            self.actions[action_name] = action
            return function

        return register

    def connection_type(
        self,
        id: str,
        *,
        fields: Mapping[str, Any],
        title: str | None = None,
        description: str | None = None,
        hosts: Sequence[str] = (),
    ) -> ConnectionType:
        """Declare a kind of credential. A field is a `Field` (a text) or a type (`Annotated[int, Field()]`).

        An action asks for one with a parameter `connection: Annotated[Connection, "<id>"]`.
        """
        if not _ID.match(id):
            raise ValueError(f"connection type {id!r}: use lower-case letters, digits and _")
        shown = title or id.replace("_", " ").capitalize()
        kind = ConnectionType(id, title=shown, description=description, fields=fields, hosts=hosts)
        self.connection_types[id] = kind
        return kind


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Is it declared `async def` (seen through functools.partial)?"""
    code = getattr(getattr(function, "func", function), "__code__", None)
    return bool(code is not None and code.co_flags & _IS_COROUTINE)


def seconds(duration: float | str | None) -> float | None:
    """`5`, `5.0`, `"500ms"`, `"5m"` as seconds."""
    if duration is None or isinstance(duration, (int, float)):
        return duration
    match = _DURATION.match(duration.strip())
    if match is None:
        raise ValueError(f"{duration!r} is not a duration: write 500ms, 30s, 5m, 2h or 1d")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def field_of(annotation: Any) -> Field:
    """The Field of a connection type's entry, whether it stands alone or in an Annotated."""
    if isinstance(annotation, Field):
        return annotation
    extras: tuple[Any, ...] = getattr(annotation, "__metadata__", ())
    return next((extra for extra in extras if isinstance(extra, Field)), Field())


def _permissions(module: str, given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(given) - set(_PERMISSIONS))
    if unknown:
        known = ", ".join(_PERMISSIONS)
        raise ValueError(f"module {module!r}: unknown permission {unknown[0]!r}; known are {known}")
    held = {"net": [], "platform": [], **given}
    for name, value in held.items():
        if name not in ("memory", "time"):
            if isinstance(value, str) or not all(isinstance(item, str) for item in value):
                raise ValueError(f"module {module!r}: permission {name!r} is a list of texts")
            held[name] = list(value)
    return held


def _example(example: Mapping[str, Any]) -> dict[str, Any]:
    return dict(example) if "with" in example else {"with": dict(example)}
