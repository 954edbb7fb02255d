"""The manifest beside an archive: JSON lines, in the archive's own order.

The first line describes the backup, then comes one line for each entry, and the last line closes it with the
archive's size and checksum. A manifest without its last line is not whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

FORMAT = "monjolo/backup/v1"
ARCHIVE_SUFFIX = ".tar.zst"
MANIFEST_SUFFIX = ".manifest.jsonl"
CHECKSUM_SUFFIX = ".sha256"
_MAX_LINE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the archive. `kind`: file | folder | link | hardlink; `target` is where a link points."""

    path: str
    kind: str
    size: int = 0
    sha256: str | None = None
    target: str | None = None
    mode: int = 0
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest read back whole."""

    items: dict[str, Item]
    archive: str
    size: int
    sha256: str
    tar_size: int
    created_at: str


class BrokenManifest(ValueError):
    """The manifest cannot be trusted; the message says why."""


def manifest_of(archive: Path) -> Path:
    return archive.with_name(archive.name.removesuffix(ARCHIVE_SUFFIX) + MANIFEST_SUFFIX)


def checksums_of(archive: Path) -> Path:
    return archive.with_name(archive.name.removesuffix(ARCHIVE_SUFFIX) + CHECKSUM_SUFFIX)


class ManifestWriter:
    """Writes lines as they come and knows the manifest's own checksum at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.count = 0

    def begin(self, created_at: str, sources: dict[str, str]) -> None:
        """`sources`: name in the archive -> path it was read from."""
        self._line({"format": FORMAT, "created_at": created_at, "sources": sources})

    def add(self, item: Item) -> None:
        record: dict[str, Any] = {"path": item.path, "kind": item.kind, "mode": f"{item.mode:04o}"}
        record["mtime_ns"] = item.mtime_ns
        if item.kind == "file":
            record |= {"size": item.size, "sha256": item.sha256}
        if item.target is not None:
            record["target"] = item.target
        self._line(record)
        self.count += 1

    def end(self, *, archive: str, size: int, sha256: str, tar_size: int) -> str:
        """Close the manifest; returns its own SHA-256."""
        totals = {"archive": archive, "size": size, "sha256": sha256, "tar_size": tar_size}
        self._line({"end": True, "entries": self.count, **totals})
        return self._hash.hexdigest()

    def _line(self, record: dict[str, Any]) -> None:
        # ASCII JSON keeps names that are not valid UTF-8 (lone surrogates) exactly as they were.
        data = json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"
        self._hash.update(data)
        self._file.write(data)


def read_manifest(path: Path) -> Manifest:
    """Raises BrokenManifest when it is cut short or is not ours, OSError when it cannot be read."""
    items: dict[str, Item] = {}
    end: dict[str, Any] | None = None
    records = _records(path)
    head = next(records, {})
    if head.get("format") != FORMAT:
        raise BrokenManifest(f"{path.name} is not a manifest of the format {FORMAT}")
    for record in records:
        if record.get("end"):
            end = record
            break
        item = _item(record)
        items[item.path] = item
    if end is None or end.get("entries") != len(items):
        raise BrokenManifest(f"{path.name} is cut short: it was not written to its end")
    return Manifest(
        items, end["archive"], int(end["size"]), end["sha256"], int(end["tar_size"]), str(head["created_at"])
    )


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE):
            try:
                record = json.loads(line)
            except ValueError:
                raise BrokenManifest(f"{path.name} is cut short or damaged") from None
            if not isinstance(record, dict):
                raise BrokenManifest(f"{path.name} is damaged")
            yield record


def _item(record: dict[str, Any]) -> Item:
    try:
        return Item(
            record["path"],
            record["kind"],
            int(record.get("size", 0)),
            record.get("sha256"),
            record.get("target"),
            int(record["mode"], 8),
            int(record["mtime_ns"]),
        )
    except (KeyError, TypeError, ValueError):
        raise BrokenManifest(f"the manifest has an entry that is not whole: {str(record)[:200]}") from None
