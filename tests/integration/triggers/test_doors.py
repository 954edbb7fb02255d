"""The doors of flows and triggers, through the real application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from monjolo.domains.flows import endpoints as flow_doors
from monjolo.domains.triggers import endpoints as trigger_doors
from monjolo.http.app import create_app
from monjolo.http.auth import SCOPES, Authentication, Principal, Verified
from monjolo.kit.errors import Unauthenticated
from monjolo.kit.time import DAY, MINUTE

if TYPE_CHECKING:
    from .conftest import Platform

SOURCE = """\
schema: monjolo/flow/v1
id: relatorio
triggers:
  - {id: minuto, type: schedule, cron: "* * * * *"}
  - {id: fora, type: webhook, auth: {type: token, secret: "${{ secrets.t }}"}}
steps:
  - {id: a, uses: core/log, with: {message: olá}}
"""


class Doorkeeper:
    """`all` may everything, `reader` may read."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    async def verify_bearer(self, token: str) -> Verified:
        scopes = {"all": SCOPES, "reader": frozenset({"flows:read"})}.get(token)
        if scopes is None:
            raise Unauthenticated
        principal = Principal("ana", self.platform.workspace, "admin", scopes)
        return Verified(principal, self.platform.clock.now() + DAY)

    async def verify_cookie(self, token: str) -> Verified:
        raise Unauthenticated


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[httpx2.AsyncClient]:
    async def ready() -> dict[str, str]:
        return {}

    routers = [
        flow_doors.router(platform.flows),
        trigger_doors.router(
            platform.triggers, platform.webhooks, platform.events, platform.catch_up, platform.backfills
        ),
    ]
    app = create_app(routers, Authentication(Doorkeeper(platform), platform.clock), version="0", ready=ready)
    transport = httpx2.ASGITransport(app)
    headers = {"authorization": "Bearer all"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as opened:
        yield opened


async def put(client: httpx2.AsyncClient, source: str = SOURCE, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.put("/api/v1/flows/relatorio", json={"source": source}, headers=named)


async def test_a_flow_is_published_read_changed_compared_and_removed(client: httpx2.AsyncClient) -> None:
    made = await client.post("/api/v1/flows", json={"source": SOURCE})
    assert (made.status_code, made.headers["etag"], made.json()["published"]) == (201, '"1"', 1)
    assert made.headers["location"] == "/api/v1/flows/relatorio"
    assert (await client.post("/api/v1/flows", json={"source": SOURCE})).status_code == 409
    assert (await put(client)).json()["unchanged"] is True
    changed = await put(client, SOURCE.replace("olá", "oi"), if_match='"1"')
    assert (changed.status_code, changed.json()["published"]) == (200, 2)
    assert (await put(client, SOURCE, if_match='"1"')).status_code == 412
    diff = (await client.get("/api/v1/flows/relatorio/versions/diff?a=1&b=2")).json()
    assert [change["path"] for change in diff["changes"]] == ["steps[a].with.message"]
    assert "+  - {id: a, uses: core/log, with: {message: oi}}" in diff["text"]
    shown = (await client.get("/api/v1/flows/relatorio")).json()
    assert (shown["version"], shown["current"]["modules"]["core/log"]["version"]) == (2, "1.0.0")
    exported = await client.get("/api/v1/flows/relatorio/export?version=1")
    assert exported.text == SOURCE
    restored = await client.post("/api/v1/flows/relatorio/versions/1/restore")
    assert restored.json()["published"] == 3
    page = (await client.get("/api/v1/flows/relatorio/versions?limit=2")).json()
    rest = (await client.get(f"/api/v1/flows/relatorio/versions?limit=2&after={page['next']}")).json()
    assert [v["number"] for v in page["items"] + rest["items"]] == [3, 2, 1]
    assert (await client.delete("/api/v1/flows/relatorio")).status_code == 204
    assert (await client.get("/api/v1/flows/relatorio")).status_code == 404


async def test_problems_have_their_places(client: httpx2.AsyncClient) -> None:
    bad = SOURCE.replace("core/log", "nada/log")
    refused = await client.post("/api/v1/flows", json={"source": bad})
    assert refused.status_code == 422
    assert refused.json()["code"] == "invalid_flow"
    (problem,) = refused.json()["errors"]
    assert (problem["path"], problem["line"]) == ("steps[0].uses", 7)
    told = await client.post("/api/v1/flows/validate", json={"source": bad})
    assert told.json()["problems"] == [problem]
    nobody = await client.post("/api/v1/flows", json={"source": SOURCE, "extra": 1})
    assert nobody.status_code == 422


async def test_who_may_only_read_cannot_write(client: httpx2.AsyncClient) -> None:
    client.headers["authorization"] = "Bearer reader"
    assert (await client.get("/api/v1/flows")).status_code == 200
    assert (await put(client)).status_code == 403
    assert (await client.post("/api/v1/events", json={"type": "x"})).status_code == 403
    client.headers["authorization"] = "Bearer nobody"
    assert (await client.get("/api/v1/flows")).status_code == 401


async def test_the_schema_of_flows_is_served_to_editors(client: httpx2.AsyncClient) -> None:
    del client.headers["authorization"]
    schema = (await client.get("/api/v1/schemas/flow.json")).json()
    assert schema["$schema"].startswith("https://json-schema.org/")


async def test_a_list_of_flows_comes_in_pages(client: httpx2.AsyncClient) -> None:
    for number in range(5):
        source = f"schema: monjolo/flow/v1\nid: f{number}\nsteps: [{{id: a, uses: core/log}}]\n"
        assert (await client.post("/api/v1/flows", json={"source": source})).status_code == 201
    seen, after = [], ""
    while True:
        page = (await client.get(f"/api/v1/flows?limit=2{after}")).json()
        assert page["total"] == 5
        seen += [flow["slug"] for flow in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == [f"f{number}" for number in range(5)]


async def test_pausing_shows_in_the_flow_and_in_what_comes_next(client: httpx2.AsyncClient, platform: Platform) -> None:
    await put(client)
    upcoming = (await client.get("/api/v1/flows/relatorio/next?count=2")).json()["items"]
    assert [each["instant"] for each in upcoming] == [
        "2026-01-01T00:01:00.000000Z", "2026-01-01T00:02:00.000000Z",
    ]  # fmt: skip
    paused = await client.post("/api/v1/flows/relatorio/pause", json={"reason": "férias"})
    assert (paused.json()["state"], paused.json()["pause_reason"]) == ("paused", "férias")
    assert (await client.get("/api/v1/flows/relatorio/next")).json()["items"] == []
    assert (await client.post("/api/v1/flows/relatorio/resume")).json()["state"] == "active"
    triggers = (await client.get("/api/v1/flows/relatorio/triggers")).json()["items"]
    assert {t["name"]: t["url"] for t in triggers} == {"minuto": None, "fora": "/api/v1/hooks/relatorio/fora"}


async def test_ticks_are_listed_newest_first(client: httpx2.AsyncClient, platform: Platform) -> None:
    await put(client)
    for minute in range(1, 6):
        await platform.schedule.fire_due(platform.clock.at + minute * MINUTE)
    page = (await client.get("/api/v1/flows/relatorio/ticks?limit=3")).json()
    rest = (await client.get(f"/api/v1/flows/relatorio/ticks?limit=3&after={page['next']}")).json()
    ticks = page["items"] + rest["items"]
    assert [t["instant"][14:16] for t in ticks] == ["05", "04", "03", "02", "01"]
    assert {(t["trigger"], t["status"]) for t in ticks} == {("minuto", "ran")}
    assert rest["next"] is None


async def test_a_webhook_answers_for_itself_without_a_signed_in_user(
    client: httpx2.AsyncClient, platform: Platform
) -> None:
    platform.secrets["t"] = "t0ken"
    await put(client)
    hook = "/api/v1/hooks/relatorio/fora"
    client.headers["authorization"] = "Bearer wrong"
    refused = await client.post(hook, json={})
    assert (refused.status_code, refused.json()["code"]) == (401, "bad_token")
    client.headers["authorization"] = "Bearer t0ken"
    taken = await client.post(hook, json={"a": 1})
    assert (taken.status_code, taken.json()["number"], taken.json()["status"]) == (202, 7, "queued")
    missing = await client.get(hook)
    assert (missing.status_code, missing.headers["allow"]) == (405, "POST")
    assert (await client.post("/api/v1/hooks/nada", json={})).status_code == 404
    large = await client.post(hook, content=b"x" * 1_000_001)
    assert (large.status_code, large.json()["code"]) == (413, "payload_too_large")
    broken = await client.post(hook, content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["code"]) == (422, "invalid_json")
    assert len(platform.runs.made) == 1


async def test_an_event_is_taken_once(client: httpx2.AsyncClient) -> None:
    body = {"type": "pedido.novo", "data": {"n": 1}, "id": "e1"}
    first = await client.post("/api/v1/events", json=body)
    again = await client.post("/api/v1/events", json=body)
    assert (first.status_code, first.json()["duplicate"], again.json()["duplicate"]) == (202, False, True)
    assert first.json()["id"] == again.json()["id"]
    assert (await client.post("/api/v1/events", json={"type": "com espaço"})).status_code == 422
