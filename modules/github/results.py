"""What a report holds. What could not be read is null or says why; a count is never made up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from monjolo_sdk import Field


@dataclass(frozen=True)
class Item:
    """One issue or pull request that moved in the period."""

    number: int
    title: str
    state: str
    author: str
    created_at: str
    closed_at: str | None
    url: str


@dataclass(frozen=True)
class Issues:
    open: Annotated[int, Field(description="Open now, pull requests not among them")]
    opened: Annotated[int, Field(description="Opened in the period")]
    closed: Annotated[int, Field(description="Closed in the period")]
    items: Annotated[list[Item], Field(description="The last to move in the period, newest first")]


@dataclass(frozen=True)
class PullRequests:
    open: int
    opened: int
    merged: int
    closed: Annotated[int, Field(description="Closed in the period without being merged")]
    items: list[Item]


@dataclass(frozen=True)
class Count:
    name: str
    count: int


@dataclass(frozen=True)
class Commits:
    count: int
    authors: Annotated[list[Count], Field(description="The most active ones")]
    author_count: int


@dataclass(frozen=True)
class Release:
    tag: str
    name: str
    published_at: str | None
    downloads: int
    url: str


@dataclass(frozen=True)
class Releases:
    published: Annotated[int, Field(description="In the period")]
    latest: Release | None
    items: list[Release]


@dataclass(frozen=True)
class Visits:
    count: int
    unique: int


@dataclass(frozen=True)
class Traffic:
    """Of the last fourteen days, as GitHub counts it. It is shown only to those who may push."""

    available: bool
    reason: Annotated[str, Field(description="Why there is none")]
    views: Visits | None
    clones: Visits | None
    referrers: list[Count]
    paths: list[Count]


@dataclass(frozen=True)
class Contributors:
    available: bool
    reason: str
    count: int
    top: list[Count]


@dataclass(frozen=True)
class Report:
    repository: str
    url: str
    since: str
    until: str
    stars: int
    forks: int
    watchers: int
    issues: Annotated[Issues | None, Field(description="Null when it was not asked for; so are the others")]
    pull_requests: PullRequests | None
    commits: Commits | None
    releases: Releases | None
    traffic: Traffic | None
    contributors: Contributors | None
    complete: Annotated[bool, Field(description="False when a list had more pages than max_pages")]
    requests: int
    unchanged: Annotated[int, Field(description="Answers that were the same as last time and cost nothing")]
    rate_limit_remaining: int | None
