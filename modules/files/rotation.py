"""Which old backups go, and the clearing of what an interrupted backup left behind."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .manifest import ARCHIVE_SUFFIX, checksums_of, manifest_of

STAMP = "%Y%m%dT%H%M%SZ"
PARTIAL = ".partial"


def numbered_archives(folder: Path, name: str) -> list[tuple[datetime, int, Path]]:
    """The archives that `files/backup` made under `name` in `folder`, newest first: time, number, path.

    Other files are never taken for one, whatever they are called.
    """
    form = re.compile(re.escape(name) + r"-(\d{8}T\d{6}Z)(?:-(\d+))?" + re.escape(ARCHIVE_SUFFIX))
    found = []
    for path in folder.iterdir():
        match = form.fullmatch(path.name)
        if match and path.is_file():
            with suppress(ValueError):
                moment = datetime.strptime(match[1], STAMP).replace(tzinfo=UTC)
                found.append((moment, int(match[2] or 1), path))
    return sorted(found, reverse=True)


def archives_of(folder: Path, name: str) -> list[tuple[datetime, Path]]:
    """The same, without the numbers."""
    return [(moment, path) for moment, _, path in numbered_archives(folder, name)]


def expired(archives: Sequence[tuple[datetime, Path]], keep: int, keep_days: int, now: datetime) -> list[Path]:
    """What may go: an archive stays when a rule that is set (above 0) keeps it; the newest always stays."""
    if keep <= 0 and keep_days <= 0:
        return []
    oldest = now - timedelta(days=keep_days)
    kept_count = max(keep, 1)
    return [
        path
        for index, (moment, path) in enumerate(archives)
        if index >= kept_count and not (keep_days > 0 and moment >= oldest)
    ]


def remove(archive: Path) -> None:
    """The archive first: an archive is never left without its manifest."""
    for path in (archive, manifest_of(archive), checksums_of(archive)):
        path.unlink(missing_ok=True)


def clear_abandoned(folder: Path, name: str) -> list[str]:
    """Remove unfinished files that a killed backup of the same name left. Those in use are locked and stay."""
    cleared = []
    form = re.compile(r"\." + re.escape(name) + r"-\d{8}T\d{6}Z.*" + re.escape(PARTIAL))
    for path in folder.iterdir():
        if form.fullmatch(path.name) and path.is_file() and not path.is_symlink() and _is_abandoned(path):
            path.unlink(missing_ok=True)
            cleared.append(path.name)
    return cleared


def _is_abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
