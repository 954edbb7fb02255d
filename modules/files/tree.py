"""Walk a folder without ever following a symlink, so that nothing outside it can be pulled in.

Each folder is opened with O_NOFOLLOW and compared with what its parent's listing said (device and inode): a
folder that is swapped for a link while we walk is reported, not entered.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .patterns import Excluded

FOLDER, FILE, LINK, SPECIAL = "folder", "file", "link", "special"
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read whole. `kind`: vanished | unreadable | changed | shrank | skipped."""

    path: str
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One name below the source. `path` is relative to it ("" is the source itself)."""

    path: str
    kind: str
    status: os.stat_result
    folder: int  # descriptor of the folder it stands in (files and links), valid until the next entry
    name: str

    def read_link(self) -> str:
        return os.readlink(self.name, dir_fd=self.folder)

    def open(self) -> int:
        """A descriptor of this very file. Raises OSError, FileNotFoundError when it is gone or was swapped."""
        descriptor = os.open(self.name, _FILE_FLAGS, dir_fd=self.folder)
        now = os.fstat(descriptor)
        if not stat.S_ISREG(now.st_mode) or not os.path.samestat(now, self.status):
            os.close(descriptor)
            raise FileNotFoundError(f"{self.path} was replaced while the folder was being read")
        return descriptor


def walk(root: Path, excluded: Excluded, report: Callable[[Problem], None]) -> Iterator[Entry]:
    """Every entry of `root` in a stable order. Problems go to `report`.

    A folder comes first, then its files, then each inner folder with all that is in it: tar restores a folder's
    time when it sees the first name outside, so what is inside must stand together.
    Raises OSError only when `root` itself cannot be opened.
    """
    status = root.lstat()
    if not stat.S_ISDIR(status.st_mode):
        with _opened(root.parent) as parent:
            yield Entry("", kind_of(status), status, parent, root.name)
        return
    pending = [("", status)]
    while pending:
        path, expected = pending.pop()
        yield Entry(path, FOLDER, expected, -1, path.rpartition("/")[2])
        inner: list[tuple[str, os.stat_result]] = []
        try:
            with _opened(root / path, expected) as folder:
                for entry in _entries(folder, path, excluded, report):
                    if entry.kind == FOLDER:
                        inner.append((entry.path, entry.status))
                    else:
                        yield entry
        except OSError as error:
            if not path:
                raise
            report(problem_of(path, error))
        pending.extend(reversed(inner))


def _entries(folder: int, path: str, excluded: Excluded, report: Callable[[Problem], None]) -> Iterator[Entry]:
    for name in sorted(os.listdir(folder)):
        below = f"{path}/{name}" if path else name
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            report(problem_of(below, error))
            continue
        if not excluded(below, stat.S_ISDIR(status.st_mode)):
            yield Entry(below, kind_of(status), status, folder, name)


@contextmanager
def _opened(path: Path, expected: os.stat_result | None = None) -> Iterator[int]:
    flags = _FOLDER_FLAGS if expected else _FOLDER_FLAGS & ~os.O_NOFOLLOW
    descriptor = os.open(path, flags)
    try:
        now = os.fstat(descriptor)
        if expected and not os.path.samestat(now, expected):
            raise FileNotFoundError("the folder was replaced while it was being read")
        yield descriptor
    finally:
        os.close(descriptor)


def kind_of(status: os.stat_result) -> str:
    """folder, file, link, or special (socket, pipe, device)."""
    if stat.S_ISDIR(status.st_mode):
        return FOLDER
    if stat.S_ISREG(status.st_mode):
        return FILE
    return LINK if stat.S_ISLNK(status.st_mode) else SPECIAL


def problem_of(path: str, error: OSError) -> Problem:
    """What an OSError at `path` means to a person."""
    gone = isinstance(error, FileNotFoundError | NotADirectoryError)
    return Problem(path, "vanished" if gone else "unreadable", error.strerror or str(error))
