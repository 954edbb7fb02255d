"""People and their API tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from monjolo.domains.audit.repository import record
from monjolo.domains.users import repository
from monjolo.domains.users.keys import write_private
from monjolo.domains.users.models import SYSTEM_USER, ApiToken, User
from monjolo.domains.users.passwords import Passwords, check_password
from monjolo.domains.users.setup import NewUser, note_created, user_of
from monjolo.domains.users.tokens import API_PREFIX, hash_secret, new_secret
from monjolo.http.auth import SCOPES, Principal
from monjolo.http.etag import IfMatch
from monjolo.kit.errors import Conflict, Forbidden, InvalidInput, Problem
from monjolo.kit.ids import new_id
from monjolo.kit.time import DAY, Clock, to_rfc3339
from monjolo.storage.port import Connection, Database

TOKEN_LASTS = 90 * DAY
CLI_NAME = "This machine's command line"


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to change of a user; None leaves it. One's own password needs `current_password`."""

    name: str | None = None
    role: str | None = None
    locale: str | None = None
    timezone: str | None = None
    disabled: bool | None = None
    password: str | None = None
    current_password: str | None = None

    def only_for_admins(self) -> bool:
        return self.role is not None or self.disabled is not None


class Users:
    """`forget` drops what the process remembers of verified credentials, so that a change acts at once."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        passwords: Passwords,
        workspace_id: str,
        forget: Callable[[], None],
    ) -> None:
        self._database, self._clock, self._passwords = database, clock, passwords
        self._workspace_id, self._forget = workspace_id, forget

    # --- people ---------------------------------------------------------------------------------------------

    async def find(self, workspace_id: str, user_id: str) -> User | None:
        return await self._database.read(lambda c: repository.find_user(c, workspace_id, user_id))

    async def list_users(self, workspace_id: str, after: str | None, limit: int) -> list[User]:
        return await self._database.read(lambda c: repository.list_users(c, workspace_id, after, limit))

    async def create(self, by: Principal, new: NewUser) -> User:
        check_password(new.password, new.email)
        hashed = await self._passwords.hash(new.password)
        user = user_of(new, hashed, self._workspace_id, self._clock.now())
        await self._database.write(lambda c: _create(c, user, by.user_id))
        return user

    async def change(self, by: Principal, user_id: str, change: UserChange, match: IfMatch) -> User:
        """Admins change anybody; others their own name, language, time zone and password."""
        own, admin = by.user_id == user_id, by.may("users:admin")
        if not admin and (not own or change.only_for_admins()):
            raise Forbidden("This needs the scope users:admin; what is your own you may change yourself.")
        user = await self._database.read(lambda c: repository.get_user(c, by.workspace_id, user_id))
        hashed = None
        if change.password is not None:
            hashed = await self._new_password_hash(user, change, own=own)
        now = self._clock.now()
        changed = await self._database.write(
            lambda c: _change(c, by, user_id, change, match, password_hash=hashed, now=now)
        )
        self._forget()
        return changed

    async def _new_password_hash(self, user: User, change: UserChange, *, own: bool) -> str:
        password = change.password or ""
        check_password(password, user.email)
        if own and not await self._passwords.verify(change.current_password or "", user.password_hash):
            raise Forbidden("Send your present password as current_password.", code="wrong_password")
        return await self._passwords.hash(password)

    # --- API tokens -----------------------------------------------------------------------------------------

    async def list_tokens(self, by: Principal, after: str | None, limit: int) -> list[ApiToken]:
        """One's own; for admins everybody's."""
        whose = None if by.may("users:admin") else by.user_id
        return await self._database.read(lambda c: repository.list_api_tokens(c, by.workspace_id, whose, after, limit))

    async def create_token(
        self, by: Principal, name: str, scopes: frozenset[str], expires_at: int | None
    ) -> tuple[ApiToken, str]:
        """The token and its secret, which is shown this once. It can have no scope that its maker lacks.

        An API token makes none: one that was stolen would outlive its expiry and its removal.
        """
        now = self._clock.now()
        if by.kind in ("task", "system", "api_token"):
            raise Forbidden("Tokens are made by people; sign in as one.", code="not_a_person")
        beyond = sorted(scopes - by.scopes)
        if beyond or not scopes:
            message = f"You do not have {', '.join(beyond)} yourself." if beyond else "Name at least one scope."
            raise InvalidInput(message, code="bad_scopes", errors=[Problem("scopes", "bad_scopes", message)])
        if expires_at is not None and expires_at <= now:
            raise InvalidInput("expires_at is in the past.", code="bad_expiry")
        token, secret = _new_token(by.workspace_id, by.user_id, name, scopes, now, expires_at)
        await self._database.write(lambda c: _keep_token(c, token, now))
        return token, secret

    async def revoke_token(self, by: Principal, token_id: str) -> None:
        """One's own, an admin anybody's; an API token of less than an admin none but itself."""
        whose = None if by.may("users:admin") else by.user_id
        if whose is not None and by.kind == "api_token" and token_id != by.token_id:
            raise Forbidden("An API token can end itself and no other; sign in as a person.", code="not_a_person")
        now = self._clock.now()
        await self._database.write(lambda c: _revoke_token(c, by, whose, token_id, now))
        self._forget()

    async def ensure_cli_token(self, path: Path) -> None:
        """A token with all scopes in a file that only its owner may read, for this machine's command line.

        Who can read it can read the database beside it, so it gives nobody more than they had.
        """
        now = self._clock.now()
        held = hash_secret(await asyncio.to_thread(_kept_token, path))
        if await self._database.read(lambda c: repository.find_live_api_token(c, held, now)) is not None:
            return
        token, secret = _new_token(self._workspace_id, SYSTEM_USER, CLI_NAME, SCOPES, now, None)
        await self._database.write(lambda c: _replace_cli_token(c, token, now))
        await asyncio.to_thread(write_private, path, f"{secret}\n".encode())


def _kept_token(path: Path) -> str:
    """The token in the file; nothing when others can read it, so that it is made anew."""
    private = path.is_file() and not path.stat().st_mode & 0o077
    return path.read_text().strip() if private else ""


def _create(connection: Connection, user: User, actor: str) -> None:
    if not repository.insert_user(connection, user):
        message = "There is a user with this e-mail address."
        raise Conflict(message, code="email_taken", errors=[Problem("email", "email_taken", message)])
    first = repository.claim_first_user(connection, user.id)  # made on the command line: then set-up is done too
    note_created(connection, user, actor, first=first)


def _change(
    connection: Connection,
    by: Principal,
    user_id: str,
    change: UserChange,
    match: IfMatch,
    *,
    password_hash: str | None,
    now: int,
) -> User:
    user = repository.get_user(connection, by.workspace_id, user_id)
    match.check(user.updated_at)
    changed = replace(
        user,
        name=change.name if change.name is not None else user.name,
        role=change.role if change.role is not None else user.role,
        locale=change.locale if change.locale is not None else user.locale,
        timezone=change.timezone if change.timezone is not None else user.timezone,
        disabled=change.disabled if change.disabled is not None else user.disabled,
        password_hash=password_hash or user.password_hash,
        updated_at=max(now, user.updated_at + 1),
    )
    repository.save_user(connection, changed)
    if repository.count_active_admins(connection, by.workspace_id) == 0:
        raise Conflict("Make another user admin first: this is the last one.", code="last_admin")
    if password_hash is not None or changed.disabled:
        kept = by.session_id if by.user_id == user_id else None
        repository.revoke_sessions_of(connection, user_id, now, but=kept)
    _note_change(connection, by, user, changed)
    return changed


def _note_change(connection: Connection, by: Principal, old: User, new: User) -> None:
    fields = ("name", "role", "locale", "timezone", "disabled")
    detail: dict[str, object] = {
        field: [getattr(old, field), getattr(new, field)]
        for field in fields
        if getattr(old, field) != getattr(new, field)
    }
    if old.password_hash != new.password_hash:
        detail["password"] = "changed"  # noqa: S105 - that it changed, not what to
    record(
        connection,
        workspace_id=by.workspace_id,
        actor=by.user_id,
        action="user.changed",
        object=f"user:{new.email}",
        detail=detail,
        at=new.updated_at,
    )


def _keep_token(connection: Connection, token: ApiToken, now: int) -> None:
    repository.insert_api_token(connection, token)
    _note_token(connection, token.user_id, "token.created", token, now)


def _revoke_token(connection: Connection, by: Principal, whose: str | None, token_id: str, now: int) -> None:
    token = repository.revoke_api_token(connection, by.workspace_id, whose, token_id, now)
    _note_token(connection, by.user_id, "token.revoked", token, now)


def _note_token(connection: Connection, actor: str, action: str, token: ApiToken, at: int) -> None:
    until = None if token.expires_at is None else to_rfc3339(token.expires_at)
    record(
        connection,
        workspace_id=token.workspace_id,
        actor=actor,
        action=action,
        object=f"token:{token.name}",
        detail={"id": token.id, "of": token.user_id, "scopes": sorted(token.scopes), "expires_at": until},
        at=at,
    )


def _new_token(
    workspace_id: str, user_id: str, name: str, scopes: frozenset[str], now: int, expires_at: int | None
) -> tuple[ApiToken, str]:
    secret = new_secret(API_PREFIX)
    prefix = secret[: len(API_PREFIX) + 6]
    token = ApiToken(
        new_id(), workspace_id, user_id, name, prefix, hash_secret(secret), scopes, now, expires_at, None, None
    )
    return token, secret


def _replace_cli_token(connection: Connection, token: ApiToken, now: int) -> None:
    repository.revoke_named_api_tokens(connection, token.user_id, token.name, now)
    repository.insert_api_token(connection, token)
