"""Back up folders, prove that a backup is whole, put it back, sweep old files away, and see what changed."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from monjolo_sdk import Context, Field, InvalidInput, ModuleError, PermanentError

from . import restore as restore  # registers its action, as sweep does
from . import rotation, snapshot, tree, verification
from . import sweep as sweep
from .archive import Made, Plan, TargetFailed, write_archive
from .definition import SHOWN, Patterns, Pulse, archive_path, manifest_beside, module, problems_of, tell_problems
from .errors import IncompleteBackup, TargetFull, TargetUnwritable, VerificationFailed
from .manifest import checksums_of, manifest_of
from .patterns import Excluded, compile_patterns, excluded_or_within
from .places import absolute, existing, shown
from .results import BackupResult, ChangedEntry, ChangesResult, VerifyResult
from .tree import Problem

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@module.action(
    title="Back up folders",
    effects="write",
    examples=[
        {
            "title": "Nightly backup that keeps two weeks",
            "with": {"sources": ["/srv/data"], "target": "/backups", "exclude": ["*.tmp"], "keep": 14},
        }
    ],
)
def backup(
    ctx: Context,
    sources: Annotated[list[str], Field(title="Folders", description="What to save", min_items=1, max_items=100)],
    target: Annotated[str, Field(title="Target folder", description="Where archives go; made when missing")],
    name: Annotated[
        str,
        Field(title="Name", description="Archives are <name>-<time>.tar.zst; by default the first folder's name"),
    ] = "",
    exclude: Patterns = [],  # noqa: B006 - the schema shows it; it is never changed
    level: Annotated[int, Field(title="Compression", description="zstd level", minimum=1, maximum=19)] = 3,
    keep: Annotated[
        int, Field(title="Keep at least", description="Newest archives to keep; 0: no rule", minimum=0)
    ] = 0,
    keep_days: Annotated[
        int, Field(title="Keep days", description="Keep archives of so many days; 0: no rule", minimum=0)
    ] = 0,
    fail_on_problems: Annotated[
        bool,
        Field(title="Fail when a file is not saved whole", description="Otherwise problems are only listed"),
    ] = False,
    allow_empty: Annotated[
        bool, Field(title="Allow empty", description="Go on when there is no file at all (an unmounted disk?)")
    ] = False,
) -> BackupResult:
    """Save folders into one .tar.zst, with a manifest of checksums beside it, and rotate old archives.

    The archive is written under a temporary name, settled on disk and renamed, so that a file with the final
    name is always whole. It unpacks with `tar --zstd -xf`. With `keep` and `keep_days` together, an archive
    stays as long as one of the two keeps it.
    """
    began = time.monotonic()
    plan = _plan(sources, target, name, exclude, level)
    for cleared in rotation.clear_abandoned(plan.target, plan.name):
        ctx.log.warning("removed what an interrupted backup left", file=cleared)
    expected = _expected_bytes(ctx, plan, allow_empty)
    ctx.log.info("backing up", sources=[str(path) for path in plan.sources.values()], bytes=expected)
    made = _write(ctx, plan, expected, fail_on_problems)
    removed = _rotate(ctx, plan, made, keep, keep_days)
    _tell(ctx, made)
    return BackupResult(
        archive=str(made.archive),
        manifest=str(manifest_of(made.archive)),
        checksums=str(checksums_of(made.archive)),
        name=plan.name,
        size=made.size,
        sha256=made.sha256,
        files=made.files,
        folders=made.folders,
        links=made.links,
        bytes=made.bytes,
        problems=problems_of(made.problems),
        problem_count=len(made.problems),
        removed=removed,
        duration_seconds=round(time.monotonic() - began, 3),
    )


@module.action(
    title="Verify a backup",
    effects="read",
    examples=[{"title": "The newest archive of a folder", "with": {"archive": "/backups", "name": "data"}}],
)
def verify(
    ctx: Context,
    archive: Annotated[
        str, Field(title="Archive", description="A .tar.zst made by files/backup, or the folder they are in")
    ],
    name: Annotated[
        str, Field(title="Name", description="With a folder: the name whose newest archive is verified")
    ] = "",
    fail_on_difference: Annotated[
        bool, Field(title="Fail on difference", description="Otherwise only `ok` says so")
    ] = True,
) -> VerifyResult:
    """Read an archive again from end to end and compare every entry with the manifest beside it.

    Nothing is unpacked to disk. Tells entries that are missing, changed or were never in the manifest, and
    damage to the archive, its manifest or its checksums.
    """
    began = time.monotonic()
    path = archive_path(archive, name)
    manifest = manifest_beside(path)
    total = path.stat().st_size
    pulse = Pulse(ctx, total)
    found = verification.compare(path, manifest, lambda done, entry: pulse(done, entry))
    found.damage.extend(verification.check_sums(path))
    result = VerifyResult(
        ok=found.ok,
        archive=str(path),
        sha256=found.sha256,
        size=total,
        files=found.files,
        bytes=found.bytes,
        missing=[shown(entry) for entry in found.missing[:SHOWN]],
        changed=[ChangedEntry(shown(entry), difference) for entry, difference in found.changed[:SHOWN]],
        extra=[shown(entry) for entry in found.extra[:SHOWN]],
        damage=found.damage[:SHOWN],
        duration_seconds=round(time.monotonic() - began, 3),
    )
    _judge(ctx, result, found, fail_on_difference)
    return result


@module.action(
    title="List changes in a folder",
    effects="read",
    examples=[{"title": "Watch a configuration folder", "with": {"folder": "/etc", "exclude": ["*.swp"]}}],
)
def changes(
    ctx: Context,
    folder: Annotated[str, Field(title="Folder", description="An absolute path; ~ is your home")],
    exclude: Patterns = [],  # noqa: B006 - the schema shows it; it is never changed
    compare: Annotated[
        Literal["time", "content"],
        Field(title="Compare by", description="time: size and time of change (quick); content: read every file"),
    ] = "time",
    max_entries: Annotated[int, Field(title="Most entries", minimum=1, maximum=100_000)] = 20_000,
) -> ChangesResult:
    """What was created, changed or deleted in a folder since the last successful run of this step.

    The first look only remembers. What was seen is kept in the step's state, and is kept only if the step
    succeeds, so that no change is lost.
    """
    root = existing(folder, "folder", folders_only=True)
    problems: list[Problem] = []
    try:
        now = snapshot.take(
            root,
            compile_patterns(exclude),
            contents=compare == "content",
            limit=max_entries,
            report=problems.append,
        )
    except snapshot.TooManyEntries:
        raise PermanentError(
            f"{root} has more than {max_entries} entries: raise max_entries, or exclude some"
        ) from None
    # Another folder, other patterns or another way to compare make a new series, not a flood of changes.
    series = {"folder": str(root), "exclude": sorted(exclude), "compare": compare}
    kept = ctx.state.get("snapshot")
    known = isinstance(kept, dict) and kept.get("series") == series
    before = snapshot.unpack(kept["seen"]) if known else None
    ctx.state.set("snapshot", {"series": series, "seen": snapshot.pack(now)})
    found = snapshot.differences(now if before is None else before, now)
    ctx.log.info(
        "looked at the folder",
        folder=str(root),
        entries=len(now),
        created=len(found.created),
        changed=len(found.changed),
        deleted=len(found.deleted),
    )
    return ChangesResult(
        folder=str(root),
        first_look=before is None,
        any=bool(found.created or found.changed or found.deleted),
        created=[shown(path) for path in found.created[:SHOWN]],
        changed=[shown(path) for path in found.changed[:SHOWN]],
        deleted=[shown(path) for path in found.deleted[:SHOWN]],
        created_count=len(found.created),
        changed_count=len(found.changed),
        deleted_count=len(found.deleted),
        entries=len(now),
        problems=problems_of(problems),
        problem_count=len(problems),
    )


def _plan(sources: Sequence[str], target: str, name: str, exclude: Sequence[str], level: int) -> Plan:
    named: dict[str, Path] = {}
    for index, text in enumerate(sources):
        path = existing(text, f"sources[{index}]")
        base, label, count = path.name or "root", path.name or "root", 1
        while label in named:
            count += 1
            label = f"{base}-{count}"
        named[label] = path
    folder = absolute(target, "target")
    chosen = name or re.sub(r"[^A-Za-z0-9._-]+", "-", next(iter(named))).strip("-.") or "backup"
    if not _NAME.fullmatch(chosen):
        raise InvalidInput("use letters, digits, dot, _ and -, beginning with a letter or digit, at most 100", "name")
    excluded = compile_patterns(exclude)
    for source in named.values():
        _refuse_target_inside(folder, source, excluded)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetUnwritable(f"the target folder {folder} cannot be made: {error.strerror}") from None
    return Plan(named, folder.resolve(), chosen, excluded, level, datetime.now(UTC))


def _refuse_target_inside(target: Path, source: Path, excluded: Excluded) -> None:
    """An archive inside what it saves would contain itself, and every older one."""
    resolved = target.resolve()
    if not resolved.is_relative_to(source):
        return
    inner = resolved.relative_to(source).as_posix()
    if inner == "." or not excluded_or_within(excluded, inner):
        advice = "choose another folder" if inner == "." else f"choose another folder, or exclude /{inner}"
        raise InvalidInput(f"the target lies inside the source {source}; {advice}", "target")


def _expected_bytes(ctx: Context, plan: Plan, allow_empty: bool) -> int:
    """The sum of sizes, for the progress; refuses a backup of nothing."""
    total = files = 0
    for source in plan.sources.values():
        try:
            for entry in tree.walk(source, plan.excluded, lambda problem: None):
                if entry.kind != tree.FOLDER:
                    files += 1
                if entry.kind == tree.FILE:
                    total += entry.status.st_size
        except OSError as error:
            raise ModuleError(f"{source} cannot be read: {error.strerror}") from None
    if not files and not allow_empty:
        raise PermanentError(
            "there is not a single file to save; is a disk not mounted? (set allow_empty if this is meant)"
        )
    return total


def _write(ctx: Context, plan: Plan, expected: int, fail_on_problems: bool) -> Made:
    pulse = Pulse(ctx, expected)

    def step(made: Made, path: str) -> None:
        pulse(made.bytes, path)
        if fail_on_problems and made.problems:
            problem = made.problems[0]
            raise IncompleteBackup(
                f"{shown(problem.path)} was not saved whole ({problem.kind}: {problem.message}); no archive was made"
            )

    try:
        made = write_archive(plan, step)
    except TargetFailed as error:
        raise (TargetFull if error.full else TargetUnwritable)(str(error)) from error
    ctx.progress(expected, expected, "done")
    return made


def _rotate(ctx: Context, plan: Plan, made: Made, keep: int, keep_days: int) -> list[str]:
    removed = []
    archives = rotation.archives_of(plan.target, plan.name)
    for path in rotation.expired(archives, keep, keep_days, plan.at):
        if path == made.archive:  # a clock set back can make the newest look old
            continue
        try:
            rotation.remove(path)
        except OSError as error:
            ctx.log.warning("an old archive could not be removed", archive=path.name, error=str(error))
        else:
            removed.append(path.name)
    return removed


def _tell(ctx: Context, made: Made) -> None:
    tell_problems(ctx, made.problems)
    ctx.log.info(
        "backup made",
        archive=made.archive.name,
        files=made.files,
        bytes=made.bytes,
        size=made.size,
        problems=len(made.problems),
    )


def _judge(ctx: Context, result: VerifyResult, found: verification.Comparison, fail: bool) -> None:
    if result.ok:
        ctx.log.info("the archive is whole", archive=result.archive, files=result.files)
        return
    for text in (*result.damage, *(f"missing: {path}" for path in result.missing)):
        ctx.log.error(text)
    for entry in result.changed:
        ctx.log.error(f"changed: {entry.path}", difference=entry.difference)
    if fail:
        counts = f"{len(found.missing)} missing, {len(found.changed)} changed, {len(found.extra)} unknown"
        first = result.damage[0] if result.damage else counts
        raise VerificationFailed(f"the archive is not what its manifest says: {first} ({counts})")
