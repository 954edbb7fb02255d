"""The built dashboard as the platform serves it: at every address it has, under any path, and nothing beside it."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from monjolo.http.app import create_app
from monjolo.http.dashboard import SECTIONS, Dashboard

from .conftest import House

PAGE = (
    '<html data-base="/"><link href="./assets/logo.svg"><script src="./assets/before-paint.js"></script>'
    '<script type="module" src="./assets/index-AbCd1234.js"></script>'
)


async def ready() -> dict[str, str]:
    return {}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "assets" / "index-AbCd1234.js").write_text("console.log('hello')\n" * 200)
    (folder / "assets" / "before-paint.js").write_text("// first")
    (folder / "assets" / "font-AbCd1234.woff2").write_bytes(b"wOF2")
    (folder / "secret.txt").write_text("no")
    (folder / "assets" / ".hidden.js").write_text("no")
    return folder


def app(house: House, built: Path, public_url: str | None = None) -> Starlette:
    return create_app([], house.authentication, version="1", ready=ready, dashboard=Dashboard(built, public_url))


def browse(served: Starlette) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=served)
    return httpx2.AsyncClient(transport=transport, base_url="http://testserver")


async def test_every_address_of_the_dashboard_gives_its_page_to_strangers_too(house: House, built: Path) -> None:
    async with browse(app(house, built)) as browser:
        for path in ("/", *(f"/{section}" for section in SECTIONS), "/flows/a/versions", "/runs/x?line=3"):
            answer = await browser.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html"), path
            assert 'data-base="/"' in answer.text
            assert 'src="/assets/index-AbCd1234.js"' in answer.text
            assert "default-src 'none'" in answer.headers["content-security-policy"]
        for path in ("/flowsx", "/settings", "/api/v1/absent", "/assets"):
            assert (await browser.get(path)).status_code == 404, path


async def test_under_a_sub_path_the_page_names_it(house: House, built: Path) -> None:
    async with browse(app(house, built, "https://example.org/auto/monjolo/")) as browser:
        text = (await browser.get("/flows")).text
    assert 'data-base="/auto/monjolo/"' in text
    assert 'src="/auto/monjolo/assets/index-AbCd1234.js"' in text


async def test_assets_named_by_content_are_kept_for_ever_and_others_asked_for_again(house: House, built: Path) -> None:
    async with browse(app(house, built)) as browser:
        named = await browser.get("/assets/index-AbCd1234.js")
        assert "immutable" in named.headers["cache-control"]
        assert named.headers["content-encoding"] == "gzip"
        assert named.text.startswith("console.log")
        plain = await browser.get("/assets/index-AbCd1234.js", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert (await browser.get("/assets/font-AbCd1234.woff2")).headers["content-type"] == "font/woff2"
        first = await browser.get("/assets/before-paint.js")
        assert first.headers["cache-control"] == "no-cache"
        again = await browser.get("/assets/before-paint.js", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        (built / "assets" / "before-paint.js").write_text("// changed by a new build")
        assert (await browser.get("/assets/before-paint.js")).text.startswith("// changed")


async def test_nothing_beside_the_build_is_served(house: House, built: Path) -> None:
    async with browse(app(house, built)) as browser:
        for name in (
            "absent.js",
            "..%2fsecret.txt",
            "..%2findex.html",
            ".hidden.js",
            "index.html%00.js",
            "%2e%2e",
            "a" * 3000 + ".js",
        ):
            answer = await browser.get(f"/assets/{name}")
            assert answer.status_code == 404, name
            assert answer.headers["content-type"] == "application/problem+json"


async def test_where_it_is_not_built_the_root_says_so_and_can_make_the_first_account(
    client: httpx2.AsyncClient,
) -> None:
    text = (await client.get("/")).text
    assert "make web" in text
    assert 'id="setup"' in text
    assert (await client.get("/flows")).status_code == 404
