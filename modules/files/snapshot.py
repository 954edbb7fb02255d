"""What a folder looked like, small enough to be kept between runs, and how it looks now."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import zstandard

from . import tree
from .patterns import Excluded
from .tree import Entry, Problem

_BLOCK = 1024 * 1024
_MAX_KEPT = 64 * 1024 * 1024

Snapshot = dict[str, str]  # path -> mark; two marks differ when the entry changed


@dataclass(frozen=True, slots=True)
class Changes:
    created: list[str]
    changed: list[str]
    deleted: list[str]


class TooManyEntries(Exception):
    """The folder has more entries than the caller allowed."""


def take(
    folder: Path, excluded: Excluded, *, contents: bool, limit: int, report: Callable[[Problem], None]
) -> Snapshot:
    """The mark of every entry below `folder`. `contents`: read the files, rather than trust size and time."""
    found: Snapshot = {}
    for entry in tree.walk(folder, excluded, report):
        if entry.path:
            try:
                found[entry.path] = _mark(entry, contents)
            except OSError as error:
                report(tree.problem_of(entry.path, error))
        if len(found) > limit:
            raise TooManyEntries
    return found


def differences(before: Snapshot, now: Snapshot) -> Changes:
    """Sorted lists of paths."""
    return Changes(
        sorted(now.keys() - before.keys()),
        sorted(path for path in now.keys() & before.keys() if now[path] != before[path]),
        sorted(before.keys() - now.keys()),
    )


def pack(snapshot: Snapshot) -> str:
    """A compact text for the state store: sorted names share their beginnings, so they compress well."""
    plain = json.dumps(sorted(snapshot.items()), separators=(",", ":")).encode("ascii")
    return base64.b64encode(zstandard.ZstdCompressor(level=9).compress(plain)).decode("ascii")


def unpack(text: str) -> Snapshot | None:
    """None when the text is not one of ours, which counts as never having looked."""
    try:
        plain = zstandard.ZstdDecompressor().decompress(base64.b64decode(text), max_output_size=_MAX_KEPT)
        return dict(json.loads(plain))
    except (ValueError, zstandard.ZstdError):
        return None


def _mark(entry: Entry, contents: bool) -> str:
    status = entry.status
    mode = f"{stat.S_IMODE(status.st_mode):o}"
    if entry.kind == tree.LINK:
        return _short(f"link {entry.read_link()}")
    if entry.kind != tree.FILE:
        return _short(f"{entry.kind} {mode}")
    if contents:
        return _short(f"file {mode} {_content(entry)}")
    return _short(f"file {mode} {status.st_size} {status.st_mtime_ns}")


def _content(entry: Entry) -> str:
    hashed = hashlib.sha256()
    with open(entry.open(), "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, not a path
        while data := file.read(_BLOCK):
            hashed.update(data)
    return hashed.hexdigest()


def _short(text: str) -> str:
    """64 bits are plenty to see a change, and cannot be compressed away."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return base64.b85encode(digest).decode()
