"""From rows of the API to counts. What `keep_*` leave of a row is what is stored between runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .results import Commits, Count, Issues, Item, PullRequests, Release, Releases

Row = Mapping[str, Any]


def keep_repository(row: Row) -> dict[str, Any]:
    names = ("full_name", "html_url", "stargazers_count", "forks_count", "subscribers_count", "open_issues_count")
    return {name: row.get(name) for name in names}


def keep_issue(row: Row) -> dict[str, Any]:
    names = ("number", "title", "state", "created_at", "closed_at", "html_url")
    kept = {name: row.get(name) for name in names} | {"author": _login(row.get("user"))}
    pull = row.get("pull_request")
    return kept | {"pull": pull is not None, "merged_at": (pull or {}).get("merged_at")}


def keep_commit(row: Row) -> dict[str, Any]:
    written = (row.get("commit") or {}).get("author") or {}
    return {"author": _login(row.get("author")) or written.get("name") or written.get("email") or "unknown"}


def keep_release(row: Row) -> dict[str, Any]:
    downloads = sum(asset.get("download_count", 0) for asset in row.get("assets") or ())
    names = ("tag_name", "name", "published_at", "created_at", "html_url", "draft")
    return {name: row.get(name) for name in names} | {"downloads": downloads}


def keep_contributor(row: Row) -> dict[str, Any]:
    return {"name": _login(row) or row.get("name") or "anonymous", "count": int(row.get("contributions", 0))}


def keep_counts(name: str) -> Callable[[Iterable[Row]], list[dict[str, Any]]]:
    """For lists such as `{referrer: …, count: …}`: what is counted stands under `name`."""
    return lambda rows: [{"name": str(row.get(name, "")), "count": int(row.get("count", 0))} for row in rows]


def issues(rows: Sequence[Row], since: str, open_now: int, top: int) -> Issues:
    own = [row for row in rows if not row["pull"]]
    return Issues(open_now, _after(own, "created_at", since), _after(own, "closed_at", since), _items(own, top))


def pull_requests(rows: Sequence[Row], since: str, open_now: int, top: int) -> PullRequests:
    pulls = [row for row in rows if row["pull"]]
    merged = _after(pulls, "merged_at", since)
    closed = _after(pulls, "closed_at", since) - merged
    return PullRequests(open_now, _after(pulls, "created_at", since), merged, max(closed, 0), _items(pulls, top))


def commits(rows: Sequence[Row], top: int) -> Commits:
    authors = Counter(str(row["author"]) for row in rows)
    return Commits(len(rows), _top(authors, top), len(authors))


def releases(rows: Sequence[Row], since: str, top: int) -> Releases:
    out = sorted((row for row in rows if not row["draft"]), key=lambda row: str(row["published_at"]), reverse=True)
    shown = [
        Release(row["tag_name"], row["name"] or "", row["published_at"], row["downloads"], row["html_url"])
        for row in out
    ]
    return Releases(_after(out, "published_at", since), shown[0] if shown else None, shown[:top])


def counts(rows: Sequence[Row], top: int) -> list[Count]:
    return [Count(row["name"], row["count"]) for row in rows[:top]]


def _top(counted: Counter[str], top: int) -> list[Count]:
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [Count(name, count) for name, count in ranked[:top]]


def _after(rows: Iterable[Row], field: str, since: str) -> int:
    # All instants are of one form, 2026-01-31T08:00:00Z, so that their texts sort as they do.
    return sum(1 for row in rows if row[field] is not None and row[field] >= since)


def _items(rows: Sequence[Row], top: int) -> list[Item]:
    return [
        Item(
            row["number"], row["title"], row["state"], row["author"], row["created_at"], row["closed_at"],
            row["html_url"],
        )
        for row in rows[:top]
    ]  # fmt: skip


def _login(user: Any) -> str:
    return str(user.get("login") or "") if isinstance(user, Mapping) else ""
