"""A migrated database file, opened as the platform opens it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from monjolo.storage.migrate import prepare
from monjolo.storage.sqlite import SqliteDatabase

NOW = 1_800_000_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "monjolo.db"
    prepare(file, NOW)
    return file


@pytest.fixture
async def database(path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(path)
    yield opened
    await asyncio.to_thread(opened.close)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root; test_a_full_disk_by_limit covers it without")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
