"""What the actions give. Lists are cut at a few hundred names; the counts beside them are whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from monjolo_sdk import Field


@dataclass(frozen=True)
class FileProblem:
    path: str
    kind: Literal["vanished", "unreadable", "changed", "shrank", "skipped"]
    message: str


@dataclass(frozen=True)
class BackupResult:
    archive: Annotated[str, Field(title="Archive", description="Absolute path of the archive")]
    manifest: str
    checksums: str
    name: str
    size: Annotated[int, Field(title="Size", description="Bytes of the archive")]
    sha256: str
    files: int
    folders: int
    links: int
    bytes: Annotated[int, Field(title="Bytes read", description="Bytes of the files before compression")]
    problems: list[FileProblem]
    problem_count: int
    removed: Annotated[list[str], Field(title="Removed", description="Old archives that rotation removed")]
    duration_seconds: float


@dataclass(frozen=True)
class ChangedEntry:
    path: str
    difference: str


@dataclass(frozen=True)
class VerifyResult:
    ok: bool
    archive: str
    sha256: str
    size: int
    files: int
    bytes: int
    missing: list[str]
    changed: list[ChangedEntry]
    extra: list[str]
    damage: list[str]
    duration_seconds: float


@dataclass(frozen=True)
class ChangesResult:
    folder: str
    first_look: Annotated[bool, Field(description="True when there was nothing to compare with")]
    any: Annotated[bool, Field(description="True when something was created, changed or deleted")]
    created: list[str]
    changed: list[str]
    deleted: list[str]
    created_count: int
    changed_count: int
    deleted_count: int
    entries: int
    problems: list[FileProblem]
    problem_count: int
