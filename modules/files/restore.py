"""The action `restore`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from monjolo_sdk import Context, Field, PermanentError

from . import restoring, verification
from .definition import (
    SHOWN,
    FailOnProblems,
    Included,
    Patterns,
    Pulse,
    archive_path,
    manifest_beside,
    module,
    problems_of,
    tell_problems,
)
from .errors import IncompleteRestore, VerificationFailed
from .manifest import Manifest
from .patterns import compile_patterns
from .places import absolute, shown
from .results import RestoreResult


@module.action(
    title="Restore a backup",
    effects="write",
    examples=[
        {
            "title": "One folder of the newest archive, beside what is there",
            "with": {"archive": "/backups", "name": "data", "target": "/srv/restored", "include": ["data/reports"]},
        }
    ],
)
def restore(
    ctx: Context,
    archive: Annotated[
        str, Field(title="Archive", description="A .tar.zst made by files/backup, or the folder they are in")
    ],
    target: Annotated[
        str, Field(title="Target folder", description="What is put back stands in it; made when missing")
    ],
    name: Annotated[str, Field(title="Name", description="With a folder: the name whose newest archive is meant")] = "",
    include: Included = [],  # noqa: B006 - the schema shows it; it is never changed
    exclude: Patterns = [],  # noqa: B006 - the schema shows it; it is never changed
    overwrite: Annotated[
        restoring.Overwrite,
        Field(
            title="Overwrite", description="newer: when the file in the archive was changed later than the one there"
        ),
    ] = "never",
    outside_links: Annotated[
        bool, Field(title="Links that lead outside", description="Put back symlinks that point out of the target, too")
    ] = False,
    dry_run: Annotated[
        bool, Field(title="Dry run", description="Only verify, and tell what would be put back")
    ] = False,
    fail_on_problems: FailOnProblems = False,
) -> RestoreResult:
    """Put back what files/backup saved: all of it, or what the patterns name, as seen from the archive's root.

    The archive is first read from end to end and held against its manifest and checksums; if anything differs,
    nothing is put in place. Each file is written beside its place, checked again, and renamed. Modes and times are
    kept, and owners when the worker is root. Nothing is written outside the target or through a link.
    """
    began = time.monotonic()
    path, folder = archive_path(archive, name), absolute(target, "target")
    manifest = manifest_beside(path)
    restoring.judge(manifest)
    chosen = restoring.choose(manifest, compile_patterns(include) if include else None, compile_patterns(exclude))
    if not chosen:
        raise PermanentError("the patterns name nothing that is in the archive; they are read from its root")
    total = path.stat().st_size
    pulse = Pulse(ctx, 2 * total, "what was put back until then is whole")
    _verified(ctx, path, manifest, pulse)
    order = restoring.Order(folder, chosen, overwrite, outside_links, dry_run)
    done = restoring.put_back(path, manifest, order, lambda read, entry: pulse(total + read, entry))
    tell_problems(ctx, done.problems)
    if fail_on_problems and done.problems:
        raise IncompleteRestore(
            f"{len(done.problems)} entries were not put back, such as {shown(done.problems[0].path)}"
        )
    ctx.log.info("restored", files=done.files, kept=len(done.kept), problems=len(done.problems), dry_run=dry_run)
    return _result(path, order, done, round(time.monotonic() - began, 3))


def _result(archive: Path, order: restoring.Order, done: restoring.PutBack, seconds: float) -> RestoreResult:
    return RestoreResult(
        archive=str(archive),
        target=str(order.target),
        dry_run=order.dry_run,
        files=done.files,
        folders=done.folders,
        links=done.links,
        bytes=done.bytes,
        placed=[shown(entry) for entry in done.placed[:SHOWN]],
        kept=[shown(entry) for entry in done.kept[:SHOWN]],
        kept_count=len(done.kept),
        problems=problems_of(done.problems),
        problem_count=len(done.problems),
        duration_seconds=seconds,
    )


def _verified(ctx: Context, path: Path, manifest: Manifest, pulse: Pulse) -> None:
    """Raises VerificationFailed, with what differs in the log."""
    found = verification.compare(path, manifest, pulse)
    found.damage.extend(verification.check_sums(path))
    if found.ok:
        return
    for text in found.damage[:SHOWN]:
        ctx.log.error(text)
    for entry, difference in found.changed[:SHOWN]:
        ctx.log.error(f"changed: {shown(entry)}", difference=difference)
    raise VerificationFailed("the archive is not what its manifest says, so nothing was put in place; verify it")
