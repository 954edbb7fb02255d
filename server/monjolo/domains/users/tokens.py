"""Signed tokens (JWT): one literal algorithm, every claim required, no type taken for another."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

import jwt

from monjolo.domains.users.keys import SigningKey
from monjolo.kit.errors import Unauthenticated
from monjolo.kit.ids import new_id
from monjolo.kit.time import SECOND, Clock

ALGORITHM = "EdDSA"
AUDIENCE = "monjolo"
ACCESS, TASK = "at+jwt", "task+jwt"  # the header's `typ`, RFC 9068 and ours
ACCESS_SECONDS = 15 * 60
TASK_SECONDS = 15 * 60
CLOCK_SLACK = 10  # a clock set back by less than this makes no fresh token invalid

API_PREFIX = "mj_"
_REQUIRED = ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"]


@dataclass(frozen=True, slots=True)
class Claims:
    subject: str
    expires_at: int  # microseconds
    extra: dict[str, Any]


class TokenSigner:
    """Issues and reads the installation's JWTs. `issuer` names the installation."""

    def __init__(self, key: SigningKey, issuer: str, clock: Clock) -> None:
        self._key, self._issuer, self._clock = key, issuer, clock

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self._key.jwk]}

    def issue(self, typ: str, subject: str, seconds: int, extra: dict[str, Any]) -> str:
        now = self._clock.now() // SECOND
        claims = extra | {
            "iss": self._issuer, "aud": AUDIENCE, "sub": subject, "iat": now, "nbf": now - CLOCK_SLACK,
            "exp": now + seconds, "jti": new_id(),
        }  # fmt: skip
        return jwt.encode(claims, self._key.private, ALGORITHM, {"kid": self._key.kid, "typ": typ})

    def read(self, token: str) -> tuple[str, Claims]:
        """The type and the claims of a token of ours that holds now. Raises Unauthenticated."""
        try:
            header = jwt.get_unverified_header(token)
            # Nothing in a header chooses the key or the algorithm; it only has to name ours.
            if header.keys() != {"alg", "kid", "typ"} or header["kid"] != self._key.kid:
                raise jwt.InvalidTokenError("a header of another making")
            claims = jwt.decode(
                token,
                self._key.public,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self._issuer,
                # Times are held against the platform's clock below, the same that issues them.
                options={"require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
            self._in_time(claims)
        except jwt.InvalidTokenError as error:
            raise Unauthenticated(
                "The access token does not hold, or no longer. Refresh it or sign in again.",
                code="invalid_token",
            ) from error
        return header["typ"], Claims(claims["sub"], int(claims["exp"]) * SECOND, claims)

    def _in_time(self, claims: dict[str, Any]) -> None:
        now = self._clock.now() // SECOND
        not_before, expires = claims["nbf"], claims["exp"]
        if not (isinstance(not_before, int) and isinstance(expires, int) and not_before <= now < expires):
            raise jwt.ExpiredSignatureError("not now")


def new_secret(prefix: str) -> str:
    """256 random bits as text. Only its hash is kept."""
    return prefix + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Fit for random secrets alone: they need no slow hash, for they cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()
