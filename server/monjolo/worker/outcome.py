"""From what a runner answered to what the orchestrator is told: checked, masked, within the limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monjolo.worker.attempt import Attempt
from monjolo.worker.masking import Masker
from monjolo.worker.runner import error_from
from monjolo_sdk.wire import TaskError

DEFAULT_OUTPUT_BYTES = 16 * 1024 * 1024
ENVELOPE_BYTES = 128  # the line around an output
LONGEST_MESSAGE = 16 * 1024
LONGEST_TRACEBACK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    status: str  # succeeded | failed | timed_out | cancelled | crashed
    output: Any = None
    error: TaskError | None = None


TIMED_OUT = TaskError("TimedOut", "the step did not end within its time-out")
CANCELLED = TaskError("Cancelled", "the run was cancelled", retryable=False)


def outcome_of(attempt: Attempt, message: dict[str, Any], size: int) -> Outcome:
    """Of an answer to `run`. Raises what a malformed one raises; the runner is then ended."""
    result = message.get("result")
    if result is None:
        error = error_from((message["error"].get("data")) or message["error"])
    elif "error" in result:
        error = error_from(result["error"])
    else:
        limit = attempt.task.limits.output_bytes or DEFAULT_OUTPUT_BYTES
        if size <= limit + ENVELOPE_BYTES:
            return Outcome("succeeded", attempt.masker.value(result["output"]))
        text = f"the output takes {size} bytes and may take {limit}; write an artifact instead"
        error = TaskError("OutputTooLarge", text, retryable=False)
    if attempt.stopped == "timed_out":
        return Outcome("timed_out", error=TIMED_OUT)
    if attempt.stopped == "cancelled":
        return Outcome("cancelled", error=CANCELLED)
    return Outcome("failed", error=masked_error(error, attempt.masker))


def masked_error(error: TaskError, masker: Masker) -> TaskError:
    return TaskError(
        type=masker.text(error.type)[:256],
        message=masker.text(error.message)[:LONGEST_MESSAGE],
        traceback=masker.text(error.traceback)[-LONGEST_TRACEBACK:] if error.traceback else None,
        retry_after=error.retry_after,
        retryable=error.retryable,
        details=masker.value(error.details),
    )
