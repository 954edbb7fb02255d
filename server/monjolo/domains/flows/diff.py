"""What changed between two versions: by meaning (paths of the document) and as text."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Change:
    path: str
    kind: Literal["added", "removed", "changed", "moved"]
    before: Any = None
    after: Any = None


def document_diff(before: Any, after: Any) -> list[Change]:
    """Changes in the order of the documents. Steps and triggers are matched by `id`, not by their place."""
    return list(_compare("", before, after))


def text_diff(before: str, after: str, *, before_name: str, after_name: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), before_name, after_name
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _compare(path: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _compare_objects(path, before, after)
    elif _by_id(before) and _by_id(after):
        yield from _compare_named(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _compare_lists(path, before, after)
    elif before != after or type(before) is not type(after):
        yield Change(path, "changed", before, after)


def _compare_objects(path: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    for key in [*before, *(k for k in after if k not in before)]:
        below = f"{path}.{key}" if path else key
        if key not in after:
            yield Change(below, "removed", before=before[key])
        elif key not in before:
            yield Change(below, "added", after=after[key])
        else:
            yield from _compare(below, before[key], after[key])


def _by_id(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "id" in v for v in value)


def _compare_named(path: str, before: list[Any], after: list[Any]) -> Iterator[Change]:
    old, new = {item["id"]: item for item in before}, {item["id"]: item for item in after}
    kept_before, kept_after = [i for i in old if i in new], [i for i in new if i in old]
    for name in [*old, *(n for n in new if n not in old)]:
        below = f"{path}[{name}]"
        if name not in new:
            yield Change(below, "removed", before=old[name])
        elif name not in old:
            yield Change(below, "added", after=new[name])
        else:
            yield from _compare(below, old[name], new[name])
    if kept_before != kept_after:
        yield Change(path, "moved", before=kept_before, after=kept_after)


def _compare_lists(path: str, before: list[Any], after: list[Any]) -> Iterator[Change]:
    for index in range(max(len(before), len(after))):
        below = f"{path}[{index}]"
        if index >= len(after):
            yield Change(below, "removed", before=before[index])
        elif index >= len(before):
            yield Change(below, "added", after=after[index])
        else:
            yield from _compare(below, before[index], after[index])
