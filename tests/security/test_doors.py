# ruff: noqa: E501 (tables of attacks)
"""S4, S5, S10, S11, S14: who gets in, what each may do, and what every answer carries."""

from __future__ import annotations

import base64
import http.client
import json
import re
import time
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from .conftest import PASSWORD, Victim

VIEWER_MAY = {("POST", "/flows/validate"), ("POST", "/flows/diff"), ("POST", "/auth/logout"), ("POST", "/tokens")}
OPEN = {"/setup", "/auth/token", "/auth/session", "/auth/refresh"}


def operations(victim: Victim) -> list[tuple[str, str]]:
    """(method, path without its prefix, names filled in) of every described operation but the open ones."""
    found = []
    for path, methods in victim.ask("GET", "/openapi.json", None).json()["paths"].items():
        target = re.sub(r"\{[^}]*\}", "absent", path.removeprefix("/api/v1"))
        if not path.startswith("/api/v1/hooks") and target not in OPEN:
            found += [
                (method.upper(), target) for method in methods if method in ("get", "post", "put", "patch", "delete")
            ]
    return found


def raw(victim: Victim, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"") -> tuple[int, bytes]:
    """As it stands on the wire: names may come twice, nothing is tidied up."""
    parts = urlsplit(victim.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_viewer_can_change_nothing(victim: Victim, people: dict[str, str]) -> None:
    asked = 0
    for method, path in operations(victim):
        if method != "GET" and (method, path) not in VIEWER_MAY and not path.startswith(("/users/", "/tokens/")):
            answer = victim.ask(method, path, people["viewer"], json={})
            assert answer.status_code == 403, (method, path, answer.text)
            asked += 1
    assert asked > 20


def test_an_editor_cannot_touch_people_modules_or_the_audit(victim: Victim, people: dict[str, str]) -> None:
    new = {
        "name": "x",
        "email": "x@example.org",
        "role": "admin",
        "password": PASSWORD,
        "locale": "en",
        "timezone": "UTC",
    }
    me = victim.ask("GET", "/auth/me", people["editor"]).json()["user"]["id"]
    for method, path, body in (
        ("POST", "/users", new), ("GET", "/users", None), ("POST", "/modules", {}), ("DELETE", "/modules/core", None),
        ("GET", "/audit", None), ("POST", "/setup/link", None), ("PATCH", f"/users/{me}", {"role": "admin"}),
        ("PATCH", f"/users/{me}", {"disabled": False}),
    ):  # fmt: skip
        answer = victim.ask(method, path, people["editor"], json=body, headers={"if-match": "*"})
        assert answer.status_code == 403, (method, path, answer.text)


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_a_token_never_has_more_than_its_maker(victim: Victim, people: dict[str, str], role: str) -> None:
    beyond = victim.ask("POST", "/tokens", people[role], json={"name": "x", "scopes": ["users:admin"]})
    assert beyond.status_code == 422
    made = victim.ask("POST", "/tokens", people[role], json={"name": "x", "scopes": ["flows:read"]}).json()["token"]
    assert victim.ask("GET", "/flows", made).status_code == 200
    assert victim.ask("GET", "/runs", made).status_code == 403


def test_a_token_makes_no_token_and_ends_none(victim: Victim, people: dict[str, str]) -> None:
    """Else one that is stolen, narrow and short-lived as it may be, outlives its own removal."""
    made = victim.ask("POST", "/tokens", people["editor"], json={"name": "narrow", "scopes": ["flows:read"]}).json()
    again = victim.ask(
        "POST", "/tokens", made["token"], json={"name": "x", "scopes": ["flows:read"], "expires_at": None}
    )
    assert again.status_code == 403
    assert again.json()["code"] == "not_a_person"
    other = victim.ask("POST", "/tokens", people["editor"], json={"name": "other", "scopes": ["flows:read"]}).json()
    assert victim.ask("DELETE", f"/tokens/{other['id']}", made["token"]).status_code == 403
    assert victim.ask("GET", "/flows", other["token"]).status_code == 200
    assert victim.ask("DELETE", f"/tokens/{made['id']}", made["token"]).status_code == 204  # itself it may


def test_what_was_revoked_ends_at_once_and_its_stream_within_five_seconds(
    victim: Victim, people: dict[str, str]
) -> None:
    made = victim.ask("POST", "/tokens", people["editor"], json={"name": "x", "scopes": ["runs:read"]}).json()
    headers = {"authorization": f"Bearer {made['token']}"}
    client = httpx2.Client(base_url=victim.url, timeout=20, trust_env=False)
    with client, client.stream("GET", "/api/v1/stream", params={"topics": "runs"}, headers=headers) as stream:
        assert stream.status_code == 200
        assert victim.ask("DELETE", f"/tokens/{made['id']}", people["editor"]).status_code == 204
        assert victim.ask("GET", "/runs", made["token"]).status_code == 401
        started = time.monotonic()
        for _ in stream.iter_bytes():
            assert time.monotonic() - started < 5
        assert time.monotonic() - started < 5


def forged(victim: Victim, people: dict[str, str]) -> dict[str, str]:
    header, claims, signature = people["admin"].split(".")

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    head = json.loads(base64.urlsafe_b64decode(header + "=="))
    body = json.loads(base64.urlsafe_b64decode(claims + "=="))
    return {
        "alg none": f"{part(head | {'alg': 'none'})}.{claims}.",
        "alg None": f"{part(head | {'alg': 'None'})}.{claims}.{signature}",
        "HS256": f"{part(head | {'alg': 'HS256'})}.{claims}.{signature}",
        "no signature": f"{header}.{claims}.",
        "later": f"{header}.{part(body | {'exp': body['exp'] + 9999})}.{signature}",
        "jwk": f"{part(head | {'jwk': {'kty': 'OKP', 'crv': 'Ed25519', 'x': 'AAAA'}})}.{claims}.{signature}",
        "jku": f"{part(head | {'jku': 'http://127.0.0.1/'})}.{claims}.{signature}",
        "kid": f"{part(head | {'kid': '../../keys/tokens.pem'})}.{claims}.{signature}",
        "kid list": f"{part(head | {'kid': [1]})}.{claims}.{signature}",
        "header is a list": f"{part([1])}.{claims}.{signature}",
        "task": f"{part(head | {'typ': 'task+jwt'})}.{claims}.{signature}",
        "bits": people["admin"][:-6] + ("AAAAAA" if people["admin"][-6:] != "AAAAAA" else "BBBBBB"),
        "empty": ".", "dots": "....", "unknown": "mj_" + "a" * 43, "prefix": victim.token[:20], "long": "a" * 9000,
        "sql": "mj_' OR 1=1 --", "latin": "mj_\xe9",
    }  # fmt: skip


def test_no_forged_token_gets_in(victim: Victim, people: dict[str, str]) -> None:
    assert victim.ask("GET", "/users", people["admin"]).status_code == 200
    for name, token in forged(victim, people).items():
        status, body = raw(victim, "GET", "/api/v1/users", [("host", "x"), ("authorization", f"Bearer {token}")])
        assert status == 401, (name, status, body)


@pytest.mark.parametrize(
    "headers",
    [
        [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "localhost")],
        [("x-original-url", "/health/live")], [("x-rewrite-url", "/health/live")], [("x-http-method-override", "GET")],
        [("host", "127.0.0.1")], [("host", "")], [("x-user", "admin"), ("x-remote-user", "admin"), ("remote-user", "admin")],
        [("authorization", "Basic YWRtaW46YWRtaW4=")], [("authorization", "Bearer")], [("authorization", "")],
        [("authorization", "Bearer null")], [("cookie", "monjolo_session=; __Host-monjolo_session=")],
        [("cookie", "monjolo_session=mjs_x")], [("forwarded", "for=127.0.0.1;proto=https")], [("x-api-key", "x")],
    ],
)  # fmt: skip
def test_no_header_opens_a_door(victim: Victim, headers: list[tuple[str, str]]) -> None:
    for method, path in (
        ("GET", "/api/v1/users"),
        ("POST", "/api/v1/flows"),
        ("HEAD", "/metrics"),
        ("GET", "/api/v1/stream"),
    ):
        status, body = raw(victim, method, path, headers)
        assert status in (400, 401), (method, path, status, body)


def test_a_spent_refresh_token_ends_the_session_and_its_access_tokens(victim: Victim, people: dict[str, str]) -> None:
    pair = victim.ask("POST", "/auth/token", None, json={"email": "viewer@example.org", "password": PASSWORD}).json()
    spent = {"refresh_token": pair["refresh_token"]}
    following = victim.ask("POST", "/auth/refresh", None, json=spent).json()
    assert victim.ask("GET", "/runs", following["access_token"]).status_code == 200
    assert victim.ask("POST", "/auth/refresh", None, json=spent).status_code == 401
    fresh = {"refresh_token": following["refresh_token"]}
    assert victim.ask("POST", "/auth/refresh", None, json=fresh).status_code == 401
    deadline = time.monotonic() + 5
    while victim.ask("GET", "/runs", following["access_token"]).status_code != 401:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_cookie_changes_nothing_without_the_pages_own_header(victim: Victim, people: dict[str, str]) -> None:
    with httpx2.Client(base_url=victim.url, timeout=20, trust_env=False) as browser:
        credentials = {"email": "editor@example.org", "password": PASSWORD}
        for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
            assert browser.post("/api/v1/auth/session", json=credentials, headers=headers).status_code == 403
        signed_in = browser.post("/api/v1/auth/session", json=credentials)
        cookie = signed_in.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        csrf = {"x-csrf-token": signed_in.json()["csrf_token"]}
        same = {"origin": victim.url}
        event = {"type": "x.y", "data": {}}
        for headers in (
            {}, csrf, same, {"x-csrf-token": ""} | same, {"x-csrf-token": "x"} | same, csrf | {"origin": "null"},
            csrf | {"origin": "http://evil.example"}, csrf | {"sec-fetch-site": "same-site"},
            csrf | {"sec-fetch-site": "none"}, csrf | same | {"sec-fetch-site": "cross-site"},
        ):  # fmt: skip
            assert browser.post("/api/v1/events", json=event, headers=headers).status_code == 403, headers
        assert browser.post("/api/v1/events", json=event, headers=csrf | same).status_code in (200, 201, 202)


def test_every_answer_carries_the_protecting_headers_and_no_foreign_origin(victim: Victim) -> None:
    for method, path, origin in (
        ("GET", "/", "null"), ("GET", "/docs", "http://evil.example"), ("GET", "/api/v1/flows", "http://evil.example"),
        ("GET", "/nowhere", "null"), ("OPTIONS", "/api/v1/flows", "http://evil.example"), ("PUT", "/api/v1/auth/token", ""),
        ("POST", "/api/v1/auth/token", "null"), ("GET", "/health/live", "http://evil.example"), ("GET", "/api/v1/runs/%00", ""),
    ):  # fmt: skip
        with httpx2.Client(base_url=victim.url, trust_env=False) as client:
            answer = client.request(method, path, headers={"origin": origin, "access-control-request-method": "POST"})
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "server" not in answer.headers
        assert answer.headers["x-request-id"]


def test_the_pages_hold_no_script_and_no_style_of_their_own(victim: Victim) -> None:
    for path in ("/", "/docs"):
        page = httpx2.get(victim.url + path, trust_env=False).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon\w+\s*=|\bstyle\s*=|javascript:", page)
        assert not re.search(r"(src|href)=\"(https?:)?//", page)


def test_guessing_passwords_is_slowed_and_tells_nothing(victim: Victim, people: dict[str, str]) -> None:
    told = set()
    for email in ("nobody@example.org", "someone@example.org"):
        answer = victim.ask("POST", "/auth/token", None, json={"email": email, "password": "wrong password"})
        told.add((answer.status_code, answer.json()["code"], answer.json()["detail"]))
    answer = victim.ask("POST", "/auth/token", None, json={"email": "admin@example.org", "password": "wrong password"})
    told.add((answer.status_code, answer.json()["code"], answer.json()["detail"]))
    assert len(told) == 1
    last = answer
    for _ in range(12):
        last = victim.ask(
            "POST", "/auth/token", None, json={"email": "NOBODY@example.org ", "password": "wrong password"}
        )
    assert last.status_code == 429
    assert int(last.headers["retry-after"]) > 0


def test_a_refused_body_is_not_told_back(victim: Victim) -> None:
    """Errors name the place, not the value: it may be a password that stands in the wrong field."""
    marker = "h0rse-battery-staple"
    for path, body in (
        ("/auth/token", {"email": 1, "password": marker}), ("/auth/token", {"email": "a@b.c", "password": [marker]}),
        ("/setup", {"key": marker, "password": marker}), ("/auth/refresh", {"refresh_token": [marker]}),
        ("/secrets", {"name": "a b", "value": marker}), ("/secrets", {"name": "x", "value": {"a": marker}}),
        ("/connections", {"name": "x", "type": "nothing", "fields": {"password": marker}}),
        ("/connections", {"name": "x", "type": "basic", "fields": {"username": [marker], "password": {"a": marker}}}),
        ("/users", {"name": "x", "password": marker, "email": "no address"}),
    ):  # fmt: skip
        answer = victim.ask("POST", path, json=body)
        assert 400 <= answer.status_code < 500, answer.text
        assert marker not in answer.text, (path, answer.text)
    assert marker not in victim.log
