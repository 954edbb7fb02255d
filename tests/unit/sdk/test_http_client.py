"""`ctx.http` against a real server on loopback, and against everything that must be refused."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from monjolo_sdk import AuthError, Connection, Context, EgressRefused, Module
from monjolo_sdk.egress import DENIED, Policy, matches
from monjolo_sdk.http_client import AsyncHttp, ResponseTooLarge, SyncHttp, open_client
from monjolo_sdk.testing import Runner

LOOPBACK = ("127.0.0.0/8",)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        server.seen.append((self.command, self.path, dict(self.headers.items())))
        route, _, query = self.path.partition("?")
        status, headers, body = 200, {"Content-Type": "application/json"}, json.dumps({"path": self.path}).encode()
        if route == "/redirect":
            status, headers = 302, {"Location": query}
        elif route == "/flaky":
            status = 503 if sum(seen[1] == self.path for seen in server.seen) < 3 else 200
            headers["Retry-After"] = "0"
        elif route == "/big":
            body = b"x" * int(query)
        elif route == "/api/v1/old":
            status = 401 if self.headers["Authorization"] == "Bearer old" else 200
        elif route == "/api/v1/denied":
            status, body = 403, b'{"detail": "ask for runs:read"}'
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *arguments: Any) -> None:
        return None


@pytest.fixture
def server() -> Iterator[Any]:
    """A server on loopback that keeps what it was asked."""
    with _serve() as serving:
        yield serving


class _serve:
    def __enter__(self) -> Any:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.seen = []  # type: ignore[attr-defined]
        self.server.url = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self.server

    def __exit__(self, *problem: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def sync_http(**options: Any) -> SyncHttp:
    client = open_client(is_async=False, **{"net": ("*",), "allow": LOOPBACK, **options})
    assert isinstance(client, SyncHttp)
    return client


SPELLINGS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0",
    "0.0.0.0", "127.127.127.127", "localhost", "LOCALHOST", "localhost.", "10.0.0.1", "172.16.5.4", "192.168.1.1",
    "100.64.0.1", "169.254.169.254", "0xa9fea9fe", "2852039166", "192.0.0.192", "198.18.0.1", "224.0.0.1",
    "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]", "[fd00:ec2::254]", "[fe80::1]", "[ff02::1]", "[fec0::1]", "[::127.0.0.1]",
    "[2001:0:7f00:1::]", "[::ffff:0:127.0.0.1]", "１２７.０.０.１",
]  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_a_private_address_is_reached(host: str, server: Any) -> None:
    with pytest.raises((EgressRefused, httpx2.ConnectError, httpx2.InvalidURL)):
        sync_http(allow=()).get(f"http://{host}:{server.server_port}/", retries=0)
    assert server.seen == []


async def test_the_async_client_refuses_them_too(server: Any) -> None:
    client = open_client(is_async=True, net=("*",))
    assert isinstance(client, AsyncHttp)
    for host in SPELLINGS:
        with pytest.raises((EgressRefused, httpx2.ConnectError, httpx2.InvalidURL)):
            await client.get(f"http://{host}:{server.server_port}/", retries=0)
    await client.aclose()
    assert server.seen == []


def test_one_private_answer_among_public_ones_refuses_the_host() -> None:
    policy = Policy(("*",))
    assert policy.check_addresses("example.org", 443, ["93.184.215.14"]) == ["93.184.215.14"]
    for bad in ("127.0.0.1", "::1", "10.1.2.3", "fe80::1%eth0", "::ffff:93.184.215.14", "64:ff9b::1.1.1.1"):
        with pytest.raises(EgressRefused, match="not a public address"):
            policy.check_addresses("example.org", 443, ["93.184.215.14", bad])


def test_the_first_and_last_address_of_every_denied_network_is_refused() -> None:
    policy = Policy(("*",))
    for network in DENIED:
        for address in (network[0], network[-1]):
            with pytest.raises(EgressRefused):
                policy.check_addresses("x", 80, [str(address)])


def test_the_instance_can_allow_a_network_or_a_host() -> None:
    for allow in ("10.0.0.0/8", "10.1.2.3", "nas.home", "nas.home:80", "NAS.home"):
        assert Policy(("*",), (allow,)).check_addresses("nas.home", 80, ["10.1.2.3"]) == ["10.1.2.3"]
    with pytest.raises(EgressRefused):
        Policy(("*",), ("nas.home:81", "10.2.0.0/16")).check_addresses("nas.home", 80, ["10.1.2.3"])


def test_a_name_is_resolved_once_and_the_judged_address_is_used(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int, *arguments: Any, **options: Any) -> list[Any]:
        # The first answer is allowed, every later one is another private address.
        if host.replace(".", "").isdigit():
            return genuine(host, port, *arguments, **options)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    genuine = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = f"http://rebind.example.org:{server.server_port}/"
    assert sync_http(net=("rebind.example.org",)).get(url).status_code == 200
    assert asked == ["rebind.example.org"]
    assert server.seen[0][2]["Host"] == f"rebind.example.org:{server.server_port}"
    with pytest.raises(EgressRefused, match=r"10\.0\.0\.1"):
        sync_http().get(url, retries=0)


@pytest.mark.parametrize(
    ("pattern", "host", "port", "fits"),
    [
        ("*", "a.example", 1, True),
        ("example.org", "EXAMPLE.org", None, True),
        ("example.org", "example.org.", None, True),
        ("example.org", "api.example.org", None, False),
        ("*.example.org", "api.example.org", None, True),
        ("*.example.org", "example.org", None, False),
        ("*.example.org", "badexample.org", None, False),
        ("example.org:8443", "example.org", 8443, True),
        ("example.org:8443", "example.org", 443, False),
        ("::1", "::1", 80, True),
        ("[::1]:80", "[::1]", 80, True),
    ],
)
def test_host_patterns(pattern: str, host: str, port: int | None, fits: bool) -> None:
    assert matches([pattern], host, port) is fits


def test_a_host_that_the_module_does_not_declare_is_refused(server: Any) -> None:
    for net in ((), ("api.github.com",)):
        with pytest.raises(EgressRefused, match=r"permissions\.net"):
            sync_http(net=net).get(server.url)
    assert server.seen == []


def test_other_schemes_are_refused() -> None:
    for url in ("file:///etc/passwd", "ftp://example.org/", "gopher://127.0.0.1/"):
        with pytest.raises((EgressRefused, httpx2.UnsupportedProtocol)):
            sync_http().get(url)


def test_redirects_are_off_unless_asked_for(server: Any) -> None:
    client = sync_http()
    assert client.get(f"{server.url}/redirect?/end").status_code == 302
    response = client.get(f"{server.url}/redirect?/end", follow_redirects=True)
    assert response.json() == {"path": "/end"}
    assert [one.status_code for one in response.history] == [302]


def test_each_hop_of_a_redirect_is_judged_again(server: Any) -> None:
    client = sync_http(net=("127.0.0.1",))
    for target in ("http://169.254.169.254/latest/meta-data", "http://localhost/", "http://[::1]/", "file:///etc/x"):
        with pytest.raises((EgressRefused, httpx2.UnsupportedProtocol)):
            client.get(f"{server.url}/redirect?{target}", follow_redirects=True, retries=0)


def test_a_chain_of_redirects_ends(server: Any) -> None:
    with pytest.raises(httpx2.TooManyRedirects):
        sync_http().get(f"{server.url}/redirect?" + "/redirect?" * 20, follow_redirects=True, retries=0)


def test_credentials_are_dropped_across_origins_and_kept_within_one(server: Any) -> None:
    headers = {"Authorization": "Bearer t", "Cookie": "a=b", "X-Api-Key": "k", "X-Other": "o"}
    with _serve() as other:
        url = f"{server.url}/redirect?{other.url}/end"
        assert sync_http().get(url, headers=headers, follow_redirects=True).status_code == 200
        told = other.seen[0][2]
    assert {name for name in headers if name in told} == {"X-Other"}
    sync_http().get(f"{server.url}/redirect?/end", headers=headers, follow_redirects=True)
    assert server.seen[-1][2]["Authorization"] == "Bearer t"


@pytest.mark.parametrize("place", ["header", "basic", "query", "quoted", "body", "auth"])
def test_a_bound_credential_reaches_its_hosts_only(place: str, server: Any) -> None:
    secret = "pä ss/word"
    basic = "Basic " + base64.b64encode(f"ana:{secret}".encode()).decode()
    options: dict[str, Any] = {
        "header": {"headers": {"X-Token": secret.encode()}},
        "basic": {"headers": {"Authorization": basic}},
        "query": {"params": {"token": secret}},
        "quoted": {"params": "t=p%C3%A4%20ss%2Fword"},
        "body": {"content": f"password={secret}"},
        "auth": {"auth": ("ana", secret)},
    }[place]

    def connection(*hosts: str) -> Connection:
        return Connection("mine", "vault", {"user": "ana", "password": secret}, hosts, ["password"])

    with pytest.raises(EgressRefused, match=r"bound to api\.example\.org"):
        sync_http(connections=[connection("api.example.org")]).post(server.url, **options)
    assert server.seen == []
    for hosts in (("127.0.0.1",), ()):
        assert sync_http(connections=[connection(*hosts)]).post(server.url, **options).status_code == 200


def test_idempotent_calls_are_repeated_and_others_are_not(server: Any) -> None:
    client = sync_http()
    assert client.get(f"{server.url}/flaky?1").status_code == 200
    assert client.get(f"{server.url}/flaky?2", retries=1).status_code == 503
    assert client.post(f"{server.url}/flaky?3").status_code == 503
    assert client.post(f"{server.url}/flaky?4", headers={"Idempotency-Key": "k"}).status_code == 200
    counts = [sum(seen[1] == f"/flaky?{n}" for seen in server.seen) for n in (1, 2, 3, 4)]
    assert counts == [3, 2, 1, 3]


async def test_the_async_client_repeats_and_follows_too(server: Any) -> None:
    client = open_client(is_async=True, net=("*",), allow=LOOPBACK)
    assert isinstance(client, AsyncHttp)
    assert (await client.get(f"{server.url}/flaky?1")).status_code == 200
    assert (await client.get(f"{server.url}/redirect?/end", follow_redirects=True)).json() == {"path": "/end"}
    with pytest.raises(ResponseTooLarge):
        await client.get(f"{server.url}/big?2000", max_bytes=1000)
    async with client.stream("GET", f"{server.url}/big?5000") as response:
        assert sum([len(part) async for part in response.aiter_bytes()]) == 5000
    await client.aclose()


def test_an_answer_over_the_limit_is_not_read(server: Any) -> None:
    client = sync_http()
    assert len(client.get(f"{server.url}/big?1000", max_bytes=1000).content) == 1000
    with pytest.raises(ResponseTooLarge, match="1000"):
        client.get(f"{server.url}/big?1001", max_bytes=1000)


def test_proxies_of_the_environment_are_not_used(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert sync_http().get(server.url).status_code == 200


async def test_a_module_reaches_the_platform_under_its_token(server: Any) -> None:
    module = Module("watch", version="1.0.0", permissions={"platform": ["runs:read"]})

    @module.action(effects="read")
    async def look(ctx: Context, path: str) -> dict[str, str]:
        return dict(await ctx.api.get(path, params={"a": "b"}))

    @module.action(effects="read")
    def look_sync(ctx: Context, path: str) -> dict[str, str]:
        return dict(ctx.api.get(path))

    @module.action(effects="read")
    async def stray(ctx: Context, url: str) -> None:
        await ctx.http.get(url)

    runner = Runner(module, api={"url": f"{server.url}/api/v1", "token": "old"}, egress_allow=())
    assert (await runner.run("look", path="/flows")).output == {"path": "/api/v1/flows?a=b"}
    assert (await runner.run("look_sync", path="/api/v1/x")).output == {"path": "/api/v1/x"}
    assert server.seen[0][2]["Authorization"] == "Bearer old"
    with pytest.raises(Exception, match="ask for runs:read") as refused:
        await runner.run("look", path="denied")
    assert refused.value.status == 403  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="401"):
        await runner.run("look", path="old")
    with pytest.raises(EgressRefused):
        await runner.run("stray", url=server.url)
    assert issubclass(AuthError, Exception)
