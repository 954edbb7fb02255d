"""Files that leave: whole logs, and artifacts as attachments."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from starlette.responses import StreamingResponse

from monjolo.blobs.port import Blobs
from monjolo.kit import json

_PIECE = 256 * 1024


def log_file(lines: AsyncIterator[dict[str, Any]], name: str, kind: str, gzip: bool) -> StreamingResponse:
    """`txt`: one line each, time, step, level, text. `ndjson`: every field."""
    text = _as_bytes(lines, kind)
    ending = f"{kind}.gz" if gzip else kind
    headers = {"content-disposition": f'attachment; filename="{name}.log.{ending}"'}
    media = "application/gzip" if gzip else ("text/plain; charset=utf-8" if kind == "txt" else "application/x-ndjson")
    return StreamingResponse(_zipped(text) if gzip else text, media_type=media, headers=headers)


async def _as_bytes(lines: AsyncIterator[dict[str, Any]], kind: str) -> AsyncIterator[bytes]:
    piece = bytearray()
    async for line in lines:
        piece += json.dumpb(line) + b"\n" if kind == "ndjson" else _plain(line)
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _plain(line: dict[str, Any]) -> bytes:
    fields = " ".join(f"{name}={json.dumps(value)}" for name, value in line["fields"].items())
    words = f"{line['at']} {line['step']}#{line['attempt']} {line['level'].upper():8} {line['text']}"
    return (words + (f" {fields}" if fields else "") + "\n").encode(errors="replace")


async def _zipped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    zipper = zlib.compressobj(6, zlib.DEFLATED, 31)
    async for piece in pieces:
        if packed := zipper.compress(piece):
            yield packed
    yield zipper.flush()


def artifact(row: Any, blobs: Blobs) -> StreamingResponse:
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(row['name'], safe='')}",
        "content-length": str(row["size"]),
        "x-content-sha256": row["sha256"],
    }
    return StreamingResponse(blobs.read(row["blob"]), media_type=row["content_type"], headers=headers)
