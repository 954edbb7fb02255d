"""Reports on git repositories: commits, authors and churn by period."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from monjolo_sdk import Context, Field, InvalidInput, Module, ModuleError

from .repository import Commit, Repository
from .summary import AuthorRow, CommitRow, FileRow, Period, PeriodRow, Summary, instant, summarise

_PULSE = 500  # commits between two words on the progress
_AGO = re.compile(r"(\d{1,5})([dw])")

module = Module(
    "git",
    version="1.0.0",
    title="Git",
    description="Reports on local git repositories.",
    icon="icon.svg",
    permissions={"paths": ["*"]},
)


class Cancelled(ModuleError):
    """The step was cancelled while it worked."""


@dataclass(frozen=True)
class Report:
    """Totals, then rows. Every count of commits includes merges; a merge itself has no lines, as in `git log`."""

    repository: str
    branch: str
    commit: Annotated[str, Field(description="What the branch stood for")]
    since: str | None
    until: str | None
    period: str
    timezone: str
    commits: int
    merges: int
    authors: int
    added: int
    deleted: int
    files: Annotated[int, Field(description="Different files that were touched")]
    binary_changes: int
    first_at: str | None
    last_at: str | None
    top_authors: list[AuthorRow]
    by_period: list[PeriodRow]
    top_files: list[FileRow]
    largest_commits: list[CommitRow]


@module.action(
    title="Report on a repository",
    effects="read",
    examples=[
        {
            "title": "The last thirty days, by week",
            "with": {"repository": "/srv/project", "since": "30d", "period": "week"},
        }
    ],
)
def report(
    ctx: Context,
    repository: Annotated[str, Field(title="Repository", description="Absolute path of a local repository")],
    branch: Annotated[str, Field(title="Branch", description="Branch, tag or commit")] = "HEAD",
    since: Annotated[
        str, Field(title="From", description="2026-01-31, an RFC 3339 instant, or 30d, 4w; empty: the beginning")
    ] = "",
    until: Annotated[str, Field(title="To", description="Like From, that day included; empty: the end")] = "",
    period: Annotated[Period, Field(title="Period")] = "week",
    timezone: Annotated[str, Field(title="Time zone", description="Where days begin")] = "UTC",
    paths: Annotated[
        list[str], Field(title="Only these paths", description="As seen from the top of the repository")
    ] = [],  # noqa: B006 - the schema shows it; it is never changed
    top: Annotated[int, Field(title="Rows", description="Of authors, files and commits", minimum=1, maximum=1000)] = 10,
) -> Report:
    """Count commits, authors and changed lines of a local repository, by day, week or month.

    The numbers are those of `git log --numstat` and `git shortlog -sne`: the mailmap is honoured, the time of a
    commit is when it was committed. Nothing of the repository's own configuration is run.
    """
    zone, now = _zone(timezone), datetime.now(UTC)
    after, before = _bound(since, "since", zone, now), _bound(until, "until", zone, now, end=True)
    folder = _folder(repository)
    source = Repository(folder)
    start = source.resolve(branch)
    ctx.log.info("reading the history", repository=str(folder), branch=branch, commit=start)
    commits = source.commits(start, since=after, until=before, paths=_literal(paths))
    summary = summarise(_watched(ctx, commits), period, zone, top)
    total = summary.total
    ctx.log.info("read the history", commits=total.commits, added=total.added, deleted=total.deleted)
    names = {"repository": str(folder), "branch": branch, "commit": start, "period": period, "timezone": timezone}
    return _report(summary, after, before, names)


def _report(summary: Summary, after: int | None, before: int | None, names: dict[str, str]) -> Report:
    total = summary.total
    return Report(
        **names,
        since=None if after is None else instant(after),
        until=None if before is None else instant(before),
        commits=total.commits,
        merges=total.merges,
        authors=summary.author_count(),
        added=total.added,
        deleted=total.deleted,
        files=len(total.files),
        binary_changes=summary.binary_changes,
        first_at=instant(total.first) if total.commits else None,
        last_at=instant(total.last) if total.commits else None,
        top_authors=summary.authors(),
        by_period=summary.periods(),
        top_files=summary.files(),
        largest_commits=summary.largest(),
    )


def _watched(ctx: Context, commits: Iterable[Commit]) -> Iterator[Commit]:
    for count, commit in enumerate(commits, 1):
        if count % _PULSE == 0:
            if ctx.cancelled:
                raise Cancelled("the step was cancelled")
            ctx.progress(count, None, f"{count} commits")
        yield commit


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(f"{name!r} is not a time zone; write one such as America/Sao_Paulo", "timezone") from None


def _bound(text: str, field: str, zone: tzinfo, now: datetime, *, end: bool = False) -> int | None:
    """Seconds since the epoch, inclusive. A bare date means its first second, or its last when `end`."""
    text = text.strip()
    if not text:
        return None
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return int((now - timedelta(days=int(ago[1]) * (7 if ago[2] == "w" else 1))).timestamp())
        if len(text) == 10:
            day = date.fromisoformat(text) + timedelta(days=1 if end else 0)
            return int(datetime.combine(day, time(), zone).timestamp()) - (1 if end else 0)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{text!r} is no date; write 2026-01-31, 2026-01-31T08:00:00Z or 30d", field) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())


def _folder(text: str) -> Path:
    home = pwd.getpwuid(os.getuid()).pw_dir  # in a runner, HOME is a folder that is thrown away
    path = Path(re.sub(r"^~(?=/|$)", lambda _: home, text))
    if "\0" in text or not path.is_absolute():
        raise InvalidInput(f"{text!r} is not an absolute path (it begins with / or ~)", "repository")
    if not path.is_dir():
        raise InvalidInput(f"there is no folder {path}", "repository")
    return path.resolve()


def _literal(paths: list[str]) -> list[str]:
    for index, path in enumerate(paths):
        if not path or "\0" in path or path.startswith("/") or ".." in path.split("/"):
            raise InvalidInput(f"{path!r} is not a path within the repository", f"paths[{index}]")
    return paths
