"""Write a .tar.zst with its manifest and checksums: all of it, or nothing under its final name."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from . import tree
from .manifest import ARCHIVE_SUFFIX, Item, ManifestWriter, checksums_of, manifest_of
from .patterns import Excluded
from .rotation import PARTIAL, STAMP, numbered_archives
from .tree import Entry, Problem

_BLOCK = 1024 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class TargetFailed(Exception):
    """The archive could not be written. `full`: there is no room."""

    def __init__(self, error: OSError, folder: Path) -> None:
        self.full = error.errno in _FULL
        what = "there is no room left" if self.full else (error.strerror or str(error))
        super().__init__(f"the archive could not be written to {folder}: {what}; nothing was left there")


@dataclass(slots=True)
class Made:
    """What one backup did."""

    archive: Path
    sha256: str = ""
    size: int = 0
    files: int = 0
    folders: int = 0
    links: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to save and where to. `sources`: name in the archive -> absolute path."""

    sources: dict[str, Path]
    target: Path
    name: str
    excluded: Excluded
    level: int
    at: datetime


class _Target:
    """The file behind the compressor: counts, hashes, and tells a failing target from a failing source."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._file = cast(BinaryIO, path.open("xb", buffering=0))
        fcntl.flock(self._file, fcntl.LOCK_EX)  # says "in use" to a later backup's clearing
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise TargetFailed(error, self._folder) from error
        self.hash.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered here."""

    def settle(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class _Counted:
    """What tarfile writes to: the compressor, with the size of the bare tar so far."""

    def __init__(self, inner: zstandard.ZstdCompressionWriter) -> None:
        self._inner = inner
        self.size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        self._inner.write(data)
        return len(data)

    def tell(self) -> int:
        return self.size


def write_archive(plan: Plan, step: Callable[[Made, str], None]) -> Made:
    """Save `plan.sources`; calls `step(made so far, path)` for each block and entry, which may raise to stop.

    Raises TargetFailed when the target cannot take it. Whatever is raised, no half archive stays behind.
    """
    archive = _free_name(plan)
    manifest, checksums = manifest_of(archive), checksums_of(archive)
    partial = {path: path.with_name(f".{path.name}{PARTIAL}") for path in (manifest, checksums, archive)}
    made = Made(archive)
    try:
        manifest_sha256 = _write_pair(plan, made, partial[archive], partial[manifest], step)
        lines = f"{made.sha256}  {archive.name}\n{manifest_sha256}  {manifest.name}\n"
        _write_small(partial[checksums], lines.encode())
        for final, temporary in partial.items():  # the archive last: where it stands, its manifest stands
            temporary.rename(final)
        _settle_folder(plan.target)
    except OSError as error:
        _remove(partial.values())
        raise TargetFailed(error, plan.target) from error
    except BaseException:
        _remove(partial.values())
        raise
    return made


def _free_name(plan: Plan) -> Path:
    """Later archives of one second get a higher number, even when rotation removed the lower ones."""
    at = plan.at.replace(microsecond=0)
    count = 1 + max((n for moment, n, _ in numbered_archives(plan.target, plan.name) if moment == at), default=0)
    while True:
        number = f"-{count}" if count > 1 else ""
        path = plan.target / f"{plan.name}-{plan.at.strftime(STAMP)}{number}{ARCHIVE_SUFFIX}"
        if not path.exists() and not path.with_name(f".{path.name}{PARTIAL}").exists():
            return path
        count += 1


def _write_pair(plan: Plan, made: Made, archive: Path, manifest: Path, step: Callable[[Made, str], None]) -> str:
    """Write archive and manifest under their temporary names; returns the manifest's SHA-256."""
    with ExitStack() as stack:
        target = _Target(archive)
        stack.callback(target.close)
        listing = _Target(manifest)
        stack.callback(listing.close)
        writer = ManifestWriter(cast(BinaryIO, listing))
        writer.begin(plan.at.isoformat().replace("+00:00", "Z"), {n: str(p) for n, p in plan.sources.items()})
        with _tar_into(target, plan.level) as (tar, counted):
            for name, source in plan.sources.items():
                _Saver(tar, writer, made, name, step).save(source, plan.excluded)
        target.settle()
        made.sha256, made.size = target.hash.hexdigest(), target.size
        final_name = archive.name.removeprefix(".").removesuffix(PARTIAL)
        digest = writer.end(archive=final_name, size=target.size, sha256=made.sha256, tar_size=counted.size)
        listing.settle()
        return digest


@contextmanager
def _tar_into(target: _Target, level: int) -> Iterator[tuple[tarfile.TarFile, _Counted]]:
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
    stream = compressor.stream_writer(cast(BinaryIO, target), closefd=False)
    counted = _Counted(stream)
    tar = tarfile.TarFile(fileobj=cast(BinaryIO, counted), mode="w", format=tarfile.PAX_FORMAT, copybufsize=_BLOCK)
    yield tar, counted
    tar.close()  # after a failure its trailer must not be written
    stream.flush(zstandard.FLUSH_FRAME)


class _Saver:
    """Puts one source into the archive."""

    def __init__(
        self,
        tar: tarfile.TarFile,
        manifest: ManifestWriter,
        made: Made,
        name: str,
        step: Callable[[Made, str], None],
    ) -> None:
        self._tar, self._manifest, self._made, self._name, self._step = tar, manifest, made, name, step
        self._seen: dict[tuple[int, int], str] = {}  # inode -> name of a file saved before, for hard links

    def save(self, source: Path, excluded: Excluded) -> None:
        def report(problem: Problem) -> None:
            self._made.problems.append(Problem(self._inside(problem.path), problem.kind, problem.message))

        for entry in tree.walk(source, excluded, report):
            path = self._inside(entry.path)
            try:
                self._save_entry(entry, path)
            except OSError as error:
                report(tree.problem_of(entry.path, error))
            self._step(self._made, path)

    def _inside(self, path: str) -> str:
        return f"{self._name}/{path}" if path else self._name

    def _save_entry(self, entry: Entry, path: str) -> None:
        match entry.kind:
            case tree.FOLDER:
                self._add(_head(entry, path, tarfile.DIRTYPE), "folder")
                self._made.folders += 1
            case tree.LINK:
                info = _head(entry, path, tarfile.SYMTYPE)
                info.linkname = entry.read_link()
                self._add(info, "link")
                self._made.links += 1
            case tree.FILE:
                self._save_file(entry, path)
            case _:
                message = "a socket, pipe or device has no content to save"
                self._made.problems.append(Problem(path, "skipped", message))

    def _save_file(self, entry: Entry, path: str) -> None:
        inode = (entry.status.st_dev, entry.status.st_ino)
        first = self._seen.get(inode) if entry.status.st_nlink > 1 else None
        if first is not None:
            info = _head(entry, path, tarfile.LNKTYPE)
            info.linkname = first
            self._add(info, "hardlink")
        else:
            self._add_content(entry, path)
            self._seen[inode] = path
        self._made.files += 1

    def _add_content(self, entry: Entry, path: str) -> None:
        descriptor = entry.open()
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            before = os.fstat(descriptor)
            info = _head(entry, path, tarfile.REGTYPE, before)
            info.size = before.st_size
            reader = _Reader(file, before.st_size, lambda size: self._advance(size, path))
            self._tar.addfile(info, cast(BinaryIO, reader))
            after = os.fstat(descriptor)
        if reader.failed is not None:
            self._made.problems.append(tree.problem_of(path, reader.failed))
        elif reader.missing:
            message = f"it got shorter while it was read; the last {reader.missing} bytes are zeros"
            self._made.problems.append(Problem(path, "shrank", message))
        elif (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            self._made.problems.append(Problem(path, "changed", "it changed while it was read"))
        self._record(info, "file", before.st_mtime_ns, reader.hash.hexdigest())

    def _advance(self, size: int, path: str) -> None:
        self._made.bytes += size
        self._step(self._made, path)

    def _add(self, info: tarfile.TarInfo, kind: str) -> None:
        self._tar.addfile(info)
        self._record(info, kind, _mtime_ns(info), None)

    def _record(self, info: tarfile.TarInfo, kind: str, mtime_ns: int, sha256: str | None) -> None:
        target = info.linkname if kind in ("link", "hardlink") else None
        self._manifest.add(Item(info.name, kind, info.size, sha256, target, info.mode, mtime_ns))


class _Reader:
    """Gives exactly the announced size, hashed. A file that falls short is filled up with zeros and told of:
    a tar member cannot be taken back once its header is out."""

    def __init__(self, file: BinaryIO, size: int, advance: Callable[[int], None]) -> None:
        self._file = file
        self._left = size
        self._advance = advance
        self.missing = 0
        self.failed: OSError | None = None
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = b"" if self.missing or self.failed else self._take(wanted)
        if len(data) < wanted:
            lacking = wanted - len(data)
            self.missing += lacking
            data += bytes(lacking)
        self._left -= len(data)
        self.hash.update(data)
        self._advance(len(data))
        return data

    def _take(self, wanted: int) -> bytes:
        parts: list[bytes] = []
        try:
            while wanted > 0 and (part := self._file.read(wanted)):
                parts.append(part)
                wanted -= len(part)
        except OSError as error:
            self.failed = error
        return b"".join(parts)


def _head(entry: Entry, path: str, kind: bytes, status: os.stat_result | None = None) -> tarfile.TarInfo:
    status = status or entry.status
    info = tarfile.TarInfo(path)
    info.type = kind
    info.mode = stat.S_IMODE(status.st_mode)
    info.uid, info.gid = status.st_uid, status.st_gid
    seconds, rest = divmod(status.st_mtime_ns, 10**9)
    info.mtime = seconds
    if rest or seconds < 0:  # exact nanoseconds need an extended header; a float would lose some
        info.pax_headers = {"mtime": _decimal(status.st_mtime_ns)}
    return info


def _decimal(nanoseconds: int) -> str:
    sign, absolute = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    return f"{sign}{absolute // 10**9}.{absolute % 10**9:09d}"


def _mtime_ns(info: tarfile.TarInfo) -> int:
    text = info.pax_headers.get("mtime")
    if text is None:
        return int(info.mtime) * 10**9
    whole, _, fraction = text.lstrip("-").partition(".")
    value = int(whole) * 10**9 + int(fraction)
    return -value if text.startswith("-") else value


def _write_small(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _settle_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
