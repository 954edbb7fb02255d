"""The errors an action may raise to say what should happen next.

Any other exception fails the attempt and is retried as the flow's `retry` says.
"""

from __future__ import annotations

from typing import Any


class ModuleError(Exception):
    """Base of the errors that carry a meaning for the platform. `details` is shown with the error."""

    retryable = True
    retry_after: float | None = None

    def __init__(self, message: str = "", *, details: Any = None) -> None:
        super().__init__(message or type(self).__name__)
        self.details = details


class RetryLater(ModuleError):
    """Try again, not sooner than `after` seconds from now (such as a `Retry-After` of an API)."""

    def __init__(self, after: float, message: str = "", *, details: Any = None) -> None:
        super().__init__(message or f"try again in {after:g} s", details=details)
        self.retry_after = float(after)


class PermanentError(ModuleError):
    """Another attempt cannot help: fail the step now."""

    retryable = False


class AuthError(PermanentError):
    """The credential was refused. The connection is shown as broken."""


class InvalidInput(PermanentError):
    """An input cannot be used; `input` is its name or path, such as `rows[3].name`."""

    def __init__(self, message: str, input: str | None = None, *, details: Any = None) -> None:
        super().__init__(f"{input}: {message}" if input else message, details=details)
        self.input = input


class InvalidOutput(PermanentError):
    """The action returned something that is not JSON."""


class OutputTooLarge(PermanentError):
    """The action returned more bytes than one output may have; write an artifact instead."""


class EgressRefused(PermanentError):
    """The request would leave what the module's permissions or the instance's rules allow."""


class ApiError(ModuleError):
    """The platform's own API refused a call of `ctx.api`; `status` is its HTTP status."""

    def __init__(self, message: str, status: int, *, details: Any = None) -> None:
        super().__init__(message, details=details)
        self.status = status
        self.retryable = status >= 500 or status == 429
