"""Reports on repositories at GitHub: issues, pull requests, commits, releases, traffic, contributors."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from monjolo_sdk import Connection, Context, Field, InvalidInput, Module, PermanentError

from . import summary
from .client import CACHE, GitHub, GitHubRefused
from .results import Contributors, Report, Traffic, Visits

module = Module(
    "github",
    version="1.0.0",
    title="GitHub",
    description="Reports on repositories at GitHub, by its REST API.",
    icon="icon.svg",
    permissions={"net": ["*"]},  # base_url may be a GitHub Enterprise server
)
module.connection_type(
    "github_token",
    title="GitHub token",
    description="A personal access token (classic or fine-grained); for public data it needs no scope.",
    fields={"token": Field("Token", secret=True, min_length=1)},
    hosts=["api.github.com"],
)

Section = Literal["issues", "pull_requests", "commits", "releases", "traffic", "contributors"]
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_AGO = re.compile(r"(\d{1,4})([dw])")
_PER_PAGE = 100


@module.action(
    title="Report on a repository",
    effects="read",
    examples=[
        {"title": "The last week of a public repository", "with": {"repository": "octocat/hello-world", "since": "7d"}}
    ],
)
async def repository_report(
    ctx: Context,
    repository: Annotated[str, Field(title="Repository", description="owner/name")],
    connection: Annotated[
        Connection | None,
        "github_token",
        Field(title="Token", description="Optional for public data; traffic needs one"),
    ] = None,
    since: Annotated[str, Field(title="From", description="2026-01-31, or 7d, 4w; its day begins at 00:00 UTC")] = "7d",
    sections: Annotated[list[Section], Field(title="Sections", description="Empty: all of them")] = [],  # noqa: B006
    top: Annotated[int, Field(title="Rows", description="Of items, authors and so on", minimum=1, maximum=1000)] = 20,
    max_pages: Annotated[
        int, Field(title="Most pages", description="Of each list, a hundred rows a page", minimum=1, maximum=1000)
    ] = 20,
    base_url: Annotated[
        str, Field(title="API address", description="Of a GitHub Enterprise server: https://HOST/api/v3", format="uri")
    ] = "https://api.github.com",
) -> Report:
    """Count what happened in a repository since a day: issues, pull requests, commits, releases, traffic, contributors.

    Every page of a list is followed. Answers are kept between runs of the step and asked for by ETag, so that what
    did not change costs nothing of the rate limit; when the limit is reached, the step is retried as its `retry`
    says, not sooner than GitHub asks for. Traffic is shown only to a token that may push: without one the report
    says so.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise InvalidInput(f"{repository!r} is not of the form owner/name", "repository")
    now = datetime.now(UTC)
    begin = _begin(since, now)
    kept = await ctx.state.get(CACHE)
    token = str(connection["token"]) if connection is not None else None
    github = GitHub(ctx, base_url, repository, token, kept if isinstance(kept, dict) else {})
    asked = set(sections) or {"issues", "pull_requests", "commits", "releases", "traffic", "contributors"}
    ctx.log.info("reading", repository=repository, since=begin)
    report = await _Reading(ctx, github, begin, top, max_pages).report(asked, now)
    await ctx.state.set(CACHE, github.kept)
    ctx.log.info("read", requests=report.requests, unchanged=report.unchanged, remaining=report.rate_limit_remaining)
    return report


class _Reading:
    """One report, section by section."""

    def __init__(self, ctx: Context, github: GitHub, since: str, top: int, max_pages: int) -> None:
        self._ctx, self._github, self._since, self._top, self._max_pages = ctx, github, since, top, max_pages
        self._complete = True

    async def report(self, asked: set[Section], now: datetime) -> Report:
        try:
            head = (await self._github.one("", summary.keep_repository)).value
        except GitHubRefused as error:
            if error.status == 404:
                raise PermanentError("there is no such repository, or the token may not see it") from None
            raise
        open_pulls, rows = 0, []
        if asked & {"issues", "pull_requests"}:
            # One row a page: the number of the last page is the number of rows.
            first = await self._github.one("/pulls", len, state="open", per_page=1)
            open_pulls = first.last if first.value else 0
            rows = await self._rows("/issues", summary.keep_issue, state="all", since=self._since)
        open_issues = max(int(head["open_issues_count"] or 0) - open_pulls, 0)
        since, top = self._since, self._top
        return Report(
            repository=str(head["full_name"]),
            url=str(head["html_url"]),
            since=since,
            until=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            stars=int(head["stargazers_count"] or 0),
            forks=int(head["forks_count"] or 0),
            watchers=int(head["subscribers_count"] or 0),
            issues=summary.issues(rows, since, open_issues, top) if "issues" in asked else None,
            pull_requests=summary.pull_requests(rows, since, open_pulls, top) if "pull_requests" in asked else None,
            commits=await self._commits() if "commits" in asked else None,
            releases=await self._releases() if "releases" in asked else None,
            traffic=await self._traffic() if "traffic" in asked else None,
            contributors=await self._contributors() if "contributors" in asked else None,
            complete=self._complete,
            requests=self._github.requests,
            unchanged=self._github.unchanged,
            rate_limit_remaining=self._github.remaining,
        )

    async def _rows(self, path: str, keep: Callable[[Any], Any], **query: str | int) -> list[Any]:
        rows: list[Any] = []
        pages = 0
        async for page in self._github.pages(path, keep, per_page=_PER_PAGE, **query):
            rows.extend(page.value)
            pages += 1
            self._ctx.progress(len(rows), None, f"{path.strip('/')}: {len(rows)} rows")
            if pages == self._max_pages and page.next is not None:
                self._complete = False
                self._ctx.log.warning("there are more pages than max_pages", path=path, pages=pages)
                break
        return rows

    async def _commits(self) -> Any:
        try:
            rows = await self._rows("/commits", summary.keep_commit, since=self._since)
        except GitHubRefused as error:
            if error.status != 409:  # a repository without a single commit
                raise
            rows = []
        return summary.commits(rows, self._top)

    async def _releases(self) -> Any:
        return summary.releases(await self._rows("/releases", summary.keep_release), self._since, self._top)

    async def _traffic(self) -> Traffic:
        try:
            views = (await self._github.one("/traffic/views", _visits)).value
            clones = (await self._github.one("/traffic/clones", _visits)).value
            referrers = (await self._github.one("/traffic/popular/referrers", summary.keep_counts("referrer"))).value
            paths = (await self._github.one("/traffic/popular/paths", summary.keep_counts("path"))).value
        except GitHubRefused as error:
            if error.status not in (403, 404):
                raise
            reason = "GitHub shows traffic only to a token that may push to the repository"
            self._ctx.log.info(reason, status=error.status)
            return Traffic(False, reason, None, None, [], [])
        top = self._top
        return Traffic(
            True,
            "",
            Visits(**views),
            Visits(**clones),
            summary.counts(referrers, top),
            summary.counts(paths, top),
        )

    async def _contributors(self) -> Contributors:
        try:
            rows = await self._rows("/contributors", summary.keep_contributor)
        except GitHubRefused as error:
            if error.status != 403:  # the history is too long for GitHub to count
                raise
            return Contributors(False, str(error), 0, [])
        return Contributors(True, "", len(rows), summary.counts(rows, self._top))


def _visits(row: Any) -> dict[str, int]:
    return {"count": int(row.get("count", 0)), "unique": int(row.get("uniques", 0))}


def _begin(text: str, now: datetime) -> str:
    """The beginning of a day, so that the addresses of one day are the same and their answers can be reused."""
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            day = now - timedelta(days=int(ago[1]) * (7 if ago[2] == "w" else 1))
        else:
            day = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{text!r} is no date; write 2026-01-31, 7d or 4w", "since") from None
    return day.strftime("%Y-%m-%dT00:00:00Z")
