"""Blobs in a folder: whole or not at all, under names of our own."""

from __future__ import annotations

import hashlib
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monjolo.blobs.folder import FolderBlobs
from monjolo.kit.errors import InvalidInput, NotFound, PayloadTooLarge, Unavailable


async def whole(blobs: FolderBlobs, name: str, **part: int) -> bytes:
    return b"".join([piece async for piece in blobs.read(name, **part)])


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_is_put_is_read_back(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    content = os.urandom(700_000)
    (tmp_path / "source").write_bytes(content)
    for stored in (
        await blobs.put(content),
        await blobs.put(stream(content[:1000], content[1000:])),
        await blobs.put_file(tmp_path / "source"),
    ):
        assert (stored.size, stored.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert await whole(blobs, stored.name) == content
        assert await whole(blobs, stored.name, start=10, end=300_000) == content[10:300_000]
        assert await blobs.size(stored.name) == len(content)


async def test_nothing_is_a_content_too(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    assert await whole(blobs, (await blobs.put(b"")).name) == b""


async def test_a_deleted_or_foreign_name_is_missing(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    (tmp_path / "secret").write_text("x")
    stored = await blobs.put(b"x")
    await blobs.delete([stored.name, stored.name])
    for name in (stored.name, "../secret", "/etc/passwd", "", "a" * 32 + "/../x"):
        with pytest.raises(NotFound):
            await blobs.size(name)
        with pytest.raises(NotFound):
            await whole(blobs, name)


async def test_what_is_too_large_leaves_nothing(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    with pytest.raises(PayloadTooLarge):
        await blobs.put(b"x" * 1001, limit=1000)
    assert (await blobs.put(b"x" * 1000, limit=1000)).size == 1000
    assert len(files(tmp_path)) == 1


async def test_a_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError):
        await FolderBlobs(tmp_path).put(broken())
    assert files(tmp_path) == []


async def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        with pytest.raises(Unavailable) as refused:
            await blobs.put(b"x" * 500_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert refused.value.code == "disk_full"
    assert files(tmp_path) == []
    assert (await blobs.put(b"x" * 500_000)).size == 500_000


async def test_links_pipes_and_folders_are_refused(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "none", "blobs"):
        with pytest.raises(InvalidInput) as refused:
            await blobs.put_file(tmp_path / name)
        assert refused.value.code == "file_unreadable"


async def test_what_a_dead_process_left_half_written_is_cleared(tmp_path: Path) -> None:
    stored = await FolderBlobs(tmp_path).put(b"whole")
    (tmp_path / "0123.part").write_bytes(b"half")
    blobs = FolderBlobs(tmp_path)
    assert [path.name for path in files(tmp_path)] == [stored.name]
    assert await whole(blobs, stored.name) == b"whole"
