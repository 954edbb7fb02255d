"""The SQL of users, sessions and tokens."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from monjolo.domains.users.models import ApiToken, RefreshToken, Session, User
from monjolo.kit import json
from monjolo.kit.errors import NotFound
from monjolo.storage.port import Connection

# --- set-up -------------------------------------------------------------------------------------------------


def find_meta(connection: Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = :key", {"key": key}).fetchone()
    return None if row is None else str(row["value"])


def save_meta(connection: Connection, key: str, value: str) -> None:
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        {"key": key, "value": value},
    )


def delete_meta(connection: Connection, key: str) -> None:
    connection.execute("DELETE FROM meta WHERE key = :key", {"key": key})


def claim_first_user(connection: Connection, user_id: str) -> bool:
    """True for the one who comes first, for ever (S12)."""
    claimed = connection.execute(
        "INSERT INTO first_user (one, user_id) VALUES (1, :user_id) ON CONFLICT (one) DO NOTHING",
        {"user_id": user_id},
    )
    return claimed.rowcount == 1


def has_first_user(connection: Connection) -> bool:
    return connection.execute("SELECT 1 FROM first_user").fetchone() is not None


# --- users --------------------------------------------------------------------------------------------------


def insert_user(connection: Connection, user: User) -> bool:
    """False when the workspace has a user with this e-mail address."""
    values = asdict(user) | {"disabled": int(user.disabled)}
    inserted = connection.execute(
        "INSERT INTO users (id, workspace_id, name, email, password_hash, role, locale, timezone, disabled,"
        " created_at, updated_at) VALUES (:id, :workspace_id, :name, :email, :password_hash, :role, :locale,"
        " :timezone, :disabled, :created_at, :updated_at) ON CONFLICT (workspace_id, email) DO NOTHING",
        values,
    )
    return inserted.rowcount == 1


def save_user(connection: Connection, user: User) -> None:
    connection.execute(
        "UPDATE users SET name = :name, password_hash = :password_hash, role = :role, locale = :locale,"
        " timezone = :timezone, disabled = :disabled, updated_at = :updated_at"
        " WHERE workspace_id = :workspace_id AND id = :id",
        asdict(user) | {"disabled": int(user.disabled)},
    )


def find_user(connection: Connection, workspace_id: str, user_id: str) -> User | None:
    row = connection.execute(
        "SELECT * FROM users WHERE workspace_id = :workspace_id AND id = :id",
        {"workspace_id": workspace_id, "id": user_id},
    ).fetchone()
    return None if row is None else _user(row)


def get_user(connection: Connection, workspace_id: str, user_id: str) -> User:
    user = find_user(connection, workspace_id, user_id)
    if user is None:
        raise NotFound("There is no such user; GET /api/v1/users lists them.")
    return user


def find_user_by_email(connection: Connection, workspace_id: str, email: str) -> User | None:
    row = connection.execute(
        "SELECT * FROM users WHERE workspace_id = :workspace_id AND email = :email",
        {"workspace_id": workspace_id, "email": email},
    ).fetchone()
    return None if row is None else _user(row)


def list_users(connection: Connection, workspace_id: str, after: str | None, limit: int) -> list[User]:
    """In the order of their making, from after the id `after`."""
    rows = connection.execute(
        "SELECT * FROM users WHERE workspace_id = :workspace_id AND id > :after ORDER BY id LIMIT :limit",
        {"workspace_id": workspace_id, "after": after or "", "limit": limit},
    )
    return [_user(row) for row in rows]


def count_active_admins(connection: Connection, workspace_id: str) -> int:
    row = connection.execute(
        "SELECT count(*) AS n FROM users WHERE workspace_id = :workspace_id AND role = 'admin' AND disabled = 0",
        {"workspace_id": workspace_id},
    ).fetchone()
    return int(row["n"])


# --- sessions -----------------------------------------------------------------------------------------------


def insert_session(connection: Connection, session: Session) -> None:
    connection.execute(
        "INSERT INTO sessions (id, user_id, kind, csrf, created_at, expires_at, revoked_at, user_agent)"
        " VALUES (:id, :user_id, :kind, :csrf, :created_at, :expires_at, :revoked_at, :user_agent)",
        asdict(session),
    )


def find_live_session(connection: Connection, session_id: str, now: int) -> tuple[Session, User] | None:
    """The session and its user, when neither is revoked, expired or disabled."""
    found = connection.execute(
        "SELECT * FROM sessions WHERE id = :id AND revoked_at IS NULL AND expires_at > :now",
        {"id": session_id, "now": now},
    ).fetchone()
    if found is None:
        return None
    session = Session(**dict(zip(found.keys(), found, strict=True)))
    user = connection.execute("SELECT * FROM users WHERE id = :id AND disabled = 0", {"id": session.user_id}).fetchone()
    return None if user is None else (session, _user(user))


def revoke_session(connection: Connection, session_id: str, now: int) -> None:
    connection.execute(
        "UPDATE sessions SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL",
        {"id": session_id, "now": now},
    )


def end_every_session(connection: Connection, now: int) -> None:
    connection.execute("UPDATE sessions SET revoked_at = :now WHERE revoked_at IS NULL", {"now": now})


def revoke_sessions_of(connection: Connection, user_id: str, now: int, *, but: str | None = None) -> None:
    connection.execute(
        "UPDATE sessions SET revoked_at = :now WHERE user_id = :user_id AND revoked_at IS NULL AND id <> :but",
        {"user_id": user_id, "now": now, "but": but or ""},
    )


def delete_sessions_before(connection: Connection, instant: int, limit: int) -> int:
    """Removes sessions that ended before `instant`, with their refresh tokens; how many went."""
    ended = "SELECT id FROM sessions WHERE expires_at < :instant OR revoked_at < :instant LIMIT :limit"
    rows = connection.execute(ended, {"instant": instant, "limit": limit}).fetchall()
    ids = [(row["id"],) for row in rows]
    connection.executemany("DELETE FROM refresh_tokens WHERE session_id = ?", ids)
    connection.executemany("DELETE FROM sessions WHERE id = ?", ids)
    return len(ids)


# --- refresh tokens and cookies, by hash --------------------------------------------------------------------


def insert_refresh_token(connection: Connection, token_hash: str, session_id: str, now: int, expires_at: int) -> None:
    connection.execute(
        "INSERT INTO refresh_tokens (hash, session_id, created_at, expires_at)"
        " VALUES (:hash, :session_id, :now, :expires_at)",
        {"hash": token_hash, "session_id": session_id, "now": now, "expires_at": expires_at},
    )


def find_refresh_token(connection: Connection, token_hash: str) -> RefreshToken | None:
    row = connection.execute(
        "SELECT session_id, expires_at, used_at FROM refresh_tokens WHERE hash = :hash", {"hash": token_hash}
    ).fetchone()
    return None if row is None else RefreshToken(row["session_id"], row["expires_at"], row["used_at"])


def use_refresh_token(connection: Connection, token_hash: str, now: int) -> bool:
    """True for the first use; False when it was used before."""
    used = connection.execute(
        "UPDATE refresh_tokens SET used_at = :now WHERE hash = :hash AND used_at IS NULL",
        {"hash": token_hash, "now": now},
    )
    return used.rowcount == 1


# --- API tokens ---------------------------------------------------------------------------------------------


def insert_api_token(connection: Connection, token: ApiToken) -> None:
    connection.execute(
        "INSERT INTO api_tokens (id, workspace_id, user_id, name, prefix, hash, scopes, created_at, expires_at,"
        " last_used_at, revoked_at) VALUES (:id, :workspace_id, :user_id, :name, :prefix, :hash, :scopes,"
        " :created_at, :expires_at, :last_used_at, :revoked_at)",
        asdict(token) | {"scopes": json.dumps(sorted(token.scopes))},
    )


def find_live_api_token(connection: Connection, token_hash: str, now: int) -> ApiToken | None:
    row = connection.execute(
        "SELECT * FROM api_tokens WHERE hash = :hash AND revoked_at IS NULL"
        " AND (expires_at IS NULL OR expires_at > :now)",
        {"hash": token_hash, "now": now},
    ).fetchone()
    return None if row is None else _api_token(row)


def list_api_tokens(
    connection: Connection, workspace_id: str, user_id: str | None, after: str | None, limit: int
) -> list[ApiToken]:
    """Tokens not revoked, of one user or (None) of all, from after the id `after`."""
    rows = connection.execute(
        "SELECT * FROM api_tokens WHERE workspace_id = :workspace_id AND id > :after AND revoked_at IS NULL"
        " AND (:user_id = '' OR user_id = :user_id) ORDER BY id LIMIT :limit",
        {"workspace_id": workspace_id, "user_id": user_id or "", "after": after or "", "limit": limit},
    )
    return [_api_token(row) for row in rows]


def revoke_api_token(
    connection: Connection, workspace_id: str, user_id: str | None, token_id: str, now: int
) -> ApiToken:
    """What it was. Raises NotFound when `user_id` (None: anybody in the workspace) has no such live token."""
    revoked = connection.execute(
        "UPDATE api_tokens SET revoked_at = :now WHERE workspace_id = :workspace_id AND id = :id"
        " AND revoked_at IS NULL AND (:user_id = '' OR user_id = :user_id)",
        {"workspace_id": workspace_id, "id": token_id, "user_id": user_id or "", "now": now},
    )
    if revoked.rowcount != 1:
        raise NotFound("There is no such token; GET /api/v1/tokens lists them.")
    return _api_token(connection.execute("SELECT * FROM api_tokens WHERE id = ?", (token_id,)).fetchone())


def revoke_named_api_tokens(connection: Connection, user_id: str, name: str, now: int) -> None:
    connection.execute(
        "UPDATE api_tokens SET revoked_at = :now WHERE user_id = :user_id AND name = :name AND revoked_at IS NULL",
        {"user_id": user_id, "name": name, "now": now},
    )


def note_api_token_use(connection: Connection, token_id: str, now: int) -> None:
    connection.execute("UPDATE api_tokens SET last_used_at = :now WHERE id = :id", {"id": token_id, "now": now})


# --- rows into models ---------------------------------------------------------------------------------------


def _fields(row: Any) -> dict[str, Any]:
    return dict(zip(row.keys(), row, strict=True))


def _user(row: Any) -> User:
    fields = _fields(row)
    return User(**fields | {"disabled": bool(fields["disabled"])})


def _api_token(row: Any) -> ApiToken:
    fields = _fields(row)
    return ApiToken(**fields | {"scopes": frozenset(json.loads(fields["scopes"]))})
