"""Secrets and connections behind the real HTTP door, with a principal that the test chooses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from monjolo.domains.audit.endpoints import router as audit_router
from monjolo.domains.connections.endpoints import router
from monjolo.domains.connections.sealing import KeyRing, open_ring
from monjolo.domains.connections.service import ConnectionService
from monjolo.domains.connections.types import TypeBook
from monjolo.domains.connections.variables import VariableService
from monjolo.http.app import create_app
from monjolo.http.auth import SCOPES, Authentication, Principal, Verified
from monjolo.kit.errors import Unauthenticated
from monjolo.kit.time import HOUR
from monjolo.storage.migrate import prepare, workspace_id
from monjolo.storage.sqlite import SqliteDatabase, connect

NOW = 1_800_000_000_000_000


class StandingClock:
    at = NOW

    def now(self) -> int:
        return self.at


class Bearers:
    """Takes `WORKSPACE:ROLE` as a token."""

    async def verify_bearer(self, token: str) -> Verified:
        workspace, _, role = token.partition(":")
        scopes = SCOPES if role == "admin" else frozenset({"connections:read"})
        return Verified(Principal("user-1", workspace, role, scopes), NOW + HOUR)

    async def verify_cookie(self, token: str) -> Verified:
        raise Unauthenticated


@dataclass
class House:
    path: Path
    database: SqliteDatabase
    workspace: str
    ring: KeyRing
    connections: ConnectionService
    variables: VariableService
    clock: StandingClock
    client: httpx2.AsyncClient

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> httpx2.Response:
        sent = {"authorization": f"Bearer {token or self.workspace + ':admin'}", **headers}
        return await self.client.request(method, f"/api/v1{path}", json=body, headers=sent)


MODULE_TYPE = {
    "id": "shop",
    "title": "Shop",
    "description": "",
    "hosts": ["*.shop.example"],
    "secrets": ["api_key"],
    "fields": {
        "type": "object",
        "properties": {"account": {"type": "string"}, "api_key": {"type": "string", "minLength": 4}},
        "required": ["account", "api_key"],
        "additionalProperties": False,
    },
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    path = tmp_path / "monjolo.db"
    prepare(path, NOW)
    with closing(connect(path)) as connection:
        workspace = workspace_id(connection)
    database = SqliteDatabase(path)
    ring = await database.write(lambda c: open_ring(c, tmp_path / "keys", None))
    clock = StandingClock()
    connections = ConnectionService(database, clock, ring, TypeBook(lambda: {"shop": MODULE_TYPE}))
    variables = VariableService(database, clock)

    async def ready() -> dict[str, str]:
        return {}

    app = create_app(
        [router(connections, variables), audit_router(database)],
        Authentication(Bearers(), clock),
        version="0",
        ready=ready,
    )
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://t") as client:
        yield House(path, database, workspace, ring, connections, variables, clock, client)
    await asyncio.to_thread(database.close)
