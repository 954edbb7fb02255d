"""docs/reference/api.md: the routes, from the OpenAPI document of the wired application."""

from __future__ import annotations

import asyncio
import json
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx2
from docs_table import code, table

from monjolo.bootstrap.platform import build
from monjolo.settings import Settings
from monjolo.storage.migrate import prepare

_HEAD = """# API

Made from the code by `make docs`. The whole description, with every field, is at `/docs` and, as OpenAPI 3.1, at
`/api/v1/openapi.json` of a running platform.

- **Who asks**: `Authorization: Bearer …` with an access token (`POST /api/v1/auth/token`) or an API token (`mj_…`);
  browsers use a cookie (`POST /api/v1/auth/session`). A route without a credential is marked *open*.
- **Errors** are problem documents with a stable `code`: [errors](errors.md).
- **Lists** give `{items, next}`; the next page is `?after=` that value. `limit` says how many.
- **Writes** of runs take `Idempotency-Key`; changes of a flow take `If-Match` with the `ETag`.
- **Instants** are RFC 3339 in UTC; ids are UUIDv7; a flow is named by its slug.
"""
_METHODS = ("get", "post", "put", "patch", "delete")


def page() -> str:
    described = asyncio.run(document())
    found = [
        (operation.get("tags", ["other"])[0], path, method, operation)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        if method in _METHODS
    ]
    order = {tag: place for place, tag in enumerate(dict.fromkeys(tag for tag, *_ in found))}
    found.sort(key=lambda row: order[row[0]])
    parts = [_HEAD]
    for tag, rows in groupby(found, key=lambda row: row[0]):
        parts.append(f"\n## {tag.capitalize()}\n\n")
        shown = [(code(f"{method.upper()} {path}"), _about(operation)) for _, path, method, operation in rows]
        parts.append(table(("Route", "What it does"), shown))
    return "".join(parts)


def _about(operation: dict[str, Any]) -> str:
    text = (operation.get("description") or operation.get("summary") or "").split("\n\n")[0]
    queries = [code(p["name"]) for p in operation.get("parameters", ()) if p["in"] == "query"]
    about = text + (f" Query: {', '.join(queries)}." if queries else "")
    return about + (" *open*" if operation.get("security") == [] else "")


async def document() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder))
        await asyncio.to_thread(prepare, settings.database_file, 0)
        platform = await build(settings)
        try:
            transport = httpx2.ASGITransport(app=platform.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                answer = await client.get("/api/v1/openapi.json")
        finally:
            platform.database.close()
        found: dict[str, Any] = json.loads(answer.raise_for_status().content)
        return found
