"""Behind a proxy, under a path of its own: the same build, the same pages."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import expect
from tests.e2e.conftest import Platform

from .conftest import EMAIL, PASSWORD, Visit, set_up

PREFIX = "/auto/monjolo"
HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "keep-alive", "date", "server"}


class Proxy(BaseHTTPRequestHandler):
    """Passes on what follows the prefix, and refuses everything else: an address that forgot it is seen."""

    protocol_version = "HTTP/1.1"
    target = ""

    def do_GET(self) -> None:
        if not self.path.startswith(f"{PREFIX}/") or "/stream" in self.path:  # this proxy holds no live streams
            self.answer(404, {}, b"")
            return
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        address = self.target + self.path.removeprefix(PREFIX)
        with httpx2.Client(trust_env=False) as client:
            got = client.request(self.command, address, headers=dict(self.headers.items()), content=body)
        self.answer(got.status_code, got.headers, got.content)

    do_POST = do_GET

    def answer(self, status: int, headers: object, body: bytes) -> None:
        self.send_response(status)
        for name, value in httpx2.Headers(headers).multi_items():  # type: ignore[arg-type]
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        with contextlib.suppress(BrokenPipeError):  # a browser that has moved on
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        pass


@pytest.fixture
def proxied(used_folder: Path, tmp_path: Path) -> Iterator[tuple[Platform, str]]:
    """(the platform, the address of the proxy with its path)."""
    handler = type("Bound", (Proxy,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    url = f"http://127.0.0.1:{server.server_port}{PREFIX}"
    shutil.copytree(used_folder, tmp_path / "data")
    platform = Platform(tmp_path / "data", {"MONJOLO_PUBLIC_URL": url}).start()
    handler.target = platform.url  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield platform, url
    server.shutdown()
    server.server_close()
    platform.stop()


def test_signing_in_reloading_and_running_work_under_a_path(proxied: tuple[Platform, str], visit: Visit) -> None:
    platform, url = proxied
    set_up(platform)
    platform.publish(
        "schema: monjolo/flow/v1\nid: eco\nname: Eco\nsteps: [{id: a, uses: core/log, with: {message: oi}}]\n"
    )
    page = visit(platform, signed_in=False).page()
    page.goto(f"{url}/flows?q=eco")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Senha", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    expect(page).to_have_url(re.compile(rf"^{re.escape(url)}/flows\?q=eco"))
    page.get_by_role("link", name="Eco", exact=True).click()
    expect(page).to_have_url(f"{url}/flows/eco")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Eco")
    page.get_by_role("button", name="Executar", exact=True).click()
    expect(page).to_have_url(re.compile(rf"^{re.escape(url)}/runs/"))
    assert len(platform.runs_of("eco")) == 1
