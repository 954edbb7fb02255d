"""What the actions give. Lists are cut at a few hundred names; the counts beside them are whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from monjolo_sdk import Field


@dataclass(frozen=True)
class FileProblem:
    path: str
    kind: Literal[
        "vanished", "unreadable", "changed", "shrank", "skipped", "refused", "blocked", "unwritable", "exists"
    ]
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
class RestoreResult:
    archive: str
    target: str
    dry_run: bool
    files: Annotated[int, Field(description="Put back; in a dry run: would be")]
    folders: Annotated[int, Field(description="Made, because they were missing")]
    links: int
    bytes: int
    placed: Annotated[list[str], Field(description="The first names that were put back")]
    kept: Annotated[list[str], Field(description="The first names that stood there and stay")]
    kept_count: int
    problems: list[FileProblem]
    problem_count: int
    duration_seconds: float


@dataclass(frozen=True)
class SweepResult:
    folder: str
    action: Literal["report", "move", "delete"]
    dry_run: Annotated[bool, Field(description="True when nothing was moved or deleted, only listed")]
    scanned: Annotated[int, Field(description="Files that were looked at")]
    found: Annotated[int, Field(description="Files that meet every condition")]
    found_bytes: int
    duplicate_groups: Annotated[int, Field(description="Contents that stand in more than one file")]
    done: Annotated[int, Field(description="Files moved or deleted")]
    done_bytes: int
    paths: Annotated[list[str], Field(description="The first files found, relative to the folder")]
    artifact: Annotated[str, Field(description="All files found, one JSON object a line")]
    problems: list[FileProblem]
    problem_count: int
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
