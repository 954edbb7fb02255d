"""Lists by keyset: the cursor holds the sort key of the last item seen, so pages never skip or repeat."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Query
from pydantic import Field

from monjolo.kit import json
from monjolo.kit.errors import InvalidInput
from monjolo.kit.time import from_rfc3339

T = TypeVar("T")
Key = tuple[int | str, ...]
Number = Annotated[int, Field(ge=1, le=2**63 - 1)]  # of a run, a version, an attempt: what the database takes

DEFAULT_LIMIT, MAX_LIMIT = 50, 200


def encode_cursor(key: Key) -> str:
    """A sort key as opaque text, fit for a URL."""
    return base64.urlsafe_b64encode(json.dumpb(list(key))).rstrip(b"=").decode()


def decode_cursor(cursor: str, kinds: Sequence[type]) -> Key:
    """The sort key, whose parts must be of these `kinds` (int, str). Raises InvalidInput."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        key = json.loads(base64.b64decode(padded, b"-_", validate=True))
    except (ValueError, binascii.Error) as error:
        raise _refused() from error
    # `type is`, since True is an int too; the bound keeps SQLite's integers from overflowing.
    fits = isinstance(key, list) and len(key) == len(kinds)
    if not fits or any(type(part) is not kind for part, kind in zip(key, kinds, strict=True)):
        raise _refused()
    if any(isinstance(part, int) and abs(part) >= 2**63 for part in key):
        raise _refused()
    return tuple(key)


@dataclass(frozen=True, slots=True)
class PageQuery:
    """`?limit=&after=`, as `page: PageQuery = Depends(page_query)`."""

    limit: int
    after: str | None

    def key(self, *kinds: type) -> Key | None:
        """Where to go on, None at the beginning. Raises InvalidInput for a cursor of another list."""
        return None if self.after is None else decode_cursor(self.after, kinds)


async def page_query(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    after: Annotated[str | None, Query(max_length=500)] = None,
) -> PageQuery:
    return PageQuery(limit, after)


def page_of(found: Sequence[T], query: PageQuery, key: Callable[[T], Key]) -> tuple[Sequence[T], str | None]:
    """Splits what a query for `limit + 1` rows found into the page's items and the cursor of the next page."""
    items = found[: query.limit]
    more = len(found) > query.limit
    return items, encode_cursor(key(items[-1])) if more else None


def answer(items: Sequence[Any], next_cursor: str | None, **totals: int) -> dict[str, Any]:
    """The form of every list: `{items, next}`, with `total` or `total_at_least` where it is known."""
    return {"items": items, "next": next_cursor, **totals}


def _refused() -> InvalidInput:
    return InvalidInput("Use `after` as the previous page's `next` gave it, on the same list.", code="bad_cursor")


def instant_of(text: str, name: str) -> int:
    """An instant that somebody wrote. Raises InvalidInput, which names the parameter."""
    try:
        return from_rfc3339(text)
    except ValueError as error:
        raise InvalidInput(f"{name} must be an instant like 2026-01-31T12:00:00Z.", code="bad_instant") from error
