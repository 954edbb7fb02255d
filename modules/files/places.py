"""Paths that a person gives, and folders that are never left while files are put into them or taken out."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from monjolo_sdk import InvalidInput, PermanentError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK}  # a file system without hard links
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_UNFINISHED = re.compile(r"\.monjolo-[0-9a-f]{16}\.partial")


def absolute(text: str, field: str) -> Path:
    if "\0" in text:
        raise InvalidInput("a path cannot hold a zero byte", field)
    path = Path(re.sub(r"^~(?=/|$)", lambda _: home(), text))
    if not text.strip() or not path.is_absolute():
        raise InvalidInput(f"{text!r} is not an absolute path (it begins with / or ~)", field)
    return path


def home() -> str:
    """The real home of whoever runs the worker: in a runner, HOME is a folder that is thrown away."""
    return pwd.getpwuid(os.getuid()).pw_dir


def existing(text: str, field: str, *, folders_only: bool = False) -> Path:
    path = absolute(text, field)
    try:
        resolved = path.resolve(strict=True)
    except OSError as error:
        raise PermanentError(f"{field}: {path} cannot be used: {error.strerror}") from None
    if folders_only and not resolved.is_dir():
        raise InvalidInput(f"{path} is not a folder", field)
    return resolved


def shown(path: str) -> str:
    """A path as text that can be stored: bytes that are no UTF-8 are shown as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class Blocked(Exception):
    """Something that is no folder stands where a folder belongs."""


class Ground:
    """A folder that is never left: each part of a path is opened from the one above it, and no link is followed."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._path, self._folder = "", -1

    def close(self) -> None:
        self._forget()
        os.close(self._root)

    def folder(self, path: str, made: Callable[[str], None] | None = None) -> int:
        """A descriptor of the folder `path`, good until the next call. With `made`, folders that are missing are made
        and told to it. Raises FileNotFoundError, or Blocked.
        """
        if not path:
            return self._root
        if path != self._path:
            self._forget()
            self._folder = self._descend(path, made)
            self._path = path
        return self._folder

    def status(self, path: str) -> os.stat_result | None:
        """What stands at `path`, itself and not what it points to; None: nothing. Raises Blocked."""
        above, _, name = path.rpartition("/")
        try:
            return os.stat(name, dir_fd=self.folder(above), follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _descend(self, path: str, made: Callable[[str], None] | None) -> int:
        below, here = os.dup(self._root), ""
        try:
            for name in path.split("/"):
                here = f"{here}/{name}" if here else name
                above = below
                below = self._step(above, name, here, made)
                os.close(above)
        except BaseException:
            os.close(below)
            raise
        return below

    def _step(self, above: int, name: str, here: str, made: Callable[[str], None] | None) -> int:
        try:
            return os.open(name, _OPEN, dir_fd=above)
        except FileNotFoundError:
            if made is None:
                raise
            os.mkdir(name, 0o700, dir_fd=above)
            made(here)
            return os.open(name, _OPEN, dir_fd=above)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise Blocked(f"{shown(here)} is not a folder (a link is not followed)") from None
            raise

    def _forget(self) -> None:
        if self._folder >= 0:
            os.close(self._folder)
        self._path, self._folder = "", -1


def unfinished_name() -> str:
    return f".monjolo-{secrets.token_hex(8)}.partial"


def begin_file(folder: int) -> tuple[str, int]:
    """A new file under a name for unfinished ones, locked so that `clear_unfinished` lets it be: name, descriptor."""
    name = unfinished_name()
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return name, descriptor


def clear_unfinished(folder: int) -> None:
    """Remove what a killed step left in this folder. What another one writes at this moment is locked and stays."""
    for name in os.listdir(folder):
        if not _UNFINISHED.fullmatch(name):
            continue
        with suppress(OSError):
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=folder)
            finally:
                os.close(descriptor)


def settle(folder: int, unfinished: str, name: str, *, replace: bool) -> None:
    """Give a finished file its name at once. Without `replace`, FileExistsError when the name is taken."""
    if replace:
        os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
        return
    try:
        os.link(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # The name is made ours before it is renamed over, so that a file of others is never replaced.
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder))
        os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    else:
        os.unlink(unfinished, dir_fd=folder)
