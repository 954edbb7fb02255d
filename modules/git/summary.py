"""Commits counted by person, by period and by file, in one pass over the history."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal

from .repository import Commit

Period = Literal["day", "week", "month"]


@dataclass(frozen=True)
class AuthorRow:
    name: str
    email: str
    commits: int
    merges: int
    added: int
    deleted: int
    files: int
    first_at: str
    last_at: str


@dataclass(frozen=True)
class PeriodRow:
    """`period` is its first day (a week begins on Monday), `commits` includes merges."""

    period: str
    commits: int
    merges: int
    authors: int
    added: int
    deleted: int
    files: int


@dataclass(frozen=True)
class CommitRow:
    commit: str
    subject: str
    author: str
    email: str
    at: str
    added: int
    deleted: int
    files: int


@dataclass(frozen=True)
class FileRow:
    path: str
    commits: int
    added: int
    deleted: int


@dataclass(slots=True)
class _Count:
    commits: int = 0
    merges: int = 0
    added: int = 0
    deleted: int = 0
    files: set[str] = field(default_factory=set)
    authors: set[tuple[str, str]] = field(default_factory=set)
    first: int = 0
    last: int = 0

    def add(self, commit: Commit) -> None:
        self.first = min(self.first, commit.at) if self.commits else commit.at
        self.last = max(self.last, commit.at) if self.commits else commit.at
        self.commits += 1
        self.merges += commit.parents > 1
        self.authors.add((commit.author, commit.email))
        for change in commit.files:
            self.added += change.added
            self.deleted += change.deleted
            self.files.add(change.path)


@dataclass(slots=True)
class _FileCount:
    commits: int = 0
    added: int = 0
    deleted: int = 0


class Summary:
    """Add every commit, then read the rows."""

    def __init__(self, period: Period, zone: tzinfo, top: int) -> None:
        self._period, self._zone, self._top = period, zone, top
        self.total = _Count()
        self.binary_changes = 0
        self._people: dict[tuple[str, str], _Count] = {}
        self._periods: dict[date, _Count] = {}
        self._paths: dict[str, _FileCount] = {}
        self._largest: list[tuple[int, int, Commit]] = []

    def add(self, commit: Commit) -> None:
        self.total.add(commit)
        self._people.setdefault((commit.author, commit.email), _Count()).add(commit)
        day = datetime.fromtimestamp(commit.at, self._zone).date()
        self._periods.setdefault(first_day(day, self._period), _Count()).add(commit)
        for change in commit.files:
            self.binary_changes += change.binary
            count = self._paths.setdefault(change.path, _FileCount())
            count.commits += 1
            count.added += change.added
            count.deleted += change.deleted
        self._weigh(commit)

    def authors(self) -> list[AuthorRow]:
        """The most commits first, as `git shortlog -sne` counts them; equal ones by name."""
        rows = [
            AuthorRow(
                name, email, count.commits, count.merges, count.added, count.deleted, len(count.files),
                instant(count.first), instant(count.last),
            )
            for (name, email), count in self._people.items()
        ]  # fmt: skip
        return sorted(rows, key=lambda row: (-row.commits, row.name, row.email))[: self._top]

    def author_count(self) -> int:
        return len(self._people)

    def periods(self) -> list[PeriodRow]:
        """Oldest first; periods without a commit are left out."""
        return [
            PeriodRow(
                start.isoformat(), count.commits, count.merges, len(count.authors), count.added, count.deleted,
                len(count.files),
            )
            for start, count in sorted(self._periods.items())
        ]  # fmt: skip

    def files(self) -> list[FileRow]:
        """The files with the most changed lines."""
        rows = (FileRow(path, count.commits, count.added, count.deleted) for path, count in self._paths.items())
        return heapq.nsmallest(self._top, rows, key=lambda row: (-(row.added + row.deleted), row.path))

    def largest(self) -> list[CommitRow]:
        """The commits with the most changed lines."""
        return [_row(commit) for _, _, commit in sorted(self._largest, key=lambda entry: (-entry[0], -entry[1]))]

    def _weigh(self, commit: Commit) -> None:
        """Keep the largest few; of equals, the one seen first (the newer)."""
        size = sum(change.added + change.deleted for change in commit.files)
        entry = (size, -self.total.commits, commit)
        if len(self._largest) < self._top:
            heapq.heappush(self._largest, entry)
        elif entry[:2] > self._largest[0][:2]:
            heapq.heapreplace(self._largest, entry)


def summarise(commits: Iterable[Commit], period: Period, zone: tzinfo, top: int) -> Summary:
    summary = Summary(period, zone, top)
    for commit in commits:
        summary.add(commit)
    return summary


def first_day(day: date, period: Period) -> date:
    """The first day of the period that `day` is in."""
    match period:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)


def instant(seconds: int) -> str:
    """RFC 3339, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _row(commit: Commit) -> CommitRow:
    added = sum(change.added for change in commit.files)
    deleted = sum(change.deleted for change in commit.files)
    return CommitRow(
        commit.id, commit.subject, commit.author, commit.email, instant(commit.at), added, deleted,
        len(commit.files),
    )  # fmt: skip
