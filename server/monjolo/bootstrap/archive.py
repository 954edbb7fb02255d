"""The one file of a backup: a zip laid out as the data folder is, and a manifest with the checksum of every member."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from monjolo.kit import json
from monjolo.kit.errors import InvalidInput, MonjoloError, NotFound, Unavailable
from monjolo.kit.time import from_rfc3339

FORMAT, FORMAT_VERSION = "monjolo/backup", 1
MANIFEST, DATABASE, SETTINGS = "manifest.json", "monjolo.db", "monjolo.toml"
SETTINGS_ELSEWHERE = "monjolo.toml.from-elsewhere"
FOLDERS = ("blobs", "bundles", "keys", "modules")
_PIECE = 1 << 20
_MANIFEST_LIMIT = 256 << 20
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_KINDS = {"platform_version": str, "tables": str, "instant": str, "runs": int, "keys": bool, "key_elsewhere": bool}
_NOT_A_NAME = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    size: int  # bytes
    sha256: str  # hexadecimal


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the archive says about itself. `instant`: every run accepted before it is in the archive."""

    platform_version: str
    tables: str  # the revision of the tables
    instant: str  # RFC 3339
    runs: int
    keys: bool  # whether the key folder is in it
    key_elsewhere: bool  # secrets are sealed under a key that no file of the folder holds
    missing_blobs: tuple[str, ...]  # named by the database, and not there when they were to be copied
    members: tuple[Member, ...]
    format: str = FORMAT
    format_version: int = FORMAT_VERSION


class BackupUnfit(InvalidInput):
    code, title = "backup_unfit", "The backup cannot be used"


# --- writing ------------------------------------------------------------------------------------------------


class Packer:
    """Writes the members one after the other, the manifest last. Only its owner may read the file."""

    def __init__(self, file: Path) -> None:
        self._stream = os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b")
        self._zip = zipfile.ZipFile(self._stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self.members: list[Member] = []

    def add(self, name: str, source: IO[bytes], *, executable: bool = False, packed: bool = True) -> None:
        check_name(name)
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (0o100700 if executable else 0o100600) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        digest, size = hashlib.sha256(), 0
        with self._zip.open(entry, "w", force_zip64=True) as target:
            while piece := source.read(_PIECE):
                digest.update(piece)
                size += len(piece)
                target.write(piece)
        self.members.append(Member(name, size, digest.hexdigest()))

    def finish(self, manifest: Manifest) -> None:
        """Until it is on the disk."""
        self._zip.writestr(MANIFEST, json.dumpb(asdict(manifest)))
        self._zip.close()
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()

    def abandon(self) -> None:
        """Lets go of the file, whatever state it is in."""
        self._zip.fp = None  # its end is not written any more: the disk may be full
        self._stream.close()


# --- reading ------------------------------------------------------------------------------------------------


class Archive:
    """A backup whose manifest is read, and fits what is in the file."""

    def __init__(self, file: Path, content: zipfile.ZipFile) -> None:
        self.file = file
        self._zip = content
        self.manifest = _manifest(file, content)
        names = [entry.filename for entry in content.infolist()]
        wanted = [member.name for member in self.manifest.members]
        for name in wanted:
            check_name(name)
        if sorted(names) != sorted([*wanted, MANIFEST]) or DATABASE not in wanted:
            raise BackupUnfit(f"{file} does not hold what its manifest lists: it was changed after it was made.")

    def check(self) -> None:
        """Reads every member and compares its checksum. Raises BackupUnfit, naming the first that is wrong."""
        for member in self.manifest.members:
            self._copy(member, None)

    def extract(self, folder: Path) -> None:
        """Every member below the new, empty `folder`, each compared with its checksum."""
        for member in self.manifest.members:
            self._extract(member, folder)

    def extract_database(self, folder: Path) -> Path:
        return self._extract(next(one for one in self.manifest.members if one.name == DATABASE), folder)

    def _extract(self, member: Member, folder: Path) -> Path:
        path = folder / member.name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = 0o700 if (self._zip.getinfo(member.name).external_attr >> 16) & 0o100 else 0o600
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, mode), "wb") as target:
            self._copy(member, target)
            target.flush()
            os.fsync(target.fileno())
        return path

    def _copy(self, member: Member, target: IO[bytes] | None) -> None:
        digest, size = hashlib.sha256(), 0
        try:
            with self._zip.open(member.name) as source:
                while size <= member.size and (piece := source.read(_PIECE)):
                    digest.update(piece)
                    size += len(piece)
                    if target is not None:
                        target.write(piece)
        except _DAMAGE as error:
            raise _damaged(self.file, member.name) from error
        if (size, digest.hexdigest()) != (member.size, member.sha256):
            raise _damaged(self.file, member.name)


@contextmanager
def opened(file: Path) -> Iterator[Archive]:
    """Raises NotFound, Unavailable, or BackupUnfit when it is no backup or one of a newer Monjolo."""
    try:
        content = zipfile.ZipFile(file)
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.", code="backup_missing") from None
    except OSError as error:
        raise Unavailable(f"{file} cannot be read: {error.strerror}.", code="backup_unreadable") from error
    except zipfile.BadZipFile as error:
        raise BackupUnfit(f"{file} is no backup of Monjolo, or its end is missing.") from error
    with content:
        yield Archive(file, content)


def _manifest(file: Path, content: zipfile.ZipFile) -> Manifest:
    try:
        if content.getinfo(MANIFEST).file_size > _MANIFEST_LIMIT:
            raise ValueError
        found: dict[str, Any] = json.loads(content.read(MANIFEST))
        if found["format"] != FORMAT:
            raise ValueError
        newer = found["format_version"] > FORMAT_VERSION
    except (KeyError, TypeError, *_DAMAGE) as error:
        raise BackupUnfit(f"{file} is no backup of Monjolo: it has no manifest that can be read.") from error
    if newer:
        raise BackupUnfit(
            f"{file} was made by a newer Monjolo ({found.get('platform_version')}). Install that version and use it.",
            code="backup_newer",
        )
    try:
        members = tuple(Member(str(one["name"]), int(one["size"]), str(one["sha256"])) for one in found["members"])
        manifest = Manifest(**found | {"members": members, "missing_blobs": tuple(found["missing_blobs"])})
        for name, kind in _KINDS.items():
            if type(getattr(manifest, name)) is not kind:
                raise ValueError(f"{name} is not {kind.__name__}")
        from_rfc3339(manifest.instant)
        return manifest
    except (KeyError, TypeError, ValueError) as error:
        raise BackupUnfit(f"{file} has a manifest that does not fit its format: {error}.") from error


def check_name(name: str) -> None:
    """Only what belongs into a data folder, and never a way out of it. Raises BackupUnfit."""
    parts = name.split("/")
    plain = not _NOT_A_NAME.search(name) and all(part not in ("", ".", "..") for part in parts)
    known = name in (DATABASE, SETTINGS, SETTINGS_ELSEWHERE) or (len(parts) > 1 and parts[0] in FOLDERS)
    try:
        name.encode()
    except UnicodeEncodeError:
        plain = False
    if not (plain and known):
        raise BackupUnfit(f"{name!r} is no name that a backup may hold.", code="backup_name")


def _damaged(file: Path, name: str) -> MonjoloError:
    return BackupUnfit(f"{file} is damaged: {name} does not have the checksum it was stored with. Use another backup.")
