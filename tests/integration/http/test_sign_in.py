"""Set-up, sign-in, sign-out, and what ends a session."""

from __future__ import annotations

import asyncio
import typing
from collections import Counter
from typing import Any

import httpx2
import pytest

if typing.TYPE_CHECKING:
    from .conftest import House

ME = "/api/v1/auth/me"
EMAIL, PASSWORD = "ana@example.org", "um moinho que anda só"
CREDENTIALS = {"email": EMAIL, "password": PASSWORD}
OWN_PAGE = {"sec-fetch-site": "same-origin"}


def setup_body(link: str, **changes: str) -> dict[str, str]:
    key = link.split("#setup=")[1]
    body = {"key": key, "name": "Ana", "locale": "pt-BR", "timezone": "America/Sao_Paulo"}
    return body | CREDENTIALS | changes


async def test_of_fifty_parallel_set_ups_one_wins(house: House, client: httpx2.AsyncClient) -> None:
    link = await house.set_up.setup_link("http://localhost:7700/")
    assert link.startswith("http://localhost:7700/#setup=mjk_")

    async def attempt(number: int) -> int:
        body = setup_body(link, email=f"user{number}@example.org")
        async with house.client(address=f"10.0.0.{number}") as own:
            return (await own.post("/api/v1/setup", json=body)).status_code

    assert Counter(await asyncio.gather(*(attempt(n) for n in range(50)))) == {201: 1, 409: 49}
    count = await house.database.read(lambda c: c.execute("SELECT count(*) FROM users").fetchone()[0])
    assert count == 1
    assert (await client.get("/api/v1/setup/state")).json() == {"needed": False}


async def test_set_up_needs_the_newest_key_while_it_lasts(house: House, client: httpx2.AsyncClient) -> None:
    assert (await client.get("/api/v1/setup/state")).json() == {"needed": True}
    old = await house.set_up.setup_link("http://x")
    new = await house.set_up.setup_link("http://x")
    for body in (setup_body(old), setup_body(new, key="mjk_guess")):
        refused = await client.post("/api/v1/setup", json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "setup_key")
    kept = await house.database.read(lambda c: [tuple(row) for row in c.execute("SELECT * FROM meta")])
    assert new.split("=")[1] not in repr(kept)
    house.clock.pass_seconds(24 * 3600)
    assert (await client.post("/api/v1/setup", json=setup_body(new))).status_code == 403
    fresh = await house.set_up.setup_link("http://x")
    answer = await client.post("/api/v1/setup", json=setup_body(fresh))
    assert answer.status_code == 201
    assert answer.json().keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    again = await client.post("/api/v1/setup", json=setup_body(fresh))
    assert (again.status_code, again.json()["code"]) == (409, "already_set_up")


@pytest.mark.parametrize("password", ["short", "1234567890", "Password123!", "aaaaaaaaaaaa", "ana@example.org"])
async def test_a_weak_password_is_refused_with_what_to_do(
    house: House, client: httpx2.AsyncClient, password: str
) -> None:
    link = await house.set_up.setup_link("http://x")
    refused = await client.post("/api/v1/setup", json=setup_body(link, password=password))
    assert (refused.status_code, refused.json()["code"]) == (422, "weak_password")
    assert "Choose" in refused.json()["detail"]
    assert (await client.post("/api/v1/setup", json=setup_body(link))).status_code == 201


async def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(
    client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    answers = []
    for body in (CREDENTIALS | {"password": "wrong"}, CREDENTIALS | {"email": "nobody@example.org"}):
        answer = await client.post("/api/v1/auth/token", json=body)
        answers.append({k: v for k, v in answer.json().items() if k != "request_id"} | {"s": answer.status_code})
    assert answers[0] == answers[1]
    assert (answers[0]["s"], answers[0]["code"]) == (401, "wrong_credentials")
    right = await client.post("/api/v1/auth/token", json=CREDENTIALS | {"email": " ANA@example.org "})
    assert right.status_code == 200


async def test_guessing_is_slowed_down_for_an_account_and_for_an_address(
    house: House, client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    wrong = CREDENTIALS | {"password": "wrong"}
    for _ in range(12):
        assert (await client.post("/api/v1/auth/token", json=CREDENTIALS)).status_code == 200
    for number in range(10):
        async with house.client(address=f"10.0.1.{number}") as elsewhere:
            assert (await elsewhere.post("/api/v1/auth/token", json=wrong)).status_code == 401
    refused = await client.post("/api/v1/auth/token", json=CREDENTIALS)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["retry-after"]) <= 300
    assert refused.headers["ratelimit-remaining"] == "0"
    async with house.client(address="10.0.2.1") as spraying:
        statuses = Counter()
        for number in range(61):
            body = {"email": f"user{number}@example.org", "password": "wrong"}
            statuses[(await spraying.post("/api/v1/auth/token", json=body)).status_code] += 1
    assert statuses == {401: 60, 429: 1}


async def test_a_refresh_token_works_once_and_its_reuse_ends_the_whole_session(
    client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    first = (await client.post("/api/v1/auth/token", json=CREDENTIALS)).json()
    second = (await client.post("/api/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})).json()
    fresh = {"authorization": f"Bearer {second['access_token']}"}
    assert (await client.get(ME, headers=fresh)).status_code == 200
    reused = await client.post("/api/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert (reused.status_code, reused.json()["code"]) == (401, "invalid_refresh_token")
    after = await client.post("/api/v1/auth/refresh", json={"refresh_token": second["refresh_token"]})
    assert after.status_code == 401
    assert (await client.get(ME, headers=admin)).status_code == 200, "another session of theirs goes on"


async def test_of_parallel_uses_of_one_refresh_token_at_most_one_succeeds(
    client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    first = (await client.post("/api/v1/auth/token", json=CREDENTIALS)).json()
    body = {"refresh_token": first["refresh_token"]}
    answers = await asyncio.gather(*(client.post("/api/v1/auth/refresh", json=body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9


async def test_signing_out_ends_the_tokens_here_at_once(client: httpx2.AsyncClient, admin: dict[str, str]) -> None:
    tokens = (await client.post("/api/v1/auth/token", json=CREDENTIALS)).json()
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    assert (await client.get(ME, headers=headers)).status_code == 200
    assert (await client.post("/api/v1/auth/logout", headers=headers)).status_code == 204
    assert (await client.get(ME, headers=headers)).status_code == 401
    refresh = await client.post("/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert refresh.status_code == 401


async def test_a_revocation_by_another_process_acts_within_five_seconds(
    house: House, client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    from monjolo.http.auth import Authentication

    ticks = [0.0]
    authentication = Authentication(house.sessions, house.clock, ticks=lambda: ticks[0])
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "scheme": "http",
        "headers": [(b"authorization", admin["authorization"].encode())],
    }  # fmt: skip
    session = (await authentication.principal(scope)).session_id
    await house.database.write(lambda c: c.execute("UPDATE sessions SET revoked_at = 1 WHERE id = ?", (session,)))
    assert await authentication.principal(scope)
    ticks[0] = 5.0
    with pytest.raises(Exception, match="session has ended"):
        await authentication.principal(scope)


async def test_disabling_a_user_or_changing_a_password_ends_sessions(
    house: House, client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    new = {"name": "Rui", "email": "rui@example.org", "password": "outra frase comprida", "role": "editor"}
    user = (await client.post("/api/v1/users", headers=admin, json=new)).json()
    credentials = {"email": new["email"], "password": new["password"]}

    async def signed_in() -> dict[str, str]:
        tokens = (await client.post("/api/v1/auth/token", json=credentials)).json()
        return {"authorization": f"Bearer {tokens['access_token']}"}

    one, two = await signed_in(), await signed_in()
    made = await client.post("/api/v1/tokens", headers=one, json={"name": "t", "scopes": ["flows:read"]})
    api = {"authorization": f"Bearer {made.json()['token']}"}
    change = {"password": "mais uma frase comprida", "current_password": "wrong"}
    address = f"/api/v1/users/{user['id']}"
    assert (await client.patch(address, headers=one, json=change)).json()["code"] == "wrong_password"
    change["current_password"] = new["password"]
    assert (await client.patch(address, headers=one, json=change)).status_code == 200
    assert (await client.get(ME, headers=one)).status_code == 200, "the session that changed it goes on"
    assert (await client.get(ME, headers=two)).status_code == 401
    assert (await client.patch(address, headers=admin, json={"disabled": True})).status_code == 200
    for headers in (one, api):
        assert (await client.get(ME, headers=headers)).status_code == 401
    credentials["password"] = change["password"]
    assert (await client.post("/api/v1/auth/token", json=credentials)).status_code == 401


async def test_roles_bound_what_people_may_do_to_people(client: httpx2.AsyncClient, admin: dict[str, str]) -> None:
    new = {"name": "Eva", "email": "eva@example.org", "password": "frase de quatro palavras", "role": "viewer"}
    made = await client.post("/api/v1/users", headers=admin, json=new)
    assert made.headers["etag"].startswith('"')
    twice = await client.post("/api/v1/users", headers=admin, json=new | {"email": "EVA@example.org"})
    assert (twice.status_code, twice.json()["code"]) == (409, "email_taken")
    tokens = (await client.post("/api/v1/auth/token", json={k: new[k] for k in ("email", "password")})).json()
    eva = {"authorization": f"Bearer {tokens['access_token']}"}
    own, ana = made.json()["id"], (await client.get(ME, headers=admin)).json()["user"]["id"]
    assert (await client.get("/api/v1/users", headers=eva)).status_code == 403
    assert (await client.patch(f"/api/v1/users/{ana}", headers=eva, json={"name": "x"})).status_code == 403
    assert (await client.patch(f"/api/v1/users/{own}", headers=eva, json={"role": "admin"})).status_code == 403
    renamed = await client.patch(f"/api/v1/users/{own}", headers=eva, json={"name": "Eva Maria"})
    assert renamed.json()["name"] == "Eva Maria"
    stale = await client.patch(
        f"/api/v1/users/{own}", headers=admin | {"if-match": made.headers["etag"]}, json={"role": "editor"}
    )
    assert stale.status_code == 412
    last = await client.patch(f"/api/v1/users/{ana}", headers=admin, json={"role": "viewer"})
    assert (last.status_code, last.json()["code"]) == (409, "last_admin")
    assert (await client.get(ME, headers=admin)).json()["role"] == "admin"
    first = (await client.get("/api/v1/users?limit=1", headers=admin)).json()
    rest = (await client.get(f"/api/v1/users?limit=1&after={first['next']}", headers=admin)).json()
    assert [first["items"][0]["name"], rest["items"][0]["name"], rest["next"]] == ["Ana", "Eva Maria", None]


async def test_a_browser_gets_a_cookie_that_no_script_and_no_other_site_can_use(
    house: House, admin: dict[str, str]
) -> None:
    async with house.client(base_url="https://monjolo.example") as browser:
        opened = await browser.post("/api/v1/auth/session", json=CREDENTIALS, headers=OWN_PAGE)
        cookie = opened.headers["set-cookie"]
        assert cookie.startswith("__Host-monjolo_session=mjs_")
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
        assert opened.headers["strict-transport-security"]
        csrf = opened.json()["csrf_token"]
        assert (await browser.get(ME)).json()["csrf_token"] == csrf
        item = {"name": "x", "sizes": []}
        tried = {
            "nothing": {},
            "no token": OWN_PAGE,
            "a wrong token": OWN_PAGE | {"x-csrf-token": "guess"},
            "no origin": {"x-csrf-token": csrf},
            "another site": {"x-csrf-token": csrf, "sec-fetch-site": "cross-site"},
            "a sister site": {"x-csrf-token": csrf, "sec-fetch-site": "same-site"},
            "another origin": {"x-csrf-token": csrf, "origin": "https://attacker.example"},
            "the null origin": {"x-csrf-token": csrf, "origin": "null"},
        }
        for name, headers in tried.items():
            refused = await browser.post("/api/v1/trial/items", json=item, headers=headers)
            assert refused.status_code == 403, name
        for headers in (OWN_PAGE, {"origin": "https://monjolo.example"}):
            sent = await browser.post("/api/v1/trial/items", json=item, headers=headers | {"x-csrf-token": csrf})
            assert sent.status_code == 201
        ended = await browser.post("/api/v1/auth/logout", headers=OWN_PAGE | {"x-csrf-token": csrf})
        assert ended.status_code == 204
        browser.cookies.set("__Host-monjolo_session", cookie.split("=")[1].split(";")[0])
        assert (await browser.get(ME)).status_code == 401


async def test_over_plain_http_a_cookie_is_for_this_machine_or_by_explicit_choice(
    house: House, admin: dict[str, str], make_house: typing.Callable[..., House]
) -> None:
    async with house.client(address="127.0.0.1") as local, house.client(address="10.0.0.9") as remote:
        opened = await local.post("/api/v1/auth/session", json=CREDENTIALS, headers=OWN_PAGE)
        assert opened.headers["set-cookie"].startswith("monjolo_session=")
        refused = await remote.post("/api/v1/auth/session", json=CREDENTIALS, headers=OWN_PAGE)
        assert (refused.status_code, refused.json()["code"]) == (403, "needs_https")
        remote.cookies = local.cookies
        assert (await local.get(ME)).status_code == 200
        assert (await remote.get(ME)).status_code == 401
    open_house = make_house(allow_http=True)
    async with open_house.client(address="10.0.0.9") as remote:
        await open_house.signed_in(remote)
        await remote.post("/api/v1/auth/session", json=CREDENTIALS, headers=OWN_PAGE)
        assert (await remote.get(ME)).status_code == 200


async def test_another_site_cannot_sign_a_browser_in(client: httpx2.AsyncClient, admin: dict[str, str]) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://attacker.example"}, {"origin": "null"}):
        refused = await client.post("/api/v1/auth/session", json=CREDENTIALS, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "cross_origin")
    form = await client.post("/api/v1/auth/session", content=b'{"email": "x"}', headers={"content-type": "text/plain"})
    assert form.status_code == 422


async def test_a_refresh_token_is_no_cookie_and_a_cookie_no_refresh_token(
    house: House, client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    tokens = (await client.post("/api/v1/auth/token", json=CREDENTIALS)).json()
    async with house.client() as browser:
        browser.cookies.set("monjolo_session", tokens["refresh_token"])
        assert (await browser.get(ME)).status_code == 401
        browser.cookies.clear()
        await browser.post("/api/v1/auth/session", json=CREDENTIALS, headers=OWN_PAGE)
        secret = browser.cookies["monjolo_session"]
    refused = await client.post("/api/v1/auth/refresh", json={"refresh_token": secret})
    assert refused.status_code == 401
    for wrong in (tokens["refresh_token"], secret):
        assert (await client.get(ME, headers={"authorization": f"Bearer {wrong}"})).status_code == 401


async def test_long_ended_sessions_are_removed(house: House, client: httpx2.AsyncClient, admin: dict[str, str]) -> None:
    assert await house.sessions.forget_ended() == 0
    house.clock.pass_seconds(61 * 24 * 3600)
    assert await house.sessions.forget_ended() == 1
    assert (await client.get(ME, headers=admin)).status_code == 401


def test_the_signing_key_is_for_its_owner_alone(house: House, tmp_path: Any) -> None:
    from monjolo.domains.users.keys import load_or_create_signing_key

    folder = tmp_path / "keys"
    path = folder / "tokens.pem"
    assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert load_or_create_signing_key(folder).kid == house.key.kid
    path.chmod(0o640)
    with pytest.raises(Exception, match="chmod 600"):
        load_or_create_signing_key(folder)
    path.chmod(0o600)
    path.write_text("changeme")
    with pytest.raises(Exception, match="holds no Ed25519 key"):
        load_or_create_signing_key(folder)
