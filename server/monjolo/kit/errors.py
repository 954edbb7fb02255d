"""What can go wrong, named for what happened. Each has a stable `code`; `detail` says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a document or a request, with its place. Lines and columns count from 1."""

    path: str
    code: str
    message: str
    line: int | None = None
    column: int | None = None
    severity: str = "error"  # error | warning


class MonjoloError(Exception):
    status = 500
    code = "internal"
    title = "Something went wrong on our side"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        errors: Sequence[Problem] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.code = code or type(self).code
        self.errors = list(errors)
        self.retry_after = retry_after


class InvalidInput(MonjoloError):
    status, code, title = 422, "invalid_input", "The request cannot be used as it is"


class NotFound(MonjoloError):
    status, code, title = 404, "not_found", "There is no such thing"


class Conflict(MonjoloError):
    status, code, title = 409, "conflict", "The request clashes with what is there"


class PreconditionFailed(MonjoloError):
    status, code, title = 412, "precondition_failed", "It changed since you read it"


class PayloadTooLarge(MonjoloError):
    status, code, title = 413, "payload_too_large", "The request is too large"


class Unauthenticated(MonjoloError):
    status, code, title = 401, "unauthenticated", "Sign in first"


class Forbidden(MonjoloError):
    status, code, title = 403, "forbidden", "You may not do this"


class TooMany(MonjoloError):
    status, code, title = 429, "too_many_requests", "Too many requests"


class Unavailable(MonjoloError):
    status, code, title = 503, "unavailable", "Not available at this moment"
