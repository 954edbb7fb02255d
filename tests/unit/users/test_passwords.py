from __future__ import annotations

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from monjolo.domains.users.passwords import Passwords, check_password
from monjolo.kit.errors import InvalidInput

QUICK = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))


async def test_a_password_fits_its_own_hash_alone_and_nobody_has_one() -> None:
    passwords = Passwords(QUICK)
    hashed = await passwords.hash("frase comprida")
    assert hashed.startswith("$argon2id$")
    assert hashed != await passwords.hash("frase comprida")
    assert await passwords.verify("frase comprida", hashed)
    assert not await passwords.verify("outra frase", hashed)
    assert not await passwords.verify("a password that nobody has", None)
    assert not await passwords.verify("x", "what is no hash")


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("curta", "too_short"), ("x" * 257, "too_long"), ("qwertyuiop", "too_common"), ("QwertyUiop", "too_common"),
        ("password123", "too_common"), ("abababababab", "too_common"), ("maria.silva99", "too_near"),
        ("Maria.Silva@example.org", "too_near"),
    ],
)  # fmt: skip
def test_a_weak_password_is_refused_by_the_rule_it_breaks(password: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_password(password, "maria.silva@example.org")
    assert refused.value.errors[0].code == code


@pytest.mark.parametrize("password", ["três patos no lago", "k8&Lw0-pQz", "correct horse battery staple"])
def test_a_good_password_is_taken(password: str) -> None:
    check_password(password, "ana@example.org")
