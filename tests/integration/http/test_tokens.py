"""Which tokens hold, and for how long (S10)."""

from __future__ import annotations

import base64
import typing
from collections.abc import Callable
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from monjolo.kit import json
from monjolo.kit.time import SECOND

if typing.TYPE_CHECKING:
    from .conftest import House

ME = "/api/v1/auth/me"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def status(client: httpx2.AsyncClient, token: str) -> int:
    return (await client.get(ME, headers=bearer(token))).status_code


def raw_token(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumpb(header), json.dumpb(claims), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def test_other_services_can_verify_our_tokens_with_the_published_key(
    client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    token = admin["authorization"].split()[1]
    keys = jwt.PyJWKSet.from_dict((await client.get("/.well-known/jwks.json")).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="monjolo", issuer="urn:monjolo:trial")
    assert claims.keys() == {"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "sid"}
    assert claims["exp"] - claims["iat"] <= 15 * 60


async def test_a_token_without_a_signature_or_with_another_algorithm_does_not_hold(
    house: House, client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    good = admin["authorization"].split()[1]
    claims = jwt.decode(good, options={"verify_signature": False})
    header = jwt.get_unverified_header(good)
    public = house.key.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    forged = [raw_token(header | {"alg": alg}, claims) for alg in ("none", "None", "NONE", "HS256", "EdDSA")]
    secrets = (public, house.key.public.public_bytes_raw(), b"x" * 32)
    for secret in secrets:
        key = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        unsigned = raw_token(header | {"alg": "HS256"}, claims).rstrip(".")
        signature = base64.urlsafe_b64encode(key.sign(unsigned.encode(), secret)).rstrip(b"=").decode()
        forged.append(f"{unsigned}.{signature}")
    rsa_key = rsa.generate_private_key(65537, 2048)
    forged.append(jwt.encode(claims, rsa_key, "RS256", {"kid": header["kid"], "typ": header["typ"]}))
    for token in forged:
        assert await status(client, token) == 401, token
    assert await status(client, good) == 200


async def test_nothing_in_a_header_chooses_the_key(
    house: House, client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    good = admin["authorization"].split()[1]
    claims = jwt.decode(good, options={"verify_signature": False})
    own = {"kid": house.key.kid, "typ": "at+jwt"}
    for header in (
        own | {"kid": "../../../../dev/null"},
        own | {"kid": "' OR 1=1 --"},
        own | {"kid": ""},
        own | {"jku": "https://attacker.example/jwks.json"},
        own | {"jwk": house.key.jwk},
        own | {"x5u": "https://attacker.example/cert.pem"},
        own | {"crit": ["exp"]},
        own | {"cty": "JWT"},
        {"typ": "at+jwt"},
    ):
        token = jwt.encode(claims, house.key.private, "EdDSA", header)
        assert await status(client, token) == 401, header


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "another"}, {"aud": None}, {"iss": "urn:monjolo:other"}, {"iss": None}, {"exp": None},
        {"nbf": None}, {"jti": None}, {"sub": None}, {"iat": None}, {"sid": None}, {"sid": "unknown"},
        {"sub": "somebody-else"}, {"exp": "never"}, {"exp": 1}, {"nbf": 2**40}, {"aud": ["x", "y"]},
        {"exp": True}, {"exp": 1e400},
    ],
)  # fmt: skip
async def test_every_claim_is_needed_and_must_fit(
    house: House, client: httpx2.AsyncClient, admin: dict[str, str], change: dict[str, Any]
) -> None:
    good = admin["authorization"].split()[1]
    claims = jwt.decode(good, options={"verify_signature": False}) | change
    kept = {name: value for name, value in claims.items() if value is not None}
    token = jwt.encode(kept, house.key.private, "EdDSA", {"kid": house.key.kid, "typ": "at+jwt"})
    assert await status(client, token) == 401


async def test_one_type_of_token_is_not_taken_for_another(
    house: House, client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    good = admin["authorization"].split()[1]
    claims = jwt.decode(good, options={"verify_signature": False})
    for typ in ("JWT", "task+jwt", "refresh+jwt", "AT+JWT", ""):
        token = jwt.encode(claims, house.key.private, "EdDSA", {"kid": house.key.kid, "typ": typ})
        assert await status(client, token) == 401, typ


async def test_a_token_of_another_installation_does_not_hold(
    client: httpx2.AsyncClient, admin: dict[str, str], make_house: Callable[..., House]
) -> None:
    other = make_house()
    async with other.client() as other_client:
        foreign = (await other.signed_in(other_client))["authorization"].split()[1]
        assert await status(other_client, foreign) == 200
        assert await status(other_client, admin["authorization"].split()[1]) == 401
    assert await status(client, foreign) == 401


async def test_an_access_token_ends_after_fifteen_minutes(
    house: House, client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    token = admin["authorization"].split()[1]
    house.clock.pass_seconds(15 * 60 - 1)
    assert await status(client, token) == 200
    house.clock.pass_seconds(1)
    house.authentication.forget()
    assert await status(client, token) == 401


async def test_garbage_is_refused_and_harms_nothing(client: httpx2.AsyncClient) -> None:
    for token in ("", "x", "a.b.c", "mj_", "mj_" + "x" * 43, "." * 50, "é" * 9, "x" * 9_000, "Bearer"):
        answer = await client.get(ME, headers={"authorization": f"Bearer {token}".encode()})
        assert answer.status_code == 401, token
    for header in ("Basic YTpi", "Bearer", "bearer", "Token x", ""):
        assert (await client.get(ME, headers={"authorization": header})).status_code == 401


async def test_a_task_token_has_its_scopes_only_and_ends_soon(house: House, client: httpx2.AsyncClient) -> None:
    token = house.sessions.issue_task_token(house.workspace, frozenset({"flows:read"}), 60)
    assert (await client.get("/api/v1/trial/large", headers=bearer(token))).status_code == 200
    item = {"name": "x", "sizes": []}
    refused = await client.post("/api/v1/trial/items", headers=bearer(token), json=item)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "flows:write" in refused.json()["detail"]
    made = await client.post("/api/v1/tokens", headers=bearer(token), json={"name": "x", "scopes": ["flows:read"]})
    assert made.status_code == 403
    house.clock.pass_seconds(61)
    house.authentication.forget()
    assert await status(client, token) == 401
    elsewhere = house.sessions.issue_task_token("another-workspace", frozenset({"flows:read"}), 60)
    assert await status(client, elsewhere) == 401
    with pytest.raises(ValueError, match="users:admin"):
        house.sessions.issue_task_token(house.workspace, frozenset({"users:admin"}), 60)


async def test_an_api_token_is_shown_once_kept_as_hash_and_ends_when_it_should(
    house: House, client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    made = await client.post("/api/v1/tokens", headers=admin, json={"name": "ci", "scopes": ["flows:read"]})
    assert made.status_code == 201
    token, identity = made.json()["token"], made.json()["id"]
    assert token.startswith(made.json()["prefix"])
    listed = await client.get("/api/v1/tokens", headers=admin)
    assert [item["name"] for item in listed.json()["items"]] == ["ci"]
    assert token not in listed.text
    stored = await house.database.read(lambda c: [tuple(row) for row in c.execute("SELECT * FROM api_tokens")])
    assert token not in repr(stored)
    assert await status(client, token) == 200
    assert (await client.get("/api/v1/users", headers=bearer(token))).status_code == 403
    assert (await client.post("/api/v1/auth/logout", headers=bearer(token))).status_code == 409
    used = await client.get("/api/v1/tokens", headers=admin)
    assert used.json()["items"][0]["last_used_at"] is not None
    assert (await client.delete(f"/api/v1/tokens/{identity}", headers=admin)).status_code == 204
    assert await status(client, token) == 401
    assert (await client.delete(f"/api/v1/tokens/{identity}", headers=admin)).status_code == 404


async def test_an_api_token_expires_and_cannot_have_more_than_its_maker(
    house: House, client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    from monjolo.kit.time import to_rfc3339

    soon = to_rfc3339(house.clock.now() + 60 * SECOND)
    body = {"name": "x", "scopes": ["flows:read", "users:admin"], "expires_at": soon}
    narrow = (await client.post("/api/v1/tokens", headers=admin, json=body | {"scopes": ["flows:read"]})).json()
    beyond = await client.post("/api/v1/tokens", headers=bearer(narrow["token"]), json=body)
    assert (beyond.status_code, beyond.json()["code"]) == (403, "not_a_person")
    for scopes in ([], ["flows:fly"], ["*"]):
        refused = await client.post("/api/v1/tokens", headers=admin, json=body | {"scopes": scopes})
        assert refused.status_code == 422
    house.clock.pass_seconds(61)
    house.authentication.forget()
    assert await status(client, narrow["token"]) == 401


async def test_the_command_line_of_this_machine_has_a_token_file_of_its_own(
    house: House, client: httpx2.AsyncClient, tmp_path: Any
) -> None:
    path = tmp_path / "cli" / "token"
    await house.users.ensure_cli_token(path)
    first = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    me = await client.get(ME, headers=bearer(first.strip()))
    assert (me.json()["kind"], "users:admin" in me.json()["scopes"]) == ("system", True)
    await house.users.ensure_cli_token(path)
    assert path.read_text() == first
    path.chmod(0o644)
    await house.users.ensure_cli_token(path)
    assert path.read_text() != first
    house.authentication.forget()
    assert await status(client, first.strip()) == 401
    user = {"name": "Bia", "email": "bia@example.org", "password": "quatro palavras bem juntas", "role": "admin"}
    made = await client.post("/api/v1/users", headers=bearer(path.read_text().strip()), json=user)
    assert made.status_code == 201
    assert not await house.set_up.needed()
