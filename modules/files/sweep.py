"""The action `sweep`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from monjolo_sdk import Context, Field, InvalidInput, ModuleError

from . import sweeping
from .definition import SHOWN, Included, Patterns, Pulse, module, problems_of, tell_problems
from .errors import TargetFull, TargetUnwritable
from .places import absolute, existing
from .results import SweepResult

Action = Literal["report", "move", "delete"]


@module.action(
    title="Sweep a folder",
    effects="write",
    examples=[
        {
            "title": "What would go: logs older than thirty days",
            "with": {"folder": "/var/log/app", "include": ["*.log"], "older_than": "30d", "action": "delete"},
        }
    ],
)
def sweep(
    ctx: Context,
    folder: Annotated[str, Field(title="Folder", description="An absolute path; ~ is your home")],
    action: Annotated[Action, Field(title="What to do", description="With the files that are found")] = "report",
    include: Included = [],  # noqa: B006 - the schema shows it; it is never changed
    exclude: Patterns = [],  # noqa: B006 - the schema shows it; it is never changed
    older_than: Annotated[str, Field(title="Older than", description="Last changed so long ago: 30d, 12h, 2w")] = "",
    newer_than: Annotated[str, Field(title="Newer than", description="Last changed since: 30d, 12h, 2w")] = "",
    min_size: Annotated[str, Field(title="At least", description="Bytes, or such as 64KiB, 10MiB")] = "",
    max_size: Annotated[str, Field(title="At most", description="Bytes, or such as 64KiB, 10MiB")] = "",
    duplicates: Annotated[
        bool,
        Field(title="Only duplicates", description="Further copies of a content; the oldest file is not among them"),
    ] = False,
    move_to: Annotated[
        str,
        Field(title="Move to", description="For move: a folder outside; relative paths are kept, nothing overwritten"),
    ] = "",
    dry_run: Annotated[
        bool, Field(title="Dry run", description="For move and delete: only tell what would be done")
    ] = True,
) -> SweepResult:
    """Find files by age, size, name and content, and report, move or delete them.

    Every condition that is given must hold. Symlinks are neither followed nor touched, and a file that changed since
    it was found is left alone. Nothing is moved or deleted unless `dry_run` is switched off.
    """
    began = time.monotonic()
    root = existing(folder, "folder", folders_only=True)
    target = _sweep_target(root, action, move_to, dry_run=dry_run)
    conditions = (include, older_than, newer_than, min_size, max_size, duplicates)
    if action == "delete" and not any(conditions):
        raise InvalidInput("say which files: without a condition everything in the folder would go", "action")
    wanted = sweeping.wanted(include, exclude, older_than, newer_than, min_size, max_size, duplicates)
    sweep = sweeping.Sweep(root, ctx.tmp / "sweep.db", Pulse(ctx, None, "what was done until then stays done"))
    try:
        _do(sweep, wanted, action, target, dry_run=dry_run)
    finally:
        sweep.listing(ctx.tmp / "sweep.jsonl")
        ctx.artifact("sweep.jsonl", path=ctx.tmp / "sweep.jsonl", content_type="application/x-ndjson")
        paths = sweep.paths(SHOWN)
        sweep.close()
    _tell(ctx, sweep.swept, action)
    return _result(root, action, dry_run and action != "report", paths, sweep.swept, round(time.monotonic() - began, 3))


def _do(sweep: sweeping.Sweep, wanted: sweeping.Wanted, action: Action, target: Path | None, *, dry_run: bool) -> None:
    try:
        sweep.find(wanted)
        if action != "report" and not dry_run:
            sweep.act(action, target)
    except sweeping.TargetFailed as error:
        raise (TargetFull if error.full else TargetUnwritable)(str(error)) from None
    except OSError as error:
        raise ModuleError(f"the folder cannot be read: {error.strerror}") from None


def _tell(ctx: Context, swept: sweeping.Swept, action: Action) -> None:
    tell_problems(ctx, swept.problems)
    ctx.log.info("swept", action=action, found=swept.found, bytes=swept.found_bytes, done=swept.done)


def _result(
    root: Path, action: Action, dry_run: bool, paths: list[str], swept: sweeping.Swept, seconds: float
) -> SweepResult:
    return SweepResult(
        folder=str(root),
        action=action,
        dry_run=dry_run,
        scanned=swept.scanned,
        found=swept.found,
        found_bytes=swept.found_bytes,
        duplicate_groups=swept.groups,
        done=swept.done,
        done_bytes=swept.done_bytes,
        paths=paths,
        artifact="sweep.jsonl",
        problems=problems_of(swept.problems),
        problem_count=swept.problem_count,
        duration_seconds=seconds,
    )


def _sweep_target(root: Path, action: Action, text: str, *, dry_run: bool) -> Path | None:
    if action != "move":
        return None
    target = absolute(text, "move_to")
    if target.resolve().is_relative_to(root) or root.is_relative_to(target.resolve()):
        raise InvalidInput(f"choose a folder that neither lies in {root} nor holds it", "move_to")
    try:
        if not dry_run:
            target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetUnwritable(f"{target} cannot be made: {error.strerror}") from None
    return target.resolve()
