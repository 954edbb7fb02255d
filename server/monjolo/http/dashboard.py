"""The dashboard's built files: its page at `/` and at every address it has, and the assets, named by content."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from monjolo.http.hot import Endpoint, add_hot_route
from monjolo.kit.errors import NotFound

# The first parts of the dashboard's own addresses. Who opens or reloads one gets the page, which reads the rest.
SECTIONS = ("login", "setup", "flows", "runs", "logs")
DOORS = frozenset(
    {("GET", "/assets/{name}")}
    | {("GET", f"/{section}") for section in SECTIONS}
    | {("GET", f"/{section}/{{path:path}}") for section in SECTIONS}
)

_KINDS = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_PACKED = frozenset({".css", ".html", ".js", ".svg"})
_NAMED_BY_CONTENT = re.compile(r"-[\w-]{8}\.\w+$")
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    packed: bytes | None
    etag: str
    headers: dict[str, str]


class Dashboard:
    """`folder` is what the build wrote. `public_url` may have a path: a proxy that gives us only what follows it."""

    def __init__(self, folder: Path, public_url: str | None = None) -> None:
        self._folder = folder
        self._prefix = urlsplit(public_url or "").path.rstrip("/")

    @property
    def built(self) -> bool:
        return (self._folder / "index.html").is_file()

    def add_to(self, router: APIRouter) -> None:
        page = self._page()
        add_hot_route(router, "GET", "/", page, needs=None)
        for section in SECTIONS:
            add_hot_route(router, "GET", f"/{section}", page, needs=None)
            add_hot_route(router, "GET", f"/{section}/{{path:path}}", page, needs=None)
        add_hot_route(router, "GET", "/assets/{name}", self._asset, needs=None)

    def _page(self) -> Endpoint:
        async def page(request: Request) -> Response:
            return _answer(request, await self._read("index.html"))

        return page

    async def _asset(self, request: Request) -> Response:
        return _answer(request, await self._read(f"assets/{request.path_params['name']}"))

    async def _read(self, name: str) -> _File:
        path = self._folder / name
        if path.suffix not in _KINDS or path.name.startswith("."):
            raise NotFound("The dashboard has no such file.")
        try:
            changed = (await asyncio.to_thread(path.stat)).st_mtime_ns
        except (OSError, ValueError) as error:
            raise NotFound("The dashboard has no such file; reload the page.") from error
        return await asyncio.to_thread(_load, path, changed, self._prefix)


@lru_cache(maxsize=256)
def _load(path: Path, changed: int, prefix: str) -> _File:
    """Read and packed once for each time that it was `changed`."""
    content = path.read_bytes()
    if path.suffix == ".html":  # the one file that is not addressed relative to itself
        content = content.replace(b'="./', b'="' + prefix.encode() + b"/")
        content = content.replace(b'data-base="/"', b'data-base="' + prefix.encode() + b'/"')
    headers = {"cache-control": _FOR_EVER if _NAMED_BY_CONTENT.search(path.name) else "no-cache"}
    headers["content-type"] = _KINDS[path.suffix]
    if path.suffix in _PACKED:
        headers["vary"] = "accept-encoding"
    packed = gzip.compress(content, 9, mtime=0) if path.suffix in _PACKED else None
    return _File(content, packed, f'"{hashlib.sha256(content).hexdigest()[:32]}"', headers)


def _answer(request: Request, file: _File) -> Response:
    headers = {**file.headers, "etag": file.etag}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, headers={**headers, "content-encoding": "gzip"})
    return Response(file.content, headers=headers)
