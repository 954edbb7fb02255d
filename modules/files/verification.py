"""Read an archive again, without unpacking anything, and compare it with its manifest."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from .manifest import Item, Manifest, checksums_of, manifest_of

_BLOCK = 1024 * 1024
_MAX_WINDOW = 1 << 27  # 128 MiB: what zstd itself accepts unless told otherwise
_KINDS = {
    tarfile.REGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hardlink",
}  # fmt: skip


@dataclass(slots=True)
class Comparison:
    """How the archive differs from its manifest. Paths are those within the archive."""

    files: int = 0
    entries: int = 0
    bytes: int = 0
    sha256: str = ""
    missing: list[str] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)  # path, what differs
    extra: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not (self.missing or self.changed or self.extra or self.damage)


class TooMuch(Exception):
    """The archive holds more than its manifest announced."""


class Compressed:
    """The archive file, hashed as it goes by."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(_BLOCK if size < 0 else size)
        self.hash.update(data)
        self.size += len(data)
        return data

    def drain(self) -> None:
        while self.read(_BLOCK):
            pass


class _Bounded:
    """The bare tar, cut off where the manifest says it ends: a bomb never gets further than that."""

    def __init__(self, inner: zstandard.ZstdDecompressionReader, limit: int) -> None:
        self._inner = inner
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(_BLOCK if size < 0 else size)
        self._left -= len(data)
        if self._left < 0:
            raise TooMuch
        return data


def compare(archive: Path, manifest: Manifest, step: Callable[[int, str], None]) -> Comparison:
    """Read `archive` whole. `step(bytes read of the archive file, path)` is called after each entry."""
    found = Comparison()
    seen: set[str] = set()
    with archive.open("rb") as file:
        compressed = Compressed(cast(BinaryIO, file))
        try:
            for item in _items(compressed, manifest.tar_size):
                _compare_item(item, manifest, found, seen)
                step(compressed.size, item.path)
        except TooMuch:
            found.damage.append("the archive holds more than its manifest announced")
        except (zstandard.ZstdError, tarfile.TarError, EOFError) as error:
            found.damage.append(f"the archive cannot be read beyond entry {found.entries}: {error}")
        compressed.drain()
    found.missing = [path for path in manifest.items if path not in seen]
    found.sha256 = compressed.hash.hexdigest()
    if compressed.size != manifest.size:
        found.damage.append(f"the archive has {compressed.size} bytes and the manifest says {manifest.size}")
    elif found.sha256 != manifest.sha256:
        found.damage.append("the checksum of the archive is not the one in its manifest")
    return found


def check_sums(archive: Path) -> list[str]:
    """What the `.sha256` file beside the archive says about the manifest (the archive itself is read later)."""
    sums, manifest = checksums_of(archive), manifest_of(archive)
    if not sums.is_file():
        return [f"{sums.name} is missing"]
    with sums.open(encoding="utf-8", errors="replace") as file:
        lines = dict(line.split(maxsplit=1)[::-1] for line in file.read(65536).splitlines() if "  " in line)
    with manifest.open("rb") as content:
        actual = hashlib.file_digest(content, "sha256").hexdigest()
    return [] if lines.get(manifest.name) == actual else [f"the checksum of {manifest.name} is not the one noted"]


def members(compressed: Compressed, limit: int) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo, Item]]:
    """Every member as it goes by, without the checksum of its content, which is read from the tar or passed over.

    Raises TooMuch, ZstdError, TarError or EOFError when it cannot be read on.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    stream = decompressor.stream_reader(cast(BinaryIO, compressed), read_across_frames=True)
    bounded = cast(BinaryIO, _Bounded(stream, limit))
    with tarfile.open(fileobj=bounded, mode="r|", bufsize=_BLOCK) as tar:
        for member in tar:
            tar.members.clear()  # type: ignore[attr-defined]  # a stream is read once; do not pile them up
            kind = _KINDS.get(member.type, "special")
            target = member.linkname if kind in ("link", "hardlink") else None
            yield tar, member, Item(member.name, kind, member.size, None, target, member.mode)


def _items(compressed: Compressed, limit: int) -> Iterator[Item]:
    """Every member, contents hashed and dropped. Member names are only compared, never used as paths."""
    for tar, member, item in members(compressed, limit):
        yield replace(item, sha256=_digest(tar, member)) if item.kind == "file" else item


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    hashed = hashlib.sha256()
    content = tar.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    while data := content.read(_BLOCK):
        hashed.update(data)
    return hashed.hexdigest()


def _compare_item(item: Item, manifest: Manifest, found: Comparison, seen: set[str]) -> None:
    found.entries += 1
    if item.kind == "file":
        found.files += 1
        found.bytes += item.size
    expected = manifest.items.get(item.path)
    if expected is None or item.path in seen:
        found.extra.append(item.path)
        return
    seen.add(item.path)
    if difference := _difference(expected, item):
        found.changed.append((item.path, difference))


def _difference(expected: Item, item: Item) -> str | None:
    if expected.kind != item.kind:
        return f"it is a {item.kind} and was a {expected.kind}"
    if item.kind == "file" and expected.size != item.size:
        return f"it has {item.size} bytes and had {expected.size}"
    if item.kind == "file" and expected.sha256 != item.sha256:
        return "its content is not what was saved"
    if expected.target != item.target:
        return "it points somewhere else"
    return "its mode is not what was saved" if expected.mode != item.mode else None
