"""Edits that must not overwrite each other: `ETag` out, `If-Match` in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

from monjolo.kit.errors import InvalidInput, PreconditionFailed


def etag(revision: int) -> str:
    """The ETag of a thing's revision, quotes included."""
    return f'"{revision}"'


class IfMatch:
    """What the caller has read. `check` raises PreconditionFailed when the thing has moved on since."""

    def __init__(self, tags: frozenset[str] | None) -> None:
        self._tags = tags

    def check(self, revision: int) -> None:
        if self._tags is not None and "*" not in self._tags and etag(revision) not in self._tags:
            raise PreconditionFailed("Read it again, apply your change to that, and send the new ETag.")


async def if_match(value: Annotated[str | None, Header(alias="If-Match")] = None) -> IfMatch:
    """`match: IfMatch = Depends(if_match)`. Without the header every revision will do."""
    if value is None:
        return IfMatch(None)
    tags = frozenset(tag.strip() for tag in value.split(","))
    for tag in tags - {"*"}:
        if len(tag) < 2 or tag[0] != '"' or tag[-1] != '"':
            raise InvalidInput('Send If-Match as the ETag was given, quotes included: "7".', code="bad_etag")
    return IfMatch(tags)
