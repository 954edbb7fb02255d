"""Passwords: which are good enough, and argon2id in a thread, so that the event loop goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError

from monjolo.kit.errors import InvalidInput, Problem

SHORTEST, LONGEST = 10, 256

# Of the most used passwords, those that are long enough to pass the first rule.
_COMMON = frozenset(Path(__file__).with_name("common_passwords.txt").read_text().split())


class Passwords:
    """Hashes and checks. At most two at a time: each takes 64 MiB and a fifth of a second of a core."""

    def __init__(self, hasher: PasswordHash | None = None) -> None:
        self._hasher = hasher or PasswordHash.recommended()
        self._room = asyncio.Semaphore(2)
        self._nobody = ""

    async def hash(self, password: str) -> str:
        async with self._room:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password fits; `hashed` None (no such user) takes the same work and is False."""
        async with self._room:
            fits = await asyncio.to_thread(self._fits, password, hashed)
        return fits and hashed is not None

    def _fits(self, password: str, hashed: str | None) -> bool:
        # Verified for unknown users, so that their sign-in takes as long as that of known ones (S14). Made at the
        # first sign-in, whoever's, for it would make every start slower.
        self._nobody = self._nobody or self._hasher.hash("a password that nobody has")
        try:
            return self._hasher.verify(password, hashed or self._nobody)
        except UnknownHashError:
            return False


def check_password(password: str, email: str) -> None:
    """Raises InvalidInput, saying what would be better."""
    reason = _weakness(password, email)
    if reason is not None:
        code, message = reason
        raise InvalidInput(message, code="weak_password", errors=[Problem("password", code, message)])


def _weakness(password: str, email: str) -> tuple[str, str] | None:
    if len(password) < SHORTEST:
        return "too_short", f"Choose a password of {SHORTEST} characters or more; a short sentence is good."
    if len(password) > LONGEST:
        return "too_long", f"Choose a password of at most {LONGEST} characters."
    folded = password.casefold()
    local = email.split("@")[0].casefold()
    if folded in _COMMON or folded.rstrip("0123456789!.") in _COMMON or len(set(folded)) < 4:
        return "too_common", "Choose another password: this one is among the first that anybody tries."
    if folded == email.casefold() or (len(local) >= 4 and folded.strip("0123456789!.") == local):
        return "too_near", "Choose a password that is not your e-mail address."
    return None
