"""What the domain speaks of: sealed things, variables, and the types of connections."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from monjolo.kit.errors import InvalidInput, NotFound

Kind = Literal["secret", "connection"]
ConnectionTypes = Callable[[], Mapping[str, Mapping[str, Any]]]  # by id, as in the manifests of modules

SECRET_LIMIT = 64 * 1024  # bytes of one secret, one variable, or the fields of one connection

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_SLUG = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class SecretMissing(NotFound):
    code, title = "secret_missing", "A secret that is named is not there"


class ConnectionMissing(NotFound):
    code, title = "connection_missing", "A connection that is named is not there"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret or a connection without its sealed part."""

    id: str
    kind: str
    name: str
    type: str | None
    title: str | None
    fields: dict[str, Any]  # those of a connection that are not secret
    hosts: list[str]
    key_id: str
    version: int  # of the sealed value
    revision: int  # of the whole
    created_at: int
    updated_at: int
    last_used_at: int | None


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    value: Any
    revision: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What a task is given: secrets by name, and connections by name as the SDK takes them."""

    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    connections: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def values(self) -> tuple[str, ...]:
        """Every text to mask in what the task says."""
        found = [*self.secrets.values()]
        for connection in self.connections.values():
            found += [str(connection["fields"][name]) for name in connection["secrets"]]
        return tuple(dict.fromkeys(value for value in found if value))


def check_identifier(name: str) -> str:
    """The name of a secret or a variable: it stands in expressions, as `secrets.NAME`."""
    if not _IDENTIFIER.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot be a name: use letters, digits and _, beginning with no digit, 64 at most.",
            code="bad_name",
        )
    return name


def check_slug(name: str) -> str:
    """The name of a connection, which inputs hold as text."""
    if not _SLUG.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot be a name: use lower-case letters, digits, - and _, "
            "beginning with a letter, 64 at most.",
            code="bad_name",
        )
    return name
