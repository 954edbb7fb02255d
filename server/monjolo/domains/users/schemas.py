"""The bodies of requests and answers about people."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from monjolo.domains.users.models import ApiToken, User
from monjolo.domains.users.sessions import Tokens
from monjolo.kit.time import to_rfc3339

_ZONES = available_timezones()


def _known_zone(name: str) -> str:
    if name not in _ZONES:
        raise ValueError("not a time zone of the IANA list, such as Europe/Lisbon or UTC")
    return name


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Locale = Annotated[str, StringConstraints(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Zone = Annotated[str, AfterValidator(_known_zone)]
Role = Literal["admin", "editor", "viewer"]
Password = Annotated[str, StringConstraints(max_length=1_000)]  # its rules stand in passwords.py
Secret = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SetUpBody(Body):
    key: Secret
    name: Name
    email: Email
    password: Password
    locale: Locale = "en"
    timezone: Zone = "UTC"


class SignInBody(Body):
    email: Annotated[str, StringConstraints(max_length=254)]
    password: Password


class RefreshBody(Body):
    refresh_token: Secret


class NewUserBody(Body):
    name: Name
    email: Email
    password: Password
    role: Role = "viewer"
    locale: Locale = "en"
    timezone: Zone = "UTC"


class UserPatch(Body):
    name: Name | None = None
    role: Role | None = None
    locale: Locale | None = None
    timezone: Zone | None = None
    disabled: bool | None = None
    password: Password | None = None
    current_password: Password | None = None


class NewTokenBody(Body):
    name: Name
    scopes: Annotated[list[str], Field(min_length=1, max_length=20)]
    expires_at: AwareDatetime | None = Field(
        default=None, description="90 days from now when left out; null for a token that does not expire"
    )


class SetUpState(BaseModel):
    needed: bool


class SetUpLink(BaseModel):
    url: str


class TokensOut(BaseModel):
    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (a kind, no secret)
    expires_in: int


class UserOut(BaseModel):
    id: str
    name: str
    email: str
    role: str
    locale: str
    timezone: str
    disabled: bool
    created_at: str
    updated_at: str


class SessionOut(BaseModel):
    user: UserOut
    csrf_token: str
    expires_at: str


class Me(BaseModel):
    kind: str
    role: str
    scopes: list[str]
    session_id: str | None
    csrf_token: str | None
    user: UserOut | None


class TokenOut(BaseModel):
    id: str
    user_id: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    last_used_at: str | None


class NewTokenOut(TokenOut):
    token: str = Field(description="The secret itself, shown this once")


class UsersPage(BaseModel):
    items: list[UserOut]
    next: str | None


class TokensPage(BaseModel):
    items: list[TokenOut]
    next: str | None


def tokens_out(tokens: Tokens) -> TokensOut:
    return TokensOut(access_token=tokens.access_token, refresh_token=tokens.refresh_token, expires_in=tokens.expires_in)


def user_out(user: User) -> UserOut:
    return UserOut(
        id=user.id,
        name=user.name,
        email=user.email,
        role=user.role,
        locale=user.locale,
        timezone=user.timezone,
        disabled=user.disabled,
        created_at=to_rfc3339(user.created_at),
        updated_at=to_rfc3339(user.updated_at),
    )


def token_out(token: ApiToken) -> TokenOut:
    return TokenOut(
        id=token.id,
        user_id=token.user_id,
        name=token.name,
        prefix=token.prefix,
        scopes=sorted(token.scopes),
        created_at=to_rfc3339(token.created_at),
        expires_at=_instant(token.expires_at),
        last_used_at=_instant(token.last_used_at),
    )


def _instant(instant: int | None) -> str | None:
    return None if instant is None else to_rfc3339(instant)
