"""The modules over HTTP: the real application, registry, runner and files; tokens are named after their scopes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from monjolo.domains.audit.repository import list_entries
from monjolo.domains.modules.endpoints import router
from monjolo.domains.modules.models import ModuleVersion
from monjolo.domains.modules.registry import Registry
from monjolo.domains.modules.service import ModuleService, Outcome
from monjolo.http.app import create_app
from monjolo.http.auth import Authentication, Principal, Verified
from monjolo.kit.errors import Unauthenticated
from monjolo.kit.time import SystemClock

World = Any


class TokensByName:
    """`modules:read,runs:write` is a token with these scopes."""

    async def verify_bearer(self, token: str) -> Verified:
        scopes = frozenset(token.split(","))
        return Verified(Principal("ana", "w", "admin", scopes, kind="api_token"), SystemClock().now() + 60_000_000)

    async def verify_cookie(self, token: str) -> Verified:
        raise Unauthenticated


async def run_action(*, workspace_id: str, version: ModuleVersion, action: str, inputs: dict[str, Any]) -> Outcome:
    return Outcome("succeeded", f"{workspace_id} ran {version.id}/{action} with {inputs}", duration=1_500_000)


async def _ready() -> dict[str, str]:
    return {}


@asynccontextmanager
async def served(
    world: World, scopes: str = "modules:read,modules:write,runs:write"
) -> AsyncIterator[tuple[httpx2.AsyncClient, Registry]]:
    world.built_in("core", world.source("core", title="Core things"))
    async with world.registry() as registry:
        service = ModuleService(
            registry, database=world.database, clock=SystemClock(), dropped=world.dropped, run_action=run_action
        )
        app = create_app([router(service)], Authentication(TokensByName(), SystemClock()), version="0", ready=_ready)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://testserver/api/v1",
            headers={"authorization": f"Bearer {scopes}"},
        ) as client:
            yield client, registry


async def test_the_list_shows_modules_and_what_is_broken(world: World) -> None:
    world.save("site_hello.py", world.source())
    async with served(world) as (client, registry):
        await registry.refresh()
        world.save("site_hello.py", "1/0\n")
        world.save("never_good.py", "nonsense(\n")
        await registry.refresh()
        body = (await client.get("/modules")).json()
        assert [item["id"] for item in body["items"]] == ["core", "site_hello"]
        assert "ZeroDivisionError" in body["items"][1]["fault"]["error"]
        assert [fault["path"] for fault in body["faults"]] == ["never_good.py", "site_hello.py"]
        assert body["items"][0]["actions"][0]["uses"] == "core/hello"
        page = (await client.get("/modules?limit=1")).json()
        assert (page["next"], page["total"]) == ("core", 2)
        page = (await client.get("/modules?limit=1&after=core")).json()
        assert [item["id"] for item in page["items"]] == ["site_hello"]
        assert (await client.get("/modules?q=core things")).json()["total"] == 1
        answer = await client.get("/modules/never_good")
        assert (answer.status_code, answer.json()["code"]) == (404, "module_broken")


async def test_a_module_and_an_action_are_told_whole(world: World) -> None:
    async with served(world) as (client, _):
        module = (await client.get("/modules/core")).json()
        assert module["manifest"]["id"] == "core"
        assert module["versions"][0]["current"] is True
        action = (await client.get("/modules/core/actions/hello")).json()
        assert action["inputs"]["properties"]["name"]["type"] == "string"
        assert action["effects"] == "read"
        for path in ("/modules/absent", "/modules/core/actions/absent", "/modules/..%2fetc"):
            assert (await client.get(path)).status_code == 404


async def test_trying_an_action_checks_its_inputs_first(world: World) -> None:
    async with served(world) as (client, _):
        path = "/modules/core/actions/hello/test"
        answer = await client.post(path, json={"inputs": {"name": "Ana"}})
        assert answer.json()["output"] == "w ran core/hello with {'name': 'Ana'}"
        assert answer.json()["duration_seconds"] == 1.5
        answer = await client.post(path, json={"inputs": {"name": 3, "x": 1}})
        assert answer.status_code == 422
        assert "inputs/name" in [error["path"] for error in answer.json()["errors"]]
        answer = await client.post(path, json={"inputs": {"name": {"$secret": "token"}}, "dry_run": True})
        assert answer.json()["status"] == "valid"


async def test_an_uploaded_file_is_a_module_at_once(world: World) -> None:
    async with served(world) as (client, registry):
        source = world.source()
        answer = await client.post("/modules", json={"name": "site_hello.py", "source": source})
        assert answer.status_code == 201, answer.text
        assert answer.json()["id"] == "site_hello"
        assert (world.dropped / "site_hello.py").read_text(encoding="utf-8") == source
        newer = world.source(version="1.1.0").encode()
        files = {"file": ("site_hello.py", newer, "text/x-python")}
        assert (await client.post("/modules", files=files)).status_code == 409
        answer = await client.post("/modules?replace=true", files=files)
        assert answer.json()["version"] == "1.1.0"
        assert world.version_of(registry) == "1.1.0"
        assert (await client.delete("/modules/site_hello")).status_code == 204
        assert world.version_of(registry) is None
        assert list(world.dropped.iterdir()) == []
        entries = await world.database.read(lambda connection: list_entries(connection, "w"))
        assert [row["action"] for row in entries] == ["module.deleted", "module.uploaded", "module.uploaded"]


async def test_a_broken_upload_changes_nothing(world: World) -> None:
    async with served(world) as (client, registry):
        for source, said in (("def (:", "SyntaxError"), (world.source("core"), "belongs to a built-in module")):
            answer = await client.post("/modules", json={"name": "site_hello.py", "source": source})
            assert (answer.status_code, answer.json()["code"]) == (422, "module_broken")
            assert said in answer.json()["detail"]
        assert list(world.dropped.iterdir()) == []
        assert registry.faults() == []


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py", "/etc/evil.py", "..", ".hidden.py", "a/b.py", "a\\b.py", "a\0b.py", "", ".py", "test_x.py",
        "%2e%2e%2fevil.py", "x" * 70 + ".py", "ünïcode.py", "a b.py", "evil.py\n", "-rf.py",
    ],
)  # fmt: skip
async def test_names_that_are_no_names_are_refused(world: World, name: str) -> None:
    before = sorted(path for path in world.data.parent.rglob("*") if path.is_file())
    async with served(world) as (client, _):
        answer = await client.post("/modules", json={"name": name, "source": world.source()})
        assert answer.status_code == 422, answer.text
    assert list(world.dropped.iterdir()) == []
    assert not [path for path in world.data.parent.rglob("*evil*") if path not in before]


async def test_an_upload_never_writes_through_a_link(world: World) -> None:
    victim = world.data / "victim.txt"
    victim.write_text("precious", encoding="utf-8")
    (world.dropped / "site_hello.py").symlink_to(victim)
    async with served(world) as (client, registry):
        answer = await client.post("/modules?replace=true", json={"name": "site_hello.py", "source": world.source()})
        assert answer.status_code == 201, answer.text
        assert victim.read_text(encoding="utf-8") == "precious"
        assert not (world.dropped / "site_hello.py").is_symlink()
        assert world.version_of(registry) == "1.0.0"


async def test_a_file_comes_from_the_parser_and_not_from_the_body(world: World) -> None:
    async with served(world) as (client, _):
        for body in (
            {"files": {"file": {"filepath": "/etc/passwd"}}},
            {"name": "x.py", "source": "", "path": "/etc/passwd"},
            {"name": ["x.py"], "source": 1},
            [],
        ):
            assert (await client.post("/modules", json=body)).status_code == 422
        assert (await client.post("/modules", data={"file": "/etc/passwd"})).status_code == 422
        assert (await client.post("/modules", content=b"x", headers={"content-type": "text/plain"})).status_code == 422
        answer = await client.post("/modules", json={"name": "x.py", "source": "#" * (3 << 20)})
        assert answer.status_code == 413


async def test_built_in_modules_stay(world: World) -> None:
    async with served(world) as (client, _):
        answer = await client.delete("/modules/core")
        assert (answer.status_code, answer.json()["code"]) == (409, "module_built_in")


async def test_each_door_needs_its_own_scope(world: World) -> None:
    asked = [
        ("GET", "/modules", "modules:read"), ("GET", "/modules/core", "modules:read"),
        ("GET", "/modules/core/actions/hello", "modules:read"),
        ("POST", "/modules/core/actions/hello/test", "runs:write"),
        ("POST", "/modules", "modules:write"), ("DELETE", "/modules/core", "modules:write"),
    ]  # fmt: skip
    every = {"modules:read", "modules:write", "runs:write"}
    async with served(world) as (client, _):
        for method, path, needed in asked:
            headers = {"authorization": f"Bearer {','.join(sorted(every - {needed}))}"}
            answer = await client.request(method, path, json={}, headers=headers)
            assert answer.status_code == 403, (method, path)


async def test_what_waits_in_the_folder_can_be_deleted_though_it_never_worked(world: World) -> None:
    world.save("never_good.py", "nonsense(\n")
    async with served(world) as (client, registry):
        await registry.refresh()
        assert (await client.delete("/modules/never_good")).status_code == 204
        assert registry.faults() == []
        assert list(world.dropped.iterdir()) == []
