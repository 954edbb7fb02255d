"""A folder with everything that tends to go wrong, and a disk that is really small."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with everything that tends to go wrong."""
    folder = tmp_path / "dados"
    (folder / "vazia").mkdir(parents=True)
    (folder / "olá, ção" / "日本").mkdir(parents=True)
    (folder / "olá, ção" / "日本" / "ß.txt").write_text("unicode")
    (folder / "-rf").write_text("a name like an option")
    (folder / "line\nbreak").write_text("x")
    (folder / os.fsdecode(b"latin-\xe9.txt")).write_text("not UTF-8")
    deep = folder / "/".join(["a" * 200] * 3)
    deep.mkdir(parents=True)
    (deep / ("b" * 200)).write_text("long")
    (folder / "empty").touch()
    (folder / "program").write_bytes(os.urandom(3_000_001))
    (folder / "program").chmod(0o4755)
    (folder / "vazia").chmod(0o700)
    (folder / "link").symlink_to("program")
    (folder / "dangling").symlink_to("/nowhere/at/all")
    (folder / "hard").hardlink_to(folder / "program")
    os.utime(folder / "empty", ns=(0, 1_234_567_890_123_456_789))
    os.utime(folder / "vazia", ns=(0, 981_173_106_000_000_001))
    os.utime(folder / "-rf", ns=(0, -1_500_000_000))
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB, or, without the right to mount one, the process's own file size limit."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mount, umount = ["mount", *options], ["umount", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:  # noqa: S603
        yield folder
        subprocess.run(umount, check=True)  # noqa: S603
        return
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, old[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
