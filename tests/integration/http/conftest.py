"""The real application over a real database: users, gates, pages, and a few routes to try them on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from fastapi import APIRouter, Depends, Request
from prometheus_client import CollectorRegistry
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.websockets import WebSocket

from monjolo.domains.users.endpoints import UserServices, router, well_known_router
from monjolo.domains.users.keys import SigningKey, load_or_create_signing_key
from monjolo.domains.users.passwords import Passwords
from monjolo.domains.users.service import Users
from monjolo.domains.users.sessions import Sessions
from monjolo.domains.users.setup import SetUp
from monjolo.domains.users.tokens import TokenSigner
from monjolo.http.app import create_app
from monjolo.http.auth import Authentication, Principal, principal_of, require
from monjolo.http.hot import add_hot_route, json_response, read_json
from monjolo.http.limits import RateLimiter
from monjolo.http.sse import Event, EventStream
from monjolo.kit.time import SECOND, SystemClock
from monjolo.observability.metrics import Metrics
from monjolo.storage.migrate import prepare, workspace_id
from monjolo.storage.sqlite import SqliteDatabase, connect

PASSWORD = "um moinho que anda só"
EMAIL = "ana@example.org"


class MovedClock:
    """Starts at the present, and goes on only when a test moves it."""

    def __init__(self) -> None:
        self.at = SystemClock().now()

    def now(self) -> int:
        return self.at

    def pass_seconds(self, seconds: float) -> None:
        self.at += int(seconds * SECOND)


class Item(BaseModel):
    name: str
    sizes: list[int]


@dataclass
class House:
    """One installation, with its parts in reach of the test."""

    app: Starlette
    clock: MovedClock
    database: SqliteDatabase
    sessions: Sessions
    set_up: SetUp
    users: Users
    key: SigningKey
    signer: TokenSigner
    authentication: Authentication
    services: UserServices
    workspace: str
    events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    closed_streams: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def client(self, *, base_url: str = "http://testserver", address: str = "127.0.0.1") -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=self.app, client=(address, 4711))
        return httpx2.AsyncClient(transport=transport, base_url=base_url)

    async def signed_in(self, client: httpx2.AsyncClient) -> dict[str, str]:
        """Sets up the first user; the headers of their access token."""
        link = await self.set_up.setup_link("http://testserver")
        answer = await client.post("/api/v1/setup", json=setup_body(link))
        assert answer.status_code == 201, answer.text
        return {"authorization": f"Bearer {answer.json()['access_token']}"}


def setup_body(link: str, email: str = EMAIL) -> dict[str, str]:
    key = link.split("#setup=")[1]
    return {
        "key": key,
        "name": "Ana",
        "email": email,
        "password": PASSWORD,
        "locale": "pt-BR",
        "timezone": "UTC",
    }


def _trial_router(house: list[House]) -> APIRouter:
    """Routes of every kind, as other domains would bring them."""
    routes = APIRouter(prefix="/trial")

    @routes.post("/items", status_code=201)
    async def items(item: Item, principal: Principal = Depends(require("flows:write"))) -> dict[str, str]:
        return {"name": item.name, "by": principal.user_id}

    @routes.get("/large")
    async def large(principal: Principal = Depends(require("flows:read"))) -> list[str]:
        return ["a line that repeats"] * 1_000

    @routes.get("/broken")
    async def broken() -> None:
        raise RuntimeError("the inside of the platform")

    @routes.get("/stream")
    async def stream(request: Request) -> Response:
        return EventStream(_events(house[0]), heartbeat_seconds=0.05, check_seconds=0.02)

    @routes.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("in")
        await websocket.close()

    async def hot(request: Request) -> Response:
        return json_response({"by": principal_of(request).user_id, "got": await read_json(request)}, 202)

    add_hot_route(routes, "POST", "/hot/{name}", hot, needs="runs:write")
    return routes


async def _events(house: House) -> AsyncIterator[Event]:
    try:
        while True:
            yield await house.events.get()
    finally:
        house.closed_streams.put_nowait("closed")


def build_house(folder: Path, *, allow_http: bool = False) -> House:
    clock = MovedClock()
    prepare(folder / "monjolo.db", clock.now())
    with closing(connect(folder / "monjolo.db")) as connection:
        workspace = workspace_id(connection)
    database = SqliteDatabase(folder / "monjolo.db")
    key = load_or_create_signing_key(folder / "keys")
    signer = TokenSigner(key, "urn:monjolo:trial", clock)
    passwords = Passwords(PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)))
    sessions = Sessions(database, clock, signer, passwords, workspace)
    authentication = Authentication(sessions, clock, allow_http=allow_http)
    set_up = SetUp(database, clock, sessions, passwords, workspace)
    users = Users(database, clock, passwords, workspace, authentication.forget)
    services = UserServices(sessions, set_up, users, RateLimiter(), clock, authentication.forget, allow_http=allow_http)
    metrics = Metrics(CollectorRegistry())
    house: list[House] = []
    app = create_app(
        [router(services), _trial_router(house)],
        authentication,
        version="0.0.0",
        ready=_ready,
        root_routers=[well_known_router(signer)],
        exposition=metrics.exposition,
        measure=metrics.measure_request,
        body_limits={"/api/v1/trial/hot/{name}": 1_000},
    )
    house.append(House(app, clock, database, sessions, set_up, users, key, signer, authentication, services, workspace))
    return house[0]


async def _ready() -> dict[str, str]:
    return {}


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, copied for each test: migrating takes half a second."""
    path = tmp_path_factory.mktemp("empty") / "monjolo.db"
    prepare(path, 0)
    return path


@pytest.fixture
def house(tmp_path: Path, empty_file: Path) -> Iterator[House]:
    shutil.copy(empty_file, tmp_path)
    built = build_house(tmp_path)
    yield built
    built.database.close()


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Builds further installations, each with its own folder."""
    built: list[House] = []

    def make(**options: bool) -> House:
        folder = tmp_path / f"house-{len(built)}"
        folder.mkdir()
        built.append(build_house(folder, **options))
        return built[-1]

    yield make
    for one in built:
        one.database.close()


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx2.AsyncClient]:
    async with house.client() as opened:
        yield opened


@pytest.fixture
async def admin(house: House, client: httpx2.AsyncClient) -> dict[str, str]:
    return await house.signed_in(client)
