"""Nobody gets past a gate without a credential, by whatever name they ask."""

from __future__ import annotations

import re
import typing
from urllib.parse import unquote

import httpx2
import pytest
from fastapi import APIRouter
from starlette.routing import Host
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from monjolo.http.auth import PUBLIC
from monjolo.http.gate import gated, walk

if typing.TYPE_CHECKING:
    from .conftest import House


def concrete(template: str) -> str:
    return re.sub(r"\{[^}]*\}", "x", template)


async def test_a_stranger_gets_401_from_every_route_that_is_not_public(
    house: House, client: httpx2.AsyncClient
) -> None:
    asked = 0
    for method, template, is_open in walk(house.app):
        assert is_open == ((("GET" if method == "HEAD" else method), template) in PUBLIC)
        if is_open or method == "WEBSOCKET":
            continue
        answer = await client.request(method, concrete(template), content=b"{ no json")
        assert answer.status_code == 401, (method, template, answer.status_code)
        assert method == "HEAD" or answer.json()["code"] == "unauthenticated"
        assert "www-authenticate" in answer.headers
        asked += 1
    assert asked >= 15


def test_a_stranger_gets_no_socket(house: House) -> None:
    sockets = [template for method, template, _ in walk(house.app) if method == "WEBSOCKET"]
    assert sockets == ["/api/v1/trial/socket"]
    with TestClient(house.app) as client:
        for template in sockets:
            with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect(concrete(template)):
                pass
            assert refused.value.code == 1008


TRICKS = [
    "{path}/health/live", "{path}/health", "{path}/ready", "/health/live/..{path}", "/health/live/../..{path}",
    "/health/live/..;{path}", "/health/live;{path}", "/health/live%2f..{path}", "/health/live/%2e%2e{path}",
    "/docs/..{path}", "/docs{path}", "/{path}", "//{path}", "{path}?/health/live", "{path}#/health/live",
    "{path}/", "{path}//", "{path}/.", "{path}%20", "{path}%00", "{path};.js", "{path}.json", "{path}%2Fhealth",
    "/.well-known/jwks.json/..{path}", "/api/v1/setup/state/..{path}", "/API/V1/USERS", "/Api/v1/users",
    "/api/v1//users", "/api//v1/users", "/api/v1/./users", "/api/v1/setup/../users", "/api/v1/%75sers",
    "/api/v1/hooks/../users", "/api/v1/openapi.json/../users", "/metrics/health/live", "/METRICS", "/metrics;",
]  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
async def test_no_spelling_of_a_path_opens_a_route(house: House, trick: str) -> None:
    for target in ("/api/v1/users", "/api/v1/trial/large", "/metrics"):
        raw = trick.format(path=target).encode()
        for method in ("GET", "HEAD", "POST", "OPTIONS", "get", "TRACE"):
            status, headers, body = await ask(house, method, raw)
            public_page = status == 200 and headers[b"content-type"].startswith(b"text/html")
            assert status in (401, 404, 405) or public_page, (method, raw, status)
            assert b"monjolo_" not in body


async def ask(house: House, method: str, raw: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """What the application answers to a path as it stood on the wire, which no client tidied up."""
    path, _, query = raw.partition(b"?")
    sent: list[dict[str, typing.Any]] = []
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "root_path": "",
        "path": unquote(path.decode()), "raw_path": path, "query_string": query, "client": ("127.0.0.1", 1),
        "server": ("testserver", 80), "headers": [(b"host", b"testserver")],
    }  # fmt: skip

    async def receive() -> dict[str, typing.Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, typing.Any]) -> None:
        sent.append(message)

    await house.app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body


def test_a_route_that_cannot_be_gated_is_refused_when_the_app_is_made(house: House) -> None:
    routes = APIRouter()
    routes.routes.append(Host("example.org", app=house.app))
    with pytest.raises(TypeError, match="has no gate"):
        gated([("", routes)], house.authentication)


def test_a_route_added_behind_the_back_of_the_gate_is_found(house: House) -> None:
    house.app.add_route("/behind", lambda request: None)
    with pytest.raises(TypeError, match="behind no gate"):
        list(walk(house.app))


async def test_metrics_need_a_scope_and_tell_of_routes_by_template(
    house: House, client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    asked = await client.post("/api/v1/trial/hot/a-name", headers=admin, json={})
    assert asked.status_code == 202
    answer = await client.get("/metrics", headers=admin)
    assert answer.status_code == 200
    assert 'route="/api/v1/trial/hot/{name}",status="202"' in answer.text
    assert "a-name" not in answer.text
    assert (await client.get("/metrics")).status_code == 401
