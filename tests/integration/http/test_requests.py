"""What goes in and what comes out: bodies, problems, headers, compression, pages."""

from __future__ import annotations

import re
import typing

import httpx2
import pytest
from fastapi import APIRouter
from fastapi.routing import iter_route_contexts
from starlette.requests import Request
from starlette.responses import Response

from monjolo.http.hot import add_hot_route
from monjolo.http.openapi import openapi_document

if typing.TYPE_CHECKING:
    from .conftest import House

ITEMS, HOT = "/api/v1/trial/items", "/api/v1/trial/hot/x"
JSON = {"content-type": "application/json"}


def is_problem(answer: httpx2.Response, status: int, code: str) -> bool:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body.keys() == {"type", "title", "status", "detail", "code", "errors", "request_id"}
    assert body["request_id"] == answer.headers["x-request-id"]
    return (answer.status_code, body["status"], body["code"]) == (status, status, code)


async def test_a_body_that_does_not_fit_says_where_and_why(client: httpx2.AsyncClient, admin: dict[str, str]) -> None:
    answer = await client.post(ITEMS, headers=admin, json={"name": 7, "sizes": [1, "x"]})
    assert is_problem(answer, 422, "invalid_input")
    found = [(error["path"], error["code"]) for error in answer.json()["errors"]]
    assert found == [("name", "string_type"), ("sizes[1]", "int_parsing")]
    query = await client.get("/api/v1/users?limit=0", headers=admin)
    assert query.json()["errors"][0]["path"] == "query.limit"
    unknown = await client.post("/api/v1/users", headers=admin, json={"surprise": 1})
    assert ("surprise", "extra_forbidden") in [(e["path"], e["code"]) for e in unknown.json()["errors"]]


@pytest.mark.parametrize("path", [ITEMS, HOT])
async def test_what_is_no_json_is_a_400(client: httpx2.AsyncClient, admin: dict[str, str], path: str) -> None:
    for body in (b"{", b"{'a': 1}", b'{"a": 1}}', b"\xff\xfe", b"nul"):
        answer = await client.post(path, headers=admin | JSON, content=body)
        assert answer.status_code == 400, body
        assert answer.json()["code"] in ("invalid_json", "bad_request")


@pytest.mark.parametrize("path", [ITEMS, HOT])
async def test_json_nested_too_deep_is_refused_before_it_is_parsed(
    client: httpx2.AsyncClient, admin: dict[str, str], path: str
) -> None:
    for body in (b"[" * 65 + b"]" * 65, b'{"a":' * 90 + b"1" + b"}" * 90, b"[" * 499):
        answer = await client.post(path, headers=admin | JSON, content=body)
        assert answer.status_code in (400, 422)
    assert is_problem(
        await client.post(path, headers=admin | JSON, content=b"[" * 65 + b"]" * 65), 422, "json_too_deep"
    )


@pytest.mark.parametrize("path", [ITEMS, HOT])
@pytest.mark.parametrize("kind", ["application/JSON", "text/plain", "application/x-www-form-urlencoded"])
async def test_nor_does_its_content_type_let_it_in(
    client: httpx2.AsyncClient, admin: dict[str, str], path: str, kind: str
) -> None:
    answer = await client.post(path, headers=admin | {"content-type": kind}, content=b" [" + b"[" * 65 + b"]" * 66)
    assert is_problem(answer, 422, "json_too_deep")


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        (b'"\\ud800"', 400, "invalid_json"),
        (b"NaN", 400, "invalid_json"),
        (b"-Infinity", 400, "invalid_json"),
        (b"1e999", 400, "invalid_json"),
        (b"9" * 30, 422, "number_too_large"),
    ],
)
async def test_json_that_only_python_takes_is_refused(
    client: httpx2.AsyncClient, admin: dict[str, str], value: bytes, status: int, code: str
) -> None:
    for body in (b'{"name": %b}' % value, b'{"name": "a", "sizes": [1, {"x": %b}]}' % value):
        assert is_problem(await client.post(ITEMS, headers=admin | JSON, content=body), status, code)
    for fine in (b'"\\ud83d\\ude00"', b'"NaN Infinity"', b'"' + b"9" * 30 + b'"'):
        taken = await client.post(ITEMS, headers=admin | JSON, content=b'{"name": %b, "sizes": []}' % fine)
        assert taken.status_code < 300, taken.text


async def test_a_body_over_its_routes_limit_is_a_413_however_it_is_sent(
    client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    assert is_problem(await client.post(HOT, headers=admin, content=b" " * 1_001), 413, "payload_too_large")

    async def chunks() -> typing.AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100

    assert is_problem(await client.post(HOT, headers=admin, content=chunks()), 413, "payload_too_large")
    large = b'{"name": "' + b"x" * 10_000_000 + b'", "sizes": []}'
    assert is_problem(await client.post(ITEMS, headers=admin | JSON, content=large), 413, "payload_too_large")
    stranger = await client.post("/api/v1/auth/token", json={"email": "a@b", "password": "x" * 16_000})
    assert is_problem(stranger, 413, "payload_too_large")
    lying = await client.post(HOT, headers=admin | {"content-length": "-5"}, content=b"{}")
    assert lying.status_code == 413


async def test_a_compressed_body_is_not_taken(client: httpx2.AsyncClient, admin: dict[str, str]) -> None:
    answer = await client.post(HOT, headers=admin | {"content-encoding": "gzip"}, content=b"x")
    assert is_problem(answer, 415, "unsupported_media_type")


async def test_the_frameworks_own_errors_are_problems_too(client: httpx2.AsyncClient, admin: dict[str, str]) -> None:
    assert is_problem(await client.get("/nowhere"), 404, "not_found")
    assert is_problem(await client.get("/api/v1/trial/large/", headers=admin), 404, "not_found")
    wrong = await client.put(ITEMS, headers=admin)
    assert is_problem(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


async def test_an_error_of_ours_tells_nothing_of_the_inside(client: httpx2.AsyncClient, admin: dict[str, str]) -> None:
    answer = await client.get("/api/v1/trial/broken", headers=admin | {"x-request-id": "my-request.7"})
    assert is_problem(answer, 500, "internal")
    assert answer.headers["x-request-id"] == "my-request.7"
    assert "inside" not in answer.text
    assert "RuntimeError" not in answer.text


async def test_every_answer_has_an_id_and_the_security_headers(
    client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    for path in ("/", "/docs", "/nowhere", "/api/v1/users", "/api/v1/trial/broken", "/health/live"):
        headers = (await client.get(path, headers=admin | {"x-request-id": "bad\tid"})).headers
        assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-request-id"])
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


async def test_large_answers_are_compressed_for_those_who_take_it(
    client: httpx2.AsyncClient, admin: dict[str, str]
) -> None:
    packed = await client.get("/api/v1/trial/large", headers=admin | {"accept-encoding": "br, gzip;q=0.8"})
    plain = await client.get("/api/v1/trial/large", headers=admin | {"accept-encoding": "identity"})
    refused = await client.get("/api/v1/trial/large", headers=admin | {"accept-encoding": "gzip;q=0"})
    small = await client.get("/health/live", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    for answer in (plain, refused, small):
        assert "content-encoding" not in answer.headers


async def test_the_pages_load_nothing_from_elsewhere_and_nothing_inline(client: httpx2.AsyncClient) -> None:
    for page in ("/", "/docs"):
        text = (await client.get(page)).text
        assert "http://" not in text
        assert "https://" not in text
        assert not re.search(r"<script(?! src=)|<style|\son\w+=|style=", text)
        for asset in re.findall(r'(?:src|href)="(/[^"]*)"', text):
            assert (await client.get(asset)).status_code == 200, asset


async def test_the_document_names_every_route_and_how_to_sign_in(house: House, client: httpx2.AsyncClient) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    paths = document["paths"]
    assert {"/api/v1/setup", "/api/v1/auth/token", "/api/v1/users/{user_id}", "/metrics"} <= paths.keys()
    assert paths["/api/v1/auth/token"]["post"]["security"] == []
    assert {"bearer": []} in paths["/api/v1/users"]["get"]["security"]
    assert paths["/health/live"]["get"]["security"] == []
    assert document["components"]["schemas"]["Problem"]["required"]


async def test_schemas_of_raw_routes_stand_where_references_find_them() -> None:
    router = APIRouter()
    schema = {"$defs": {"Part": {"type": "string"}}, "properties": {"parts": {"items": {"$ref": "#/$defs/Part"}}}}
    body = {"requestBody": {"content": {"application/json": {"schema": schema}}}}

    async def endpoint(request: Request) -> Response:
        return Response()

    add_hot_route(router, "POST", "/things", endpoint, needs=None, openapi=body)
    document = openapi_document(list(iter_route_contexts(router.routes)), "1", set())
    found = document["paths"]["/things"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert found == {"properties": {"parts": {"items": {"$ref": "#/components/schemas/Part"}}}}
    assert document["components"]["schemas"]["Part"] == {"type": "string"}
    assert "$defs" in schema  # what the route described is not changed


async def test_health_says_what_is_not_ready(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/health/live")).json() == {"status": "ok"}
    assert (await client.get("/health/ready")).json() == {"status": "ok", "missing": {}}
