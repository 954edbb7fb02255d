"""Content too large for the database: written once under a name that we make, never changed."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredBlob:
    name: str
    size: int  # bytes
    sha256: str  # hexadecimal


class Blobs(Protocol):
    """Whole or not at all: what `put` returns is durable, what failed left nothing behind.

    Writing raises Unavailable (`disk_full`, `data_read_only`, `data_io_failed`), or PayloadTooLarge beyond
    `limit` bytes; reading raises NotFound.
    """

    async def put(self, content: bytes | AsyncIterable[bytes], *, limit: int | None = None) -> StoredBlob: ...

    async def put_file(self, path: Path, *, limit: int | None = None) -> StoredBlob:
        """Copies the regular file at `path`; a symbolic link is refused with InvalidInput."""

    async def size(self, name: str) -> int: ...

    def read(self, name: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Bytes from `start` up to, not including, `end`, in pieces."""

    async def delete(self, names: Sequence[str]) -> None:
        """Names that are not there are passed over."""
