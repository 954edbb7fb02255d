"""The first user: one time, with a key that only who started the platform can read (S12)."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field
from typing import Any

import structlog

from monjolo.domains.audit.repository import record
from monjolo.domains.users import repository
from monjolo.domains.users.models import User
from monjolo.domains.users.passwords import Passwords, check_password
from monjolo.domains.users.sessions import Sessions, Tokens, fold_email
from monjolo.domains.users.tokens import hash_secret, new_secret
from monjolo.kit import json
from monjolo.kit.errors import Conflict, Forbidden
from monjolo.kit.ids import new_id
from monjolo.kit.time import DAY, Clock
from monjolo.storage.port import Connection, Database

KEY_LASTS = DAY
KEYS_KEPT = 5
_META = "setup_keys"

log = structlog.get_logger("monjolo.users")


@dataclass(frozen=True, slots=True)
class NewUser:
    name: str
    email: str
    locale: str
    timezone: str
    role: str
    password: str = field(repr=False)


class SetUp:
    def __init__(
        self, database: Database, clock: Clock, sessions: Sessions, passwords: Passwords, workspace_id: str
    ) -> None:
        self._database, self._clock, self._sessions = database, clock, sessions
        self._passwords, self._workspace_id = passwords, workspace_id
        self._one_at_a_time = asyncio.Lock()

    async def needed(self) -> bool:
        """True until the first user exists."""
        return not await self._database.read(repository.has_first_user)

    async def setup_link(self, base_url: str, *, keep_earlier: bool = False) -> str:
        """A link with a new one-time key; every earlier key ends, unless `keep_earlier`: a start of the platform
        prints a link, and must not spoil the one that somebody has already. Raises Conflict once there is a user.

        The key stands behind `#`, so that no server, proxy or log on the way gets it.
        """
        key, now = new_secret("mjk_"), self._clock.now()
        fresh = {"hash": hash_secret(key), "until": now + KEY_LASTS}
        await self._database.write(lambda c: _keep_key(c, fresh, now, keep_earlier=keep_earlier))
        return f"{base_url.rstrip('/')}/#setup={key}"

    async def set_up(self, key: str, new: NewUser, user_agent: str | None = None) -> Tokens:
        """Makes the first user, an admin, and signs them in. One wins; the others get Conflict."""
        async with self._one_at_a_time:  # spares the losers' hashing; the row `first_user` is what decides
            await self._database.read(lambda c: self._check(c, key))
            check_password(new.password, new.email)
            hashed = await self._passwords.hash(new.password)
            user = user_of(new, hashed, self._workspace_id, self._clock.now())
            await self._database.write(lambda c: self._make(c, key, user))
        log.info("set up", user=user.id)
        return await self._sessions.open_tokens(user, user_agent)

    def _check(self, connection: Connection, key: str) -> None:
        if repository.has_first_user(connection):
            raise _done()
        given, now = hash_secret(key), self._clock.now()
        if not any(hmac.compare_digest(known["hash"], given) for known in _live_keys(connection, now)):
            raise Forbidden("This set-up key does not hold; `monjolo setup-link` prints a new one.", code="setup_key")

    def _make(self, connection: Connection, key: str, user: User) -> None:
        self._check(connection, key)
        if not repository.claim_first_user(connection, user.id):
            raise _done()
        repository.insert_user(connection, user)
        repository.delete_meta(connection, _META)
        note_created(connection, user, user.id, first=True)


def user_of(new: NewUser, password_hash: str, workspace_id: str, now: int) -> User:
    return User(
        id=new_id(),
        workspace_id=workspace_id,
        name=new.name.strip(),
        email=fold_email(new.email),
        role=new.role,
        locale=new.locale,
        timezone=new.timezone,
        disabled=False,
        created_at=now,
        updated_at=now,
        password_hash=password_hash,
    )


def note_created(connection: Connection, user: User, actor: str, *, first: bool) -> None:
    record(
        connection,
        workspace_id=user.workspace_id,
        actor=actor,
        action="user.created",
        object=f"user:{user.email}",
        detail={"role": user.role, "first": first},
        at=user.created_at,
    )


def _keep_key(connection: Connection, fresh: dict[str, Any], now: int, *, keep_earlier: bool) -> None:
    if repository.has_first_user(connection):
        raise _done()
    earlier = _live_keys(connection, now)[-KEYS_KEPT + 1 :] if keep_earlier else []
    repository.save_meta(connection, _META, json.dumps([*earlier, fresh]))


def _live_keys(connection: Connection, now: int) -> list[dict[str, Any]]:
    kept = repository.find_meta(connection, _META)
    return [known for known in json.loads(kept) if known["until"] > now] if kept else []


def _done() -> Conflict:
    return Conflict("The platform is set up already. Sign in.", code="already_set_up")
