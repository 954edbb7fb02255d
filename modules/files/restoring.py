"""Put back what an archive holds: its names are judged first, then each entry is written beside its place and renamed.

Nothing is ever written through a link: every folder on the way is opened from the one above it (places.Ground).
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, cast

import zstandard

from .errors import TargetFull, TargetUnwritable, UnsafeArchive, VerificationFailed
from .manifest import Item, Manifest
from .patterns import Excluded
from .places import FULL, Blocked, Ground, begin_file, clear_unfinished, settle, shown, unfinished_name
from .tree import Problem
from .verification import Compressed, TooMuch, members

_BLOCK = 1024 * 1024

Overwrite = Literal["never", "newer", "always"]
Owner = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Order:
    """What to put back. `outside_links`: links that point out of the target are put back too."""

    target: Path
    chosen: list[Item]
    overwrite: Overwrite
    outside_links: bool
    dry_run: bool


@dataclass(slots=True)
class PutBack:
    """What came of it. `kept`: what stood there already and stays."""

    files: int = 0
    links: int = 0
    folders: int = 0
    bytes: int = 0
    placed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def judge(manifest: Manifest) -> None:
    """Raises UnsafeArchive unless every entry has a plain place below the target. No backup of ours fails this."""
    for item in manifest.items.values():
        parts = item.path.split("/")
        if "\0" in item.path or any(part in ("", ".", "..") for part in parts):
            raise UnsafeArchive(f"{shown(item.path)!r} is not a path below the target; nothing was put in place")
        if item.kind not in ("file", "folder", "link", "hardlink"):
            raise UnsafeArchive(f"{shown(item.path)} is a device, pipe or socket; nothing was put in place")
        above = manifest.items.get("/".join(parts[:-1])) if len(parts) > 1 else None
        if len(parts) > 1 and (above is None or above.kind != "folder"):
            raise UnsafeArchive(
                f"{shown(item.path)} does not stand in a folder of the archive; nothing was put in place"
            )
        if item.kind == "hardlink" and getattr(manifest.items.get(item.target or ""), "kind", "") != "file":
            raise UnsafeArchive(
                f"{shown(item.path)} is a hard link to what is no file of the archive; nothing was put in place"
            )


def choose(manifest: Manifest, included: Excluded | None, excluded: Excluded) -> list[Item]:
    """The entries that the patterns name, in the archive's order; what lies in a named folder goes with it."""
    return [
        item
        for item in manifest.items.values()
        if (included is None or _named(included, item)) and not _named(excluded, item)
    ]


def _named(matches: Excluded, item: Item) -> bool:
    parts = item.path.split("/")
    folders = (matches("/".join(parts[:count]), True) for count in range(1, len(parts)))
    return any(folders) or matches(item.path, item.kind == "folder")


def put_back(archive: Path, manifest: Manifest, order: Order, step: Callable[[int, str], None]) -> PutBack:
    """Read the archive once more and place what was chosen; `step(bytes read, path)` may raise to stop.

    Raises TargetFull or TargetUnwritable, VerificationFailed when the archive changed since it was verified. What was
    placed until then is whole and stays.
    """
    try:
        if not order.dry_run:
            order.target.mkdir(parents=True, exist_ok=True)
        ground = Ground(order.target) if order.target.is_dir() else None
    except OSError as error:
        raise TargetUnwritable(f"the target {order.target} cannot be used: {error.strerror}") from None
    restorer = _Restorer(manifest, order, ground)
    try:
        with archive.open("rb") as file:
            compressed = Compressed(cast(BinaryIO, file))
            for tar, member, item in members(compressed, manifest.tar_size):
                restorer.take(tar, member, item)
                step(compressed.size, item.path)
        restorer.finish()
    except (TooMuch, zstandard.ZstdError, tarfile.TarError, EOFError) as error:
        raise VerificationFailed(f"the archive changed while it was read: {type(error).__name__} {error}") from None
    finally:
        if ground is not None:
            ground.close()
    return restorer.done


class _Restorer:
    """Places one entry after the other."""

    def __init__(self, manifest: Manifest, order: Order, ground: Ground | None) -> None:
        self._manifest, self._order, self._ground = manifest, order, ground
        self.done = PutBack()
        self._chosen = {item.path for item in order.chosen}
        self._names: dict[str, list[str]] = defaultdict(list)  # a file -> all the chosen names of its content
        for item in order.chosen:
            if item.kind in ("file", "hardlink"):
                self._names[item.target or item.path].append(item.path)
        self._owners: dict[str, Owner] = {}
        self._made: set[str] = set()
        self._seen: set[str] = set()

    def take(self, tar: tarfile.TarFile, member: tarfile.TarInfo, item: Item) -> None:
        known = self._manifest.items.get(item.path)
        if known is None or known.kind != item.kind or known.target != item.target:
            raise VerificationFailed(f"the archive changed while it was read, at {shown(item.path)}")
        names = self._names.get(item.path, []) if item.kind == "file" else []
        if item.kind == "folder":
            self._owners[item.path] = (member.uid, member.gid)
        try:
            if names:
                self._take_file(tar, member, known, names)
            elif item.path in self._chosen and item.kind == "folder":
                self._folder(item.path)
            elif item.path in self._chosen and item.kind == "link":
                self._take_link(known, (member.uid, member.gid))
        except Blocked as error:
            self._problem(names or [item.path], "blocked", str(error))
        except OSError as error:
            if error.errno in FULL:
                raise TargetFull(
                    f"there is no room left in {self._order.target} for {shown(item.path)}; what was put back until "
                    f"then is whole ({self.done.files} files), and no half file was left"
                ) from None
            self._problem(names or [item.path], "unwritable", error.strerror or str(error))

    def finish(self) -> None:
        """Modes and times of folders, when nothing is put into them any more: the innermost first."""
        self.done.folders = len(self._made)
        if self._ground is None or self._order.dry_run:
            return
        dressed = set(self._made)
        if self._order.overwrite == "always":
            dressed.update(item.path for item in self._order.chosen if item.kind == "folder")
        for path in sorted(dressed, reverse=True):
            try:
                _dress(self._ground.folder(path), self._manifest.items[path], self._owners.get(path))
            except Blocked:
                continue  # told when it was met
            except OSError as error:
                self._problem([path], "unwritable", error.strerror or str(error))

    def _folder(self, path: str) -> int:
        """A descriptor of the folder `path`, made where it is missing; in a dry run it is only noted, and -1."""
        if self._ground is None or self._order.dry_run:
            self._note_missing(path)
            return -1
        folder = self._ground.folder(path, self._made.add)
        if path not in self._seen:
            self._seen.add(path)
            if path not in self._made:
                clear_unfinished(folder)
        return folder

    def _note_missing(self, path: str) -> None:
        if path in self._seen or not path:
            return
        self._note_missing(path.rpartition("/")[0])
        try:
            if self._ground is None:
                raise FileNotFoundError
            self._ground.folder(path)
        except FileNotFoundError:
            self._made.add(path)
        self._seen.add(path)

    def _wanted(self, path: str, mtime_ns: int) -> bool:
        """Is it to be placed? Tells what is kept; raises Blocked when a folder stands in its place."""
        there = self._ground.status(path) if self._ground is not None else None
        if there is None:
            return True
        overwrite = self._order.overwrite
        if overwrite == "never" or (overwrite == "newer" and mtime_ns <= there.st_mtime_ns):
            self.done.kept.append(path)
            return False
        if stat.S_ISDIR(there.st_mode):
            raise Blocked(f"a folder stands at {shown(path)}; it is not replaced by a file or a link")
        return True

    def _take_file(self, tar: tarfile.TarFile, member: tarfile.TarInfo, item: Item, names: Sequence[str]) -> None:
        wanted = []
        for name in names:
            try:
                if self._wanted(name, item.mtime_ns):
                    wanted.append(name)
            except Blocked as error:
                self._problem([name], "blocked", str(error))
        if not wanted:
            return
        if self._order.dry_run:
            for name in wanted:
                self._folder(name.rpartition("/")[0])
            self._count(wanted, item.size)
            return
        first, *others = wanted
        self._write(tar, member, item, first)
        self._count([first], item.size)
        for other in others:
            try:
                self._link(first, other)
                self._count([other], 0)
            except (Blocked, OSError) as error:
                self._problem([other], "unwritable", str(error))

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, item: Item, path: str) -> None:
        above, _, name = path.rpartition("/")
        folder = self._folder(above)
        unfinished, descriptor = begin_file(folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _copy(tar, member, item, file)
                file.flush()
                _dress(descriptor, item, (member.uid, member.gid))
                os.fsync(descriptor)
                settle(folder, unfinished, name, replace=self._order.overwrite != "never")
        except FileExistsError:
            _unlink(folder, unfinished)
            self.done.kept.append(path)
        except BaseException:
            _unlink(folder, unfinished)
            raise

    def _link(self, first: str, path: str) -> None:
        above, _, name = path.rpartition("/")
        source_above, _, source = first.rpartition("/")
        assert self._ground is not None
        start = os.dup(self._ground.folder(source_above))
        try:
            folder, unfinished = self._folder(above), unfinished_name()
            os.link(source, unfinished, src_dir_fd=start, dst_dir_fd=folder, follow_symlinks=False)
            try:
                settle(folder, unfinished, name, replace=self._order.overwrite != "never")
            finally:
                _unlink(folder, unfinished)  # renaming a name over another of the same file does nothing
        finally:
            os.close(start)

    def _take_link(self, item: Item, owner: Owner) -> None:
        points_to = item.target or ""
        if not self._order.outside_links and _leaves(item.path, points_to):
            message = f"it points outside the target, to {shown(points_to)}"
            self._problem([item.path], "refused", message)
            return
        if not self._wanted(item.path, item.mtime_ns):
            return
        above, _, name = item.path.rpartition("/")
        folder, unfinished = self._folder(above), unfinished_name()
        if not self._order.dry_run:
            os.symlink(points_to, unfinished, dir_fd=folder)
            try:
                if os.geteuid() == 0:
                    os.chown(unfinished, *owner, dir_fd=folder, follow_symlinks=False)
                os.utime(unfinished, ns=(item.mtime_ns, item.mtime_ns), dir_fd=folder, follow_symlinks=False)
                settle(folder, unfinished, name, replace=self._order.overwrite != "never")
            finally:
                _unlink(folder, unfinished)
        self.done.links += 1
        self.done.placed.append(item.path)

    def _count(self, paths: Sequence[str], size: int) -> None:
        self.done.files += len(paths)
        self.done.bytes += size
        self.done.placed.extend(paths)

    def _problem(self, paths: Sequence[str], kind: str, message: str) -> None:
        self.done.problems.extend(Problem(path, kind, message) for path in paths)


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, item: Item, file: BinaryIO) -> None:
    hashed, size = hashlib.sha256(), 0
    content = tar.extractfile(member)
    while content is not None and (data := content.read(_BLOCK)):
        hashed.update(data)
        size += len(data)
        file.write(data)
    if size != item.size or hashed.hexdigest() != item.sha256:
        raise VerificationFailed(f"the archive changed while it was read, at {shown(item.path)}")


def _dress(descriptor: int, item: Item, owner: Owner | None) -> None:
    """Owner (only root can give files away), then mode, which a change of owner would trim, then times."""
    if owner is not None and os.geteuid() == 0:
        os.fchown(descriptor, *owner)
    os.fchmod(descriptor, item.mode)
    os.utime(descriptor, ns=(item.mtime_ns, item.mtime_ns))


def _leaves(path: str, points_to: str) -> bool:
    """Could a link at `path` lead out of the target? A `..` behind a name may, as the name may be a link itself."""
    parts = [part for part in points_to.split("/") if part not in ("", ".")]
    up = next((count for count, part in enumerate(parts) if part != ".."), len(parts))
    return points_to.startswith("/") or ".." in parts[up:] or up > path.count("/")


def _unlink(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
