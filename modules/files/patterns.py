"""Which names a list of exclude patterns leaves out. Linear-time matching: no backtracking over path parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate

Excluded = Callable[[str, bool], bool]


def compile_patterns(patterns: Sequence[str]) -> Excluded:
    """Return `excluded(path, is_folder)`, where `path` is relative to the source, with `/` between its parts.

    A pattern without `/` matches a name at any depth (`*.pyc`, `node_modules`). A pattern with `/` is read from
    the source's root (`build/output`, `/cache`), and `**` in it stands for any number of folders. A pattern
    that ends in `/` matches folders only. What lies in an excluded folder is excluded with it.
    """
    rules = [_rule(pattern.strip()) for pattern in patterns if pattern.strip()]

    def excluded(path: str, is_folder: bool) -> bool:
        return any(rule(path, is_folder) for rule in rules)

    return excluded


def excluded_or_within(excluded: Excluded, path: str) -> bool:
    """True when the folder `path` itself, or any folder it lies in, is excluded."""
    parts = path.split("/")
    return any(excluded("/".join(parts[:count]), True) for count in range(1, len(parts) + 1))


def _rule(pattern: str) -> Excluded:
    folders_only = pattern.endswith("/")
    body = pattern.rstrip("/")
    anchored = "/" in body
    parts = [_part(text) for text in body.strip("/").split("/")]

    def matches(path: str, is_folder: bool) -> bool:
        if folders_only and not is_folder:
            return False
        names = path.split("/")
        return _match_parts(parts, names if anchored else names[-1:])

    return matches


def _part(text: str) -> re.Pattern[str] | None:
    return None if text == "**" else re.compile(translate(text))


def _match_parts(parts: Sequence[re.Pattern[str] | None], names: Sequence[str]) -> bool:
    """Whole match of the pattern's parts against the path's names; None is `**`. O(parts x names)."""
    reachable = [True] + [False] * len(names)
    for part in parts:
        if part is None:
            for index in range(1, len(reachable)):
                reachable[index] = reachable[index] or reachable[index - 1]
        else:
            reachable = [False] + [
                reachable[index] and part.match(name) is not None for index, name in enumerate(names)
            ]
    return reachable[-1]
