"""What went wrong, as data: with the author's frames only, and nothing of the runner's."""

from __future__ import annotations

import os
import traceback
from types import TracebackType
from typing import Any

from monjolo_sdk.errors import ModuleError
from monjolo_sdk.runner.log_book import plain_fields

MAX_TRACEBACK = 32_768
MAX_MESSAGE = 16_384
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120
_HIDDEN = (_OURS, "<frozen importlib")


def failure(problem: BaseException, cancelled: bool = False) -> dict[str, Any]:
    """The `error` of a `run` answer; `cancelled` says that the worker asked for it."""
    kind = type(problem).__name__
    retryable, retry_after, details = True, None, None
    if isinstance(problem, ModuleError):
        retryable, retry_after = problem.retryable, problem.retry_after
        details = plain_fields({"details": problem.details})["details"]
    elif cancelled and kind == "CancelledError":
        kind, retryable = "Cancelled", False
    return {
        "type": kind,
        "message": message_of(problem),
        "traceback": author_traceback(problem),
        "retry_after": retry_after,
        "retryable": retryable,
        "details": details,
    }


def message_of(problem: BaseException) -> str:
    """The text of an exception, which may itself be broken."""
    try:
        text = str(problem)
    except Exception:
        text = ""
    if isinstance(problem, SystemExit):
        text = f"the action called sys.exit({problem.code!r})"
    elif isinstance(problem, KeyError):
        text = f"no key {text}"
    return (text or type(problem).__name__)[:MAX_MESSAGE]


def author_traceback(problem: BaseException) -> str:
    """A traceback without the frames of the SDK and of the import system."""
    told = traceback.TracebackException.from_exception(problem, limit=-64)
    _hide(told, set())
    try:
        text = "".join(told.format())
    except Exception:
        text = message_of(problem)
    if len(text) > MAX_TRACEBACK:
        half = MAX_TRACEBACK // 2
        text = f"{text[:half]}\n  … {len(text) - 2 * half} characters left out …\n{text[-half:]}"
    return text


def deepest_line(trace: TracebackType | None) -> int | None:
    """The line the author's code stood at."""
    lines = [frame.lineno for frame in traceback.extract_tb(trace) if not frame.filename.startswith(_HIDDEN)]
    return lines[-1] if lines else None


def _hide(told: traceback.TracebackException | None, seen: set[int]) -> None:
    if told is None or id(told) in seen:
        return
    seen.add(id(told))
    told.stack[:] = [frame for frame in told.stack if not frame.filename.startswith(_HIDDEN)]
    for other in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        _hide(other, seen)
