"""Blobs as files of a folder, in 256 subfolders so that none grows too large."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import stat
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO

from monjolo.blobs.port import StoredBlob
from monjolo.kit.disk import disk_error
from monjolo.kit.errors import InvalidInput, NotFound, PayloadTooLarge
from monjolo.kit.ids import new_id

_PIECE = 256 * 1024
_NAME = re.compile(r"[0-9a-f]{32}")
_PART = ".part"


class FolderBlobs:
    """`Blobs` in `root`. Names are generated, so nothing that a user wrote ever becomes a path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in root.glob(f"*{_PART}"):  # of a process that died while it wrote
                left.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(error, root) from error

    async def put(self, content: bytes | AsyncIterable[bytes], *, limit: int | None = None) -> StoredBlob:
        return await self._put(_whole(content) if isinstance(content, bytes) else content, limit)

    async def put_file(self, path: Path, *, limit: int | None = None) -> StoredBlob:
        source = await asyncio.to_thread(_open_regular, path)
        try:
            return await self._put(_pieces(source, None), limit)
        finally:
            source.close()

    async def size(self, name: str) -> int:
        try:
            return (await asyncio.to_thread(self._path(name).stat)).st_size
        except FileNotFoundError:
            raise _missing(name) from None

    async def read(self, name: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        try:
            source = await asyncio.to_thread(self._path(name).open, "rb")
        except FileNotFoundError:
            raise _missing(name) from None
        with source:
            source.seek(start)
            async for piece in _pieces(source, None if end is None else end - start):
                yield piece

    async def delete(self, names: Sequence[str]) -> None:
        paths = [self._path(name) for name in names]
        await asyncio.to_thread(_unlink, paths)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise _missing(name)
        return self.root / name[-2:] / name  # the end of a UUIDv7 is random: the subfolders fill evenly

    async def _put(self, content: AsyncIterable[bytes], limit: int | None) -> StoredBlob:
        name = new_id().replace("-", "")
        part = self.root / f"{name}{_PART}"
        digest, size = hashlib.sha256(), 0
        try:
            with await asyncio.to_thread(_create, part) as target:
                async for piece in content:
                    size += len(piece)
                    if limit is not None and size > limit:
                        raise PayloadTooLarge(f"The content is larger than the {limit:,} bytes it may have.")
                    digest.update(piece)
                    await asyncio.to_thread(target.write, piece)
                await asyncio.to_thread(_finish, target, part, self._path(name))
        except BaseException as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise disk_error(error, self.root) from error
            raise
        return StoredBlob(name, size, digest.hexdigest())


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _finish(target: BinaryIO, part: Path, path: Path) -> None:
    """On the disk first, then under its name: a name never stands for half a content."""
    target.flush()
    os.fsync(target.fileno())
    path.parent.mkdir(mode=0o700, exist_ok=True)
    part.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _open_regular(path: Path) -> BinaryIO:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        reason = f"{path.name} cannot be read: {error.strerror}."
        raise InvalidInput(reason, code="file_unreadable") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidInput(f"{path.name} is not a regular file.", code="file_unreadable")
    return os.fdopen(descriptor, "rb", 0)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]


async def _pieces(source: BinaryIO, length: int | None) -> AsyncIterator[bytes]:
    left = length
    while left is None or left > 0:
        piece = await asyncio.to_thread(source.read, _PIECE if left is None else min(_PIECE, left))
        if not piece:
            return
        left = None if left is None else left - len(piece)
        yield piece


def _missing(name: str) -> NotFound:
    return NotFound(f"The content {name[:40]!r} is not stored here, or no longer.", code="blob_missing")
