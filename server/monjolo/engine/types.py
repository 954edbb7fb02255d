"""The nouns of the engine: what a flow is once compiled (the Plan), and where a run stands (the State).

Everything here is frozen, except `State`, which `evolve` alone changes. Standard library only. What changes
at each step of each run is a named tuple: a changed copy of one costs a quarter of a frozen dataclass's.
Instants are microseconds since the epoch (UTC), durations are microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

Instant = int
Duration = int
ExprId = int
Json = Any

SECOND: Duration = 1_000_000


class RunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"


class StepStatus(StrEnum):
    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    UNKNOWN = "unknown"


class StepKind(StrEnum):
    ACTION = "action"
    GROUP = "group"
    SWITCH = "switch"
    FOR_EACH = "for_each"
    SUBFLOW = "subflow"
    SLEEP = "sleep"
    SLEEP_UNTIL = "sleep_until"
    WAIT_FOR = "wait_for"
    WHILE = "while"
    RETURN = "return"
    FAIL = "fail"


class RunWhen(StrEnum):
    ALL_SUCCESS = "all_success"
    ALL_DONE = "all_done"
    ONE_FAILED = "one_failed"
    NONE_FAILED = "none_failed"
    ALWAYS = "always"


class Phase(StrEnum):
    """Which list of a scope is running: its steps, then the handler its outcome calls for, then `finally`."""

    BODY = "body"
    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"
    ON_CANCEL = "on_cancel"
    FINALLY = "finally"


# --- the plan ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RetryPlan:
    max_attempts: int = 1
    backoff: str = "exponential"  # constant | linear | exponential
    delay: Duration = 1 * SECOND
    factor: float = 2.0
    max_delay: Duration = 60 * SECOND
    jitter: float = 0.0
    max_elapsed: Duration | None = None
    condition: ExprId | None = None


@dataclass(frozen=True, slots=True)
class ConcurrencyPlan:
    limit: int
    key: ExprId | None = None  # None: one key for the whole flow (or step)
    on_limit: str = "queue"  # queue | skip | cancel_running | fail
    max_queued: int | None = None
    coalesce: str = "none"  # none | newest | oldest


@dataclass(frozen=True, slots=True)
class ActionPlan:
    module: str
    version: str
    digest: str
    action: str
    inputs: ExprId  # evaluates to the object that is handed to the action


@dataclass(frozen=True, slots=True)
class ForEachPlan:
    items: ExprId
    as_name: str
    max_parallel: int = 16
    batch_size: int = 1  # above 1, `as_name` is a list
    on_item_error: str = "fail"  # fail | skip | collect


@dataclass(frozen=True, slots=True)
class WhilePlan:
    condition: ExprId
    max_iterations: int
    interval: Duration | None = None


@dataclass(frozen=True, slots=True)
class WaitPlan:
    event: str
    when: ExprId | None = None


@dataclass(frozen=True, slots=True)
class SubflowPlan:
    flow: str
    inputs: ExprId
    version: int | None = None
    wait: bool = True
    propagate_failure: bool = True


@dataclass(frozen=True, slots=True)
class ScopePlan:
    """A list of steps that run by their `needs`: the body of a flow, group, item or case, or a handler."""

    steps: tuple[StepPlan, ...]


@dataclass(frozen=True, slots=True)
class HandlersPlan:
    on_success: ScopePlan | None = None
    on_failure: ScopePlan | None = None
    on_cancel: ScopePlan | None = None
    finally_: ScopePlan | None = None


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step.

    `path` is its key without the indexes of items: `lote[].gravar`. A step of a handler carries the phase
    in its path: `on_failure.alerta`, `grupo.finally.fechar`. `needs` and `dependents` are ids of the same list.
    """

    path: str
    id: str
    kind: StepKind
    phase: Phase = Phase.BODY
    needs: tuple[str, ...] = ()
    dependents: tuple[str, ...] = ()
    run_when: RunWhen = RunWhen.ALL_SUCCESS
    condition: ExprId | None = None
    timeout: Duration | None = None
    queue_timeout: Duration | None = None
    continue_on_error: bool = False
    at_most_once: bool = False
    max_crashes: int = 3
    retry: RetryPlan = RetryPlan()
    concurrency: ConcurrencyPlan | None = None
    action: ActionPlan | None = None  # ACTION
    body: ScopePlan | None = None  # GROUP
    handlers: HandlersPlan = HandlersPlan()  # GROUP
    switch: ExprId | None = None  # SWITCH: evaluates to the case's name
    cases: tuple[tuple[str, ScopePlan], ...] = ()  # SWITCH
    default: ScopePlan | None = None  # SWITCH
    for_each: ForEachPlan | None = None  # FOR_EACH
    loop: WhilePlan | None = None  # WHILE
    item: StepPlan | None = None  # FOR_EACH, WHILE: an ACTION, or a GROUP for nested steps; path `fe[]`
    wait: WaitPlan | None = None  # WAIT_FOR
    subflow: SubflowPlan | None = None  # SUBFLOW
    value: ExprId | None = None  # SLEEP (seconds), SLEEP_UNTIL (RFC 3339), RETURN (outputs), FAIL (message)


@dataclass(frozen=True, slots=True)
class Plan:
    """A published flow version, compiled. `steps` finds any step by its path."""

    flow: str
    version: int
    body: ScopePlan
    steps: dict[str, StepPlan]
    handlers: HandlersPlan = HandlersPlan()
    timeout: Duration | None = None
    concurrency: ConcurrencyPlan | None = None
    outputs: ExprId | None = None


# --- the state --------------------------------------------------------------------------------------------


class Error(NamedTuple):
    type: str
    message: str
    traceback: str | None = None
    step: str | None = None
    details: Json = None


class ScopeState(NamedTuple):
    """How far a list of steps has come: `open` steps have not ended; `error` is the first that counts."""

    open: int
    phase: Phase = Phase.BODY
    outcome: str = "succeeded"  # of the body: succeeded | failed | crashed | cancelled | timed_out
    error: Error | None = None
    handler_error: Error | None = None
    closing: str | None = None  # why no further step may start: cancelled | timed_out | returned | forced


class FanOut(NamedTuple):
    """A `for_each` in numbers: items [0, next) have begun, `live` of them have not ended.

    A `while` too: its items are its iterations, one at a time, and `total` is how many there may be.
    """

    total: int
    next: int = 0
    live: int = 0
    failed: int = 0
    error: Error | None = None
    failed_items: tuple[int, ...] = ()  # the first hundred
    closing: str | None = None  # why no further item may start: failed | cancelled | timed_out | returned
    loop: bool = False  # of a `while`


class StepState(NamedTuple):
    status: StepStatus = StepStatus.PENDING
    reason: str | None = None
    attempt: int = 0  # of the step's own tries, from 1
    crashes: int = 0  # attempts lost with their worker
    token: int = 0  # grows with each dispatch: the only right to report
    alone: bool = False  # must travel in a message of its own
    permitted: bool = False  # an at_most_once attempt that was allowed to start
    worker: str | None = None  # who was permitted
    slot: str | None = None  # concurrency key held or waited for
    output: Json = None
    error: Error | None = None
    ready_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    wake_at: Instant | None = None  # retry, sleep, interval; when a wait for an event times out
    unmet: int = 0  # needs that have not ended (joins only)
    bad: int = 0  # needs that failed
    blocked: int = 0  # needs skipped because of a failure above them
    case: str | None = None  # of a switch
    child: str | None = None  # run id of a sub-flow
    scope: ScopeState | None = None  # of a group, an item with steps, a switch
    fan: FanOut | None = None


class RunHead(NamedTuple):
    """What a run is, apart from its steps."""

    status: RunStatus = RunStatus.QUEUED
    reason: str | None = None
    scope: ScopeState = ScopeState(open=0)
    outputs: Json = None
    error: Error | None = None
    active: int = 0  # steps queued, running or retrying
    slot: str | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    cancel_reason: str | None = None
    returned: Json = None  # what a `return` step gave, as {"outputs": …}
    heard: Instant = 0  # when the newest event that ended a wait was told: it ends no later one


class Reused(NamedTuple):
    """How a step ended in the run that this one repeats."""

    status: StepStatus
    output: Json = None
    error: Error | None = None


@dataclass(slots=True)
class State:
    """A run as the engine knows it. Only `evolve` changes it.

    `steps` holds the steps that have begun or are half-way to it; items of a fan-out above
    `OUTPUTS_KEPT` leave it when they end. `items` holds what each fan-out iterates over, `item_outputs` what
    the ended items of a small one gave.
    """

    run_id: str
    plan: Plan
    seed: int
    created_at: Instant
    inputs: Json = None
    context: dict[str, Json] = field(default_factory=dict)  # trigger, event, vars, run, flow: fixed at acceptance
    head: RunHead = field(default_factory=RunHead)
    steps: dict[str, StepState] = field(default_factory=dict)
    items: dict[str, list[Json]] = field(default_factory=dict)
    item_outputs: dict[str, dict[int, Json]] = field(default_factory=dict)
    reused: dict[str, Reused] = field(default_factory=dict)  # of the run this one repeats


OUTPUTS_KEPT = 1_000  # above this many items a fan-out's output is a paged reference
