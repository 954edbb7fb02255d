"""/setup, /auth, /users, /tokens, and the public keys at the root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request, Response

from monjolo.domains.users.models import User
from monjolo.domains.users.schemas import (
    Me,
    NewTokenBody,
    NewTokenOut,
    NewUserBody,
    RefreshBody,
    SessionOut,
    SetUpBody,
    SetUpLink,
    SetUpState,
    SignInBody,
    TokensOut,
    TokensPage,
    UserOut,
    UserPatch,
    UsersPage,
    token_out,
    tokens_out,
    user_out,
)
from monjolo.domains.users.service import TOKEN_LASTS, UserChange, Users
from monjolo.domains.users.sessions import Sessions, fold_email
from monjolo.domains.users.setup import NewUser, SetUp
from monjolo.domains.users.tokens import TokenSigner
from monjolo.http.auth import (
    COOKIE_HTTP,
    COOKIE_HTTPS,
    Principal,
    cookie_allowed,
    current,
    require,
    same_origin,
)
from monjolo.http.etag import IfMatch, etag, if_match
from monjolo.http.hot import add_hot_route, json_response
from monjolo.http.limits import Limit, RateLimiter, address
from monjolo.http.paging import PageQuery, page_of, page_query
from monjolo.kit.errors import Forbidden
from monjolo.kit.time import Clock, from_datetime, to_rfc3339

PER_ACCOUNT = Limit("sign-in-account", 10, 300)
PER_ADDRESS = Limit("sign-in-address", 60, 300)
PER_REFRESH = Limit("refresh-address", 300, 300)
PER_SETUP = Limit("setup-address", 30, 300)


@dataclass(frozen=True, slots=True)
class UserServices:
    """What the endpoints need, built by bootstrap. `forget`: see `Authentication.forget`; `own_url`: where people
    reach the platform."""

    sessions: Sessions
    set_up: SetUp
    users: Users
    limiter: RateLimiter
    clock: Clock
    forget: Callable[[], None]
    allow_http: bool = False
    own_url: Callable[[], str] = str


def router(services: UserServices) -> APIRouter:
    """Everything of this domain under /api/v1."""
    routes = APIRouter()
    routes.include_router(_setup_router(services), tags=["setup"])
    routes.include_router(_auth_router(services), tags=["auth"])
    routes.include_router(_users_router(services), tags=["users"])
    routes.include_router(_tokens_router(services), tags=["tokens"])
    return routes


def well_known_router(signer: TokenSigner) -> APIRouter:
    """The public keys with which other services verify our access tokens; at the root."""
    routes = APIRouter()

    async def jwks(request: Request) -> Response:
        return json_response(signer.jwks(), headers={"cache-control": "public, max-age=3600"})

    described = {"tags": ["auth"], "summary": "The public keys of access tokens", "responses": {
        "200": {"description": "A JSON Web Key Set", "content": {"application/json": {}}}}}  # fmt: skip
    add_hot_route(routes, "GET", "/.well-known/jwks.json", jwks, needs=None, openapi=described)
    return routes


def _setup_router(services: UserServices) -> APIRouter:
    routes = APIRouter(prefix="/setup")

    @routes.post("/link", status_code=201)
    async def new_link(_: Principal = Depends(require("users:admin"))) -> SetUpLink:
        """A new one-time link for the first user; every earlier one ends. 409 once there is a user."""
        return SetUpLink(url=await services.set_up.setup_link(services.own_url()))

    @routes.get("/state")
    async def setup_state() -> SetUpState:
        """Whether the first user is still to be made."""
        return SetUpState(needed=await services.set_up.needed())

    @routes.post("", status_code=201)
    async def set_up(request: Request, body: SetUpBody) -> TokensOut:
        """Make the first user, an admin, with the one-time key that the platform printed."""
        services.limiter.hit(request.scope, PER_SETUP, address(request.scope))
        new = NewUser(body.name, body.email, body.locale, body.timezone, "admin", body.password)
        return tokens_out(await services.set_up.set_up(body.key, new, request.headers.get("user-agent")))

    return routes


def _auth_router(services: UserServices) -> APIRouter:
    routes = APIRouter(prefix="/auth")
    sessions = services.sessions

    @routes.post("/token")
    async def sign_in(request: Request, body: SignInBody) -> TokensOut:
        """Sign in as a program: a short access token, and a refresh token for one use."""
        _count_sign_in(services, request, body.email)
        tokens = await sessions.sign_in(body.email, body.password, request.headers.get("user-agent"))
        services.limiter.forgive(PER_ACCOUNT, fold_email(body.email))
        return tokens_out(tokens)

    @routes.post("/session")
    async def sign_in_browser(request: Request, response: Response, body: SignInBody) -> SessionOut:
        """Sign in as a browser, by a cookie that no script reads. Changes need `csrf_token` as X-CSRF-Token."""
        if same_origin(request.scope, dict(request.scope["headers"])) is False:
            raise Forbidden("Sign in from this very site.", code="cross_origin")
        if not cookie_allowed(request.scope, allow_http=services.allow_http):
            raise Forbidden(
                "A session cookie needs HTTPS, or this machine itself, or MONJOLO_ALLOW_HTTP.",
                code="needs_https",
            )
        _count_sign_in(services, request, body.email)
        agent = request.headers.get("user-agent")
        opened = await sessions.sign_in_browser(body.email, body.password, agent)
        services.limiter.forgive(PER_ACCOUNT, fold_email(body.email))
        _set_cookie(response, request, opened.secret, (opened.expires_at - services.clock.now()) // 1_000_000)
        return SessionOut(user=user_out(opened.user), csrf_token=opened.csrf, expires_at=to_rfc3339(opened.expires_at))

    @routes.post("/refresh")
    async def refresh(request: Request, body: RefreshBody) -> TokensOut:
        """A new pair of tokens for a refresh token, which is spent. Used twice, it ends the whole session."""
        services.limiter.hit(request.scope, PER_REFRESH, address(request.scope))
        return tokens_out(await sessions.refresh(body.refresh_token))

    @routes.post("/logout", status_code=204)
    async def sign_out(request: Request, response: Response, principal: Principal = Depends(current)) -> None:
        """End this session, with all its tokens."""
        await sessions.sign_out(principal)
        services.forget()
        _set_cookie(response, request, "", 0)

    @routes.get("/me")
    async def me(principal: Principal = Depends(current)) -> Me:
        """Who I am and what I may do; for a browser's session also its CSRF token."""
        user = await services.users.find(principal.workspace_id, principal.user_id)
        return Me(
            kind=principal.kind,
            role=principal.role,
            scopes=sorted(principal.scopes),
            session_id=principal.session_id,
            csrf_token=await sessions.csrf_of(principal),
            user=None if user is None else user_out(user),
        )

    return routes


def _users_router(services: UserServices) -> APIRouter:
    routes = APIRouter(prefix="/users")
    users = services.users

    @routes.get("")
    async def list_users(
        page: PageQuery = Depends(page_query), principal: Principal = Depends(require("users:admin"))
    ) -> UsersPage:
        key = page.key(str)
        found = await users.list_users(principal.workspace_id, str(key[0]) if key else None, page.limit + 1)
        items, following = page_of(found, page, lambda user: (user.id,))
        return UsersPage(items=[user_out(user) for user in items], next=following)

    @routes.post("", status_code=201)
    async def create_user(
        body: NewUserBody, response: Response, principal: Principal = Depends(require("users:admin"))
    ) -> UserOut:
        new = NewUser(body.name, body.email, body.locale, body.timezone, body.role, body.password)
        return _tagged(response, await users.create(principal, new))

    @routes.patch("/{user_id}")
    async def change_user(
        user_id: str,
        body: UserPatch,
        response: Response,
        match: IfMatch = Depends(if_match),
        principal: Principal = Depends(current),
    ) -> UserOut:
        """Admins change anybody; others their own name, language, time zone and password."""
        change = UserChange(**body.model_dump())
        return _tagged(response, await users.change(principal, user_id, change, match))

    return routes


def _tokens_router(services: UserServices) -> APIRouter:
    routes = APIRouter(prefix="/tokens")
    users = services.users

    @routes.get("")
    async def list_tokens(page: PageQuery = Depends(page_query), principal: Principal = Depends(current)) -> TokensPage:
        """One's own API tokens; for admins everybody's. The secrets never come back."""
        key = page.key(str)
        found = await users.list_tokens(principal, str(key[0]) if key else None, page.limit + 1)
        items, following = page_of(found, page, lambda token: (token.id,))
        return TokensPage(items=[token_out(token) for token in items], next=following)

    @routes.post("", status_code=201)
    async def create_token(body: NewTokenBody, principal: Principal = Depends(current)) -> NewTokenOut:
        """Make an API token. Its secret is in this answer and nowhere else."""
        expires_at: int | None = services.clock.now() + TOKEN_LASTS
        if "expires_at" in body.model_fields_set:
            expires_at = from_datetime(body.expires_at) if body.expires_at else None
        scopes = frozenset(body.scopes)
        token, secret = await users.create_token(principal, body.name, scopes, expires_at)
        return NewTokenOut(**token_out(token).model_dump(), token=secret)

    @routes.delete("/{token_id}", status_code=204)
    async def revoke_token(token_id: str, principal: Principal = Depends(current)) -> None:
        """Remove a token; it stops working within 5 seconds everywhere, here at once."""
        await users.revoke_token(principal, token_id)

    return routes


def _count_sign_in(services: UserServices, request: Request, email: str) -> None:
    services.limiter.hit(request.scope, PER_ADDRESS, address(request.scope))
    services.limiter.hit(request.scope, PER_ACCOUNT, fold_email(email))


def _set_cookie(response: Response, request: Request, value: str, seconds: int) -> None:
    secure = request.scope["scheme"] == "https"
    name = COOKIE_HTTPS if secure else COOKIE_HTTP
    response.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="strict")


def _tagged(response: Response, user: User) -> UserOut:
    response.headers["ETag"] = etag(user.updated_at)
    return user_out(user)
