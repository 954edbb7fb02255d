"""People, their sessions and their tokens, as the rows have them. Instants in microseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

SYSTEM_USER = "system"  # stands in `user_id` for the machine's own command line and for tasks


@dataclass(frozen=True, slots=True)
class User:
    id: str
    workspace_id: str
    name: str
    email: str
    role: str
    locale: str
    timezone: str
    disabled: bool
    created_at: int
    updated_at: int
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in. `kind`: token (access and refresh tokens) or cookie."""

    id: str
    user_id: str
    kind: str
    created_at: int
    expires_at: int
    revoked_at: int | None = None
    user_agent: str | None = None
    csrf: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ApiToken:
    id: str
    workspace_id: str
    user_id: str
    name: str
    prefix: str
    hash: str = field(repr=False)
    scopes: frozenset[str]
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    session_id: str
    expires_at: int
    used_at: int | None
