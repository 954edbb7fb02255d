"""One program at a time on a data folder: a lock that the system itself takes away when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from monjolo.kit import json
from monjolo.kit.disk import disk_error
from monjolo.kit.errors import Conflict

NAME = "monjolo.lock"


class DataInUse(Conflict):
    code, title = "data_in_use", "Another Monjolo uses this data folder"


class DataLock:
    """The lock of a data folder, held from `acquire` until `release` or the end of the process.

    The file stays after release: taking it away would let two holders lock two files of one name.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, folder: Path) -> DataLock:
        """Makes the folder (0700) when it is not there. Raises DataInUse, or Unavailable for its disk."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise disk_error(error, folder) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise _in_use(folder) from error
        lock = cls(folder, descriptor)
        lock.announce(None)
        return lock

    def announce(self, url: str | None) -> None:
        """Writes down who holds the folder and where it answers, for those who come second."""
        if self._descriptor is None:
            return
        text = json.dumpb({"pid": os.getpid(), "url": url})
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text, 0)
        except OSError as error:
            raise disk_error(error, self.folder) from error

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> DataLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_held(folder: Path) -> bool:
    """Whether somebody holds the folder at this moment; nothing is made when nobody ever did."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def holder(folder: Path) -> dict[str, object]:
    """What the last holder wrote about itself: `{pid, url}`, or nothing when it cannot be read."""
    try:
        found = json.loads((folder / NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _in_use(folder: Path) -> DataInUse:
    who = holder(folder)
    process = f" (process {who['pid']})" if who.get("pid") else ""
    where = f" at {who['url']}" if who.get("url") else ""
    return DataInUse(
        f"Monjolo already runs on {folder}{process}{where}. Use that one, stop it first, "
        "or choose another data folder with MONJOLO_DATA."
    )
