"""What travels between the platform, a worker and a runner. JSON only; every field is plain data.

Times are microseconds since the epoch (UTC); durations are microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

PROTOCOL_VERSION = 1
_NONE: dict[str, Any] = {}  # the default of what is read and never changed


@dataclass(frozen=True, slots=True)
class Limits:
    """What one attempt may use. None means the worker's own default."""

    memory_bytes: int | None = None
    cpu_seconds: int | None = None
    open_files: int | None = None
    processes: int | None = None
    file_bytes: int | None = None
    log_bytes: int | None = None
    output_bytes: int | None = None


class Task(NamedTuple):
    """One attempt of one step, ready to run. (run_id, key, token) names it; `token` lets one report."""

    run_id: str
    key: str
    token: int
    attempt: int
    module: str
    version: str
    digest: str
    action: str
    inputs: dict[str, Any]  # secrets already put in
    secrets: tuple[str, ...] = ()  # values to mask wherever they appear
    connections: dict[str, dict[str, Any]] = _NONE  # input name -> fields
    flow: str = ""
    run_number: int = 0
    idempotency_key: str = ""
    at_most_once: bool = False
    alone: bool = False
    short: bool = True  # as its action has been of late: it may queue behind others in a runner
    timeout: int | None = None
    not_after: int | None = None  # may not start later than this
    limits: Limits = Limits()
    context: dict[str, Any] = _NONE  # what ctx.run shows


class TaskMessage(NamedTuple):
    """1 to 32 tasks that travel and are acknowledged together."""

    id: str
    group: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class TaskError:
    type: str
    message: str
    traceback: str | None = None
    retry_after: int | None = None
    retryable: bool = True
    details: Any = None


class LogLine(NamedTuple):
    at: int
    level: str  # debug | info | warning | error | critical
    stream: str  # log | stdout | stderr | system
    text: str
    fields: dict[str, Any] = _NONE


class LogBatch(NamedTuple):
    """Lines of one attempt, in order; `first` is the number of the first line, from 1."""

    run_id: str
    key: str
    attempt: int
    token: int
    first: int
    lines: tuple[LogLine, ...]
    last: bool = False


class Started(NamedTuple):
    run_id: str
    key: str
    token: int
    worker: str
    at: int


class Finished(NamedTuple):
    """`status`: succeeded | failed | timed_out | cancelled | crashed (the runner died)."""

    run_id: str
    key: str
    token: int
    worker: str
    status: str
    at: int
    started_at: int
    output: Any = None
    error: TaskError | None = None
    artifacts: tuple[dict[str, Any], ...] = ()
    state_writes: dict[str, Any] = _NONE
    log: LogBatch | None = None  # of a short log all lines: they are stored with the end, in one transaction


class Released(NamedTuple):
    """Not begun; dispatch it again."""

    run_id: str
    key: str
    token: int
    worker: str
    at: int
    reason: str = "behind_a_long_task"


class Redelivered(NamedTuple):
    """The broker delivered it a second time; it was not run."""

    run_id: str
    key: str
    token: int
    worker: str
    at: int


class Claim(NamedTuple):
    """An at_most_once task asks to start; it may only after a `permit` control message."""

    run_id: str
    key: str
    token: int
    worker: str
    at: int


class Progress(NamedTuple):
    run_id: str
    key: str
    token: int
    done: float
    total: float | None
    text: str
    at: int


Report = Started | Finished | Released | Redelivered | Claim | Progress


@dataclass(frozen=True, slots=True)
class Heartbeat:
    worker: str
    group: str
    at: int
    capacity: int
    held: tuple[tuple[str, str, int], ...]  # (run_id, key, token), prefetched ones too
    started_at: int = 0
    version: str = ""
    bundles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancel:
    run_id: str
    key: str
    token: int
    grace: int = 5_000_000


@dataclass(frozen=True, slots=True)
class Permit:
    run_id: str
    key: str
    token: int
    worker: str
    deadline: int


@dataclass(frozen=True, slots=True)
class Drain:
    worker: str | None = None


Control = Cancel | Permit | Drain
