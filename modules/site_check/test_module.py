"""`site_check` against HTTP and HTTPS servers on this machine, with certificates made for the purpose."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from monjolo_sdk import EgressRefused, InvalidInput, PermanentError, http_client
from monjolo_sdk.testing import Runner

from .module import module

runner = Runner(module)


class Handler(BaseHTTPRequestHandler):
    """Answers by the path."""

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        name, _, rest = self.path.strip("/").partition("/")
        if name == "slow":
            self.server.stop.wait(5)  # type: ignore[attr-defined]
            return
        if name in ("hop", "loop"):
            self.send_response(302)
            self.send_header("Location", "/loop" if name == "loop" else "/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = b"a" * 5000 + b"!" if name == "evil" else "<h1>Olá, mundo</h1>".encode()
        self.send_response(int(rest) if name == "status" else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


Serve = Callable[[ssl.SSLContext | None], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    doors: list[ThreadingHTTPServer] = []

    def start(tls: ssl.SSLContext | None) -> str:
        door = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        door.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients hang up on purpose
        door.daemon_threads = True
        door.stop = threading.Event()  # type: ignore[attr-defined]
        if tls is not None:
            door.socket = tls.wrap_socket(door.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=door.serve_forever, args=(0.05,), daemon=True).start()
        doors.append(door)
        return f"{'https' if tls else 'http'}://localhost:{door.server_address[1]}"

    yield start
    for door in doors:
        door.stop.set()  # type: ignore[attr-defined]
        door.shutdown()
        door.server_close()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[trustme.CA]:
    """An authority that this process trusts for the length of a test."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    http_client._tls.cache_clear()
    yield made
    http_client._tls.cache_clear()


def tls_for(authority: trustme.CA, host: str, days: float) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    now = datetime.now(UTC)
    certificate = authority.issue_cert(host, not_before=now - timedelta(days=400), not_after=now + timedelta(days=days))
    certificate.configure_cert(context)
    return context


async def check(url: str, **inputs: Any) -> Any:
    return (await runner.run("check", url=url, **inputs)).output


def codes(result: Any) -> list[str]:
    return [finding["code"] for finding in result["findings"]]


async def test_a_site_that_is_well_has_no_findings(serve: Serve) -> None:
    result = await check(
        serve(None), contains="Olá, mundo", not_contains="Error", matches=r"<h1>.*</h1>", max_seconds=5
    )
    assert result["ok"]
    assert result["findings"] == []
    assert result["status"] == 200
    latency = result["latency"]
    assert all(latency[part] > 0 for part in ("dns", "connect", "first_byte", "total"))
    assert latency["tls"] is None
    assert latency["total"] >= latency["first_byte"]


async def test_the_days_that_a_certificate_has_left_are_told(serve: Serve, authority: trustme.CA) -> None:
    url = serve(tls_for(authority, "localhost", 90))
    result = await check(url)
    assert result["ok"], result
    assert 89.9 < result["tls"]["days_left"] < 90.1
    assert result["tls"]["trusted"]
    assert result["tls"]["version"].startswith("TLSv1")
    assert result["latency"]["tls"] > 0
    short = await check(url, min_tls_days=91)
    assert codes(short) == ["tls_expiry"]
    assert "expires on" in short["findings"][0]["message"]


async def test_an_expired_certificate_is_told_with_its_date(serve: Serve, authority: trustme.CA) -> None:
    result = await check(serve(tls_for(authority, "localhost", -3)))
    assert set(codes(result)) == {"tls_invalid", "tls_expiry"}
    assert result["tls"]["days_left"] < -2.9
    assert not result["tls"]["trusted"]


async def test_a_certificate_of_another_name_or_authority_is_not_trusted(serve: Serve, authority: trustme.CA) -> None:
    assert codes(await check(serve(tls_for(authority, "other.example", 90)))) == ["tls_invalid"]
    assert codes(await check(serve(tls_for(trustme.CA(), "localhost", 90)))) == ["tls_invalid"]


async def test_what_is_wrong_with_an_answer_is_found(serve: Serve) -> None:
    url = serve(None)
    assert codes(await check(url + "/status/500")) == ["status"]
    assert codes(await check(url + "/status/404", expected_status=[404])) == []
    assert codes(await check(url, contains="Adeus")) == ["content_missing"]
    assert codes(await check(url, not_contains="mundo")) == ["content_unwanted"]
    assert codes(await check(url, matches="mund[aeiu]")) == ["content_missing"]
    assert codes(await check(url, max_seconds=0.000001)) == ["slow"]
    assert codes(await check(url, max_bytes=3)) == ["too_large"]
    assert codes(await check(url + "/slow", timeout_seconds=0.3)) == ["timeout"]


async def test_redirects_are_followed_and_listed(serve: Serve) -> None:
    url = serve(None)
    result = await check(url + "/hop")
    assert result["ok"]
    assert [hop["status"] for hop in result["redirects"]] == [302]
    assert codes(await check(url + "/hop", follow_redirects=False)) == ["status"]
    assert codes(await check(url + "/loop")) == ["redirects"]


async def test_a_site_that_is_not_there_is_a_finding_and_no_error(serve: Serve) -> None:
    assert codes(await check("http://no-such-name.invalid/")) == ["dns"]
    assert codes(await check("http://127.0.0.1:1/")) == ["unreachable"]
    assert codes(await check("https://127.0.0.1:1/")) == ["unreachable"]
    assert codes(await check(serve(None).replace("http:", "https:"))) == ["tls_invalid"]


async def test_a_hostile_pattern_is_ended(serve: Serve) -> None:
    began = time.monotonic()
    assert codes(await check(serve(None) + "/evil", matches="(a|a)*$")) == ["content_slow"]
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"url": "localhost"}, "begins with http"),
        ({"url": "file:///etc/passwd"}, "begins with http"),
        ({"url": "http://x/", "matches": "("}, "pattern"),
        ({"url": "http://x/", "matches": "x" * 1001}, "matches"),
    ],
)
async def test_bad_inputs_are_refused(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises((InvalidInput, PermanentError), match=message):
        await runner.run("check", inputs)


async def test_private_addresses_need_the_allow_list(serve: Serve, authority: trustme.CA) -> None:
    closed = Runner(module, egress_allow=())
    with pytest.raises(EgressRefused):
        await closed.run("check", url=serve(None))
    with pytest.raises(EgressRefused):
        await closed.run("check", url=serve(tls_for(authority, "localhost", 90)))
