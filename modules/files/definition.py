"""What the actions of this module share: the module itself, inputs, progress, the archive that a person means."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from monjolo_sdk import Context, Field, InvalidInput, Module, PermanentError

from . import rotation
from .errors import Cancelled, VerificationFailed
from .manifest import ARCHIVE_SUFFIX, BrokenManifest, Manifest, manifest_of, read_manifest
from .places import existing, shown
from .results import FileProblem
from .tree import Problem

SHOWN = 200  # how many names an output lists; the counts are always whole
_PROGRESS_SECONDS = 0.5

module = Module(
    "files",
    version="1.1.0",
    title="Files",
    description="Back up folders, verify and restore backups, sweep files away, and see what changed in a folder.",
    icon="icon.svg",
    permissions={"paths": ["*"]},
)

Patterns = Annotated[
    list[str],
    Field(
        title="Leave out",
        description="Such as *.pyc, node_modules, /cache, build/**/tmp; one that ends in / is for folders",
        max_items=1000,
    ),
]
Included = Annotated[
    list[str],
    Field(title="Only these", description="Patterns as in Leave out; empty: everything", max_items=1000),
]
FailOnProblems = Annotated[
    bool, Field(title="Fail when something is not put back", description="Otherwise problems are only listed")
]


class Pulse:
    """Reports progress a few times a second, however often it is called; stops the work when cancelled."""

    def __init__(self, ctx: Context, total: float | None, left: str = "nothing was left behind") -> None:
        self._ctx, self._total, self._left, self._next = ctx, total, left, 0.0

    def __call__(self, done: float, path: str) -> None:
        if self._ctx.cancelled:
            raise Cancelled(f"the step was cancelled; {self._left}")
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PROGRESS_SECONDS
            self._ctx.progress(done if self._total is None else min(done, self._total), self._total, shown(path))


def archive_path(text: str, name: str) -> Path:
    path = existing(text, "archive")
    if path.is_dir():
        return _newest(path, name)
    if not path.name.endswith(ARCHIVE_SUFFIX):
        raise InvalidInput(f"{path.name} is not a {ARCHIVE_SUFFIX}", "archive")
    return path


def _newest(folder: Path, name: str) -> Path:
    if not name:
        raise InvalidInput("give the name whose newest archive in the folder is verified", "name")
    archives = rotation.archives_of(folder, name)
    if not archives:
        raise PermanentError(f"there is no archive named {name!r} in {folder}")
    return archives[0][1]


def manifest_beside(archive: Path) -> Manifest:
    path = manifest_of(archive)
    try:
        return read_manifest(path)
    except FileNotFoundError:
        raise PermanentError(f"there is no manifest beside {archive}: {path.name} is missing") from None
    except BrokenManifest as error:
        raise VerificationFailed(str(error)) from None


def tell_problems(ctx: Context, problems: Sequence[Problem]) -> None:
    for problem in problems[:SHOWN]:
        ctx.log.warning(f"{problem.kind}: {shown(problem.path)}", reason=problem.message)


def problems_of(problems: Sequence[Problem]) -> list[FileProblem]:
    return [FileProblem(shown(item.path), item.kind, item.message) for item in problems[:SHOWN]]  # type: ignore[arg-type]
