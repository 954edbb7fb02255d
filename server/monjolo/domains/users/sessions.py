"""Signing in and out, and judging credentials: every one is held against its row (S10)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import structlog

from monjolo.domains.audit.repository import record
from monjolo.domains.users import repository
from monjolo.domains.users.models import SYSTEM_USER, ApiToken, Session, User
from monjolo.domains.users.passwords import Passwords
from monjolo.domains.users.roles import ROLES
from monjolo.domains.users.tokens import (
    ACCESS,
    ACCESS_SECONDS,
    API_PREFIX,
    TASK,
    TASK_SECONDS,
    Claims,
    TokenSigner,
    hash_secret,
    new_secret,
)
from monjolo.http.auth import SCOPES, Principal, Verified
from monjolo.kit.errors import Conflict, Unauthenticated
from monjolo.kit.ids import new_id
from monjolo.kit.time import DAY, MINUTE, Clock
from monjolo.storage.port import Connection, Database

TOKEN, COOKIE = "token", "cookie"
SESSION_LENGTH = {TOKEN: 30 * DAY, COOKIE: 7 * DAY}
USE_NOTED_EVERY = 10 * MINUTE
KEPT_AFTER_END = 30 * DAY
_AGENT_LENGTH = 200

log = structlog.get_logger("monjolo.users")


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client gets at sign-in: a short access token, and a refresh token for one use."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int = ACCESS_SECONDS


@dataclass(frozen=True, slots=True)
class CookieSession:
    """A browser's sign-in: `secret` goes into the cookie, `csrf` to the page."""

    secret: str = field(repr=False)
    csrf: str = field(repr=False)
    user: User
    expires_at: int


class Sessions:
    """Also the `Verifier` of http/auth.py."""

    def __init__(
        self, database: Database, clock: Clock, signer: TokenSigner, passwords: Passwords, workspace_id: str
    ) -> None:
        self._database, self._clock, self._signer = database, clock, signer
        self._passwords, self._workspace_id = passwords, workspace_id

    # --- signing in and out ---------------------------------------------------------------------------------

    async def sign_in(self, email: str, password: str, user_agent: str | None = None) -> Tokens:
        """Raises Unauthenticated, after the same work and in the same words whether the user exists or not."""
        user = await self._authenticated(email, password, user_agent)
        return await self.open_tokens(user, user_agent)

    async def sign_in_browser(self, email: str, password: str, user_agent: str | None = None) -> CookieSession:
        user = await self._authenticated(email, password, user_agent)
        now = self._clock.now()
        session = _session(user.id, COOKIE, now, user_agent, csrf=secrets.token_urlsafe(32))
        secret = new_secret("mjs_")
        await self._database.write(lambda c: _open(c, session, user, hash_secret(secret)))
        return CookieSession(secret, session.csrf or "", user, session.expires_at)

    async def open_tokens(self, user: User, user_agent: str | None = None) -> Tokens:
        """A new session for a user who has proved who they are."""
        session = _session(user.id, TOKEN, self._clock.now(), user_agent)
        refresh = new_secret("mjr_")
        await self._database.write(lambda c: _open(c, session, user, hash_secret(refresh)))
        return Tokens(self._access(user.id, session.id), refresh)

    async def refresh(self, refresh_token: str) -> Tokens:
        """A new pair for a refresh token, which is spent. One used twice ends its whole session."""
        now, fresh, old = self._clock.now(), new_secret("mjr_"), hash_secret(refresh_token)
        outcome = await self._database.write(lambda c: _rotate(c, old, hash_secret(fresh), now))
        if isinstance(outcome, str):
            if outcome == "reused":
                log.warning("refresh token used twice; its session is ended")
            raise Unauthenticated(
                "Sign in again: this refresh token was used before or has ended.", code="invalid_refresh_token"
            )
        session, user = outcome
        return Tokens(self._access(user.id, session.id), fresh)

    async def sign_out(self, principal: Principal) -> None:
        session_id = principal.session_id
        if session_id is None:
            raise Conflict("An API token has no session; remove it with DELETE /api/v1/tokens/{id}.", code="no_session")
        now = self._clock.now()
        await self._database.write(lambda c: _end(c, session_id, "signed_out", now))

    async def forget_ended(self) -> int:
        """Housekeeping: removes a batch of long-ended sessions; how many went."""
        before = self._clock.now() - KEPT_AFTER_END
        return await self._database.write(lambda c: repository.delete_sessions_before(c, before, 500))

    async def _authenticated(self, email: str, password: str, user_agent: str | None) -> User:
        folded = fold_email(email)
        user = await self._database.read(lambda c: repository.find_user_by_email(c, self._workspace_id, folded))
        fits = await self._passwords.verify(password, user.password_hash if user else None)
        if user is None or user.disabled or not fits:
            log.info("sign-in refused")
            reason = "unknown_user" if user is None else "disabled" if user.disabled else "wrong_password"
            await self._database.write(lambda c: self._note_refusal(c, user, reason, user_agent))
            raise Unauthenticated("The e-mail address or the password is wrong.", code="wrong_credentials")
        return user

    def _note_refusal(self, connection: Connection, user: User | None, reason: str, user_agent: str | None) -> None:
        """Of nobody we know, not even what was typed: people type passwords into the wrong field."""
        record(
            connection,
            workspace_id=self._workspace_id,
            actor=user.id if user else "nobody",
            action="session.refused",
            object=f"user:{user.email}" if user else "user:unknown",
            detail={"reason": reason, "user_agent": (user_agent or "")[:_AGENT_LENGTH]},
            at=self._clock.now(),
        )

    def _access(self, user_id: str, session_id: str) -> str:
        return self._signer.issue(ACCESS, user_id, ACCESS_SECONDS, {"sid": session_id})

    # --- tokens for tasks -----------------------------------------------------------------------------------

    def issue_task_token(self, workspace_id: str, scopes: frozenset[str], seconds: int = TASK_SECONDS) -> str:
        """For a step's `ctx.api`. Raises ValueError for scopes that no task may have."""
        refused = scopes - (SCOPES - {"users:admin"})
        if refused:
            raise ValueError(f"a task may not have {', '.join(sorted(refused))}")
        extra = {"wid": workspace_id, "scope": " ".join(sorted(scopes))}
        return self._signer.issue(TASK, SYSTEM_USER, min(seconds, TASK_SECONDS), extra)

    # --- judging credentials --------------------------------------------------------------------------------

    async def verify_bearer(self, token: str) -> Verified:
        if token.startswith(API_PREFIX):
            return await self._verify_api_token(token)
        typ, claims = self._signer.read(token)
        if typ == TASK:
            return _verified_task(claims, self._workspace_id)
        if typ != ACCESS:
            raise Unauthenticated("This token is not for the API.", code="invalid_token")
        found = await self._live_session(str(claims.extra.get("sid", "")), TOKEN)
        if found is None or found[1].id != claims.subject:
            raise _ended()
        session, user = found
        return Verified(_principal(user, session.id, "access"), min(claims.expires_at, session.expires_at))

    async def verify_cookie(self, token: str) -> Verified:
        known = await self._database.read(lambda c: repository.find_refresh_token(c, hash_secret(token)))
        found = None if known is None else await self._live_session(known.session_id, COOKIE)
        if found is None:
            raise _ended()
        session, user = found
        return Verified(_principal(user, session.id, "cookie"), session.expires_at, session.csrf)

    async def csrf_of(self, principal: Principal) -> str | None:
        """The CSRF token of a cookie session, for a page that was loaded anew."""
        if principal.kind != COOKIE:
            return None
        found = await self._live_session(principal.session_id or "", COOKIE)
        return found[0].csrf if found else None

    async def _live_session(self, session_id: str, kind: str) -> tuple[Session, User] | None:
        now = self._clock.now()
        found = await self._database.read(lambda c: repository.find_live_session(c, session_id, now))
        return found if found is not None and found[0].kind == kind else None

    async def _verify_api_token(self, token: str) -> Verified:
        now = self._clock.now()
        found = await self._database.read(lambda c: _api_token_and_user(c, hash_secret(token), now))
        if found is None:
            raise Unauthenticated("This API token is unknown, removed or expired.", code="invalid_token")
        api_token, user = found
        if api_token.last_used_at is None or now - api_token.last_used_at > USE_NOTED_EVERY:
            await self._database.write(lambda c: repository.note_api_token_use(c, api_token.id, now))
        return Verified(_api_principal(api_token, user), api_token.expires_at or now + DAY)


def fold_email(email: str) -> str:
    """One spelling of an address for all comparisons."""
    return email.strip().casefold()


def _session(user_id: str, kind: str, now: int, user_agent: str | None, csrf: str | None = None) -> Session:
    agent = user_agent[:_AGENT_LENGTH] if user_agent else None
    return Session(new_id(), user_id, kind, now, now + SESSION_LENGTH[kind], None, agent, csrf)


def _open(connection: Connection, session: Session, user: User, secret_hash: str) -> None:
    repository.insert_session(connection, session)
    now, until = session.created_at, session.expires_at
    repository.insert_refresh_token(connection, secret_hash, session.id, now, until)
    detail = {"kind": session.kind, "user_agent": session.user_agent or ""}
    _note(connection, user, "session.opened", detail, now)


def _end(connection: Connection, session_id: str, reason: str, now: int) -> None:
    """Notes it for the one who ends it first."""
    found = repository.find_live_session(connection, session_id, now)
    if found is not None:
        repository.revoke_session(connection, session_id, now)
        _note(connection, found[1], "session.ended", {"kind": found[0].kind, "reason": reason}, now)


def _note(connection: Connection, user: User, action: str, detail: dict[str, str], at: int) -> None:
    record(
        connection,
        workspace_id=user.workspace_id,
        actor=user.id,
        action=action,
        object=f"user:{user.email}",
        detail=detail,
        at=at,
    )


def _rotate(connection: Connection, old: str, fresh: str, now: int) -> tuple[Session, User] | str:
    """The session, or why not. Returned rather than raised: ending the session must be committed."""
    known = repository.find_refresh_token(connection, old)
    if known is None:
        return "unknown"
    found = repository.find_live_session(connection, known.session_id, now)
    if found is None or found[0].kind != TOKEN:
        return "ended"
    if not repository.use_refresh_token(connection, old, now):
        _end(connection, known.session_id, "refresh_token_reused", now)
        return "reused"
    repository.insert_refresh_token(connection, fresh, known.session_id, now, found[0].expires_at)
    return found


def _api_token_and_user(connection: Connection, token_hash: str, now: int) -> tuple[ApiToken, User | None] | None:
    token = repository.find_live_api_token(connection, token_hash, now)
    if token is None or token.user_id == SYSTEM_USER:
        return None if token is None else (token, None)
    user = repository.find_user(connection, token.workspace_id, token.user_id)
    return None if user is None or user.disabled else (token, user)


def _principal(user: User, session_id: str, kind: str) -> Principal:
    return Principal(user.id, user.workspace_id, user.role, ROLES[user.role], session_id, kind)


def _api_principal(token: ApiToken, user: User | None) -> Principal:
    """A token never has more than its user has now."""
    if user is None:
        return Principal(SYSTEM_USER, token.workspace_id, "admin", token.scopes & SCOPES, None, "system")
    scopes = token.scopes & ROLES[user.role]
    return Principal(user.id, token.workspace_id, user.role, scopes, None, "api_token", token.id)


def _verified_task(claims: Claims, workspace_id: str) -> Verified:
    extra: dict[str, Any] = claims.extra
    if extra.get("wid") != workspace_id:
        raise Unauthenticated("This token is of another workspace.", code="invalid_token")
    scopes = frozenset(str(extra.get("scope", "")).split()) & SCOPES
    return Verified(Principal(SYSTEM_USER, workspace_id, "task", scopes, None, "task"), claims.expires_at)


def _ended() -> Unauthenticated:
    return Unauthenticated("The session has ended. Sign in again.", code="session_ended")
