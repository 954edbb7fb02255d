"""Bugs that real systems had, planted one at a time: a simulation that misses one of them is not worth its name.

Most stand where the simulated processes ask `world.bug`; those of the engine are planted here, around its own
functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.simulation import orchestrator
from tests.simulation.world import CROWDED, World, explore

from monjolo.engine import events as facts
from monjolo.engine import graph, loops, scopes, steps
from monjolo.engine.draft import Decision, Draft, Evaluate
from monjolo.engine.transitions import RUN_ENDED, STEP_ENDED
from monjolo.engine.types import State, StepState, StepStatus

SHELL = {
    "expire before draining": "a lease is judged with heartbeats unheard",
    "no grace after a gap": "after an outage or a jump of the clock every worker looks dead",
    "ack a shared message at its first report": "the other tasks of the message go down with the worker",
    "run a redelivered message": "a step that kills its worker is redelivered for ever",
    "start without a permit": "an at_most_once step starts on its own claim",
    "one stale run undoes its batch": "the transaction is rolled back for all, and all is acknowledged",
    "202 before commit": "the client has its answer, the database has nothing",
    "publish without rows": "the task exists only in its message",
    "ack before claim": "Celery's default",
    "ack a report before its commit": "the outcome lives in memory only",
    "no reaper": "Prefect #16746: running for ever",
    "no sweep": "n8n #12367: queued for ever",
    "sweep without a marker": "what is merely slow is sent twice",
    "resend under the same token": "two workers hold the same right to report",
    "claim without compare": "Airflow PR #60330",
    "what changes nothing is not compared": "a fact judged against an old memory is dropped",
    "a stale judgement is repeated": "the run it was about never gets on",
    "run a doubled message again": "the publisher's confirm was lost, the message was not",
    "timer not in the database": "the retry was in memory",
    "cron checked, then created": "two schedulers, two transactions",
    "next tick from now": "missed ticks vanish",
    "local clocks": "db-scheduler #433",
    "no idempotency key": "Archon #1951",
    "publish long after the mark": "own bug: a slow orchestrator publishes what a marker has overtaken",
    "slot counter": "Prefect #17415, Kestra PR #17759",
    "slot check then act": "counted in one transaction, taken in the next",
    "slot not offered at the end": "Prefect #23183",
    "sub-flow not told of a cancel": "rundeck #4179, prefect #12864",
    "child started after cancel": "the child's row comes in a later transaction",
    "child written although its parent lost": "own doubt: rows of losers' children",
    "cancel forgets what is queued": "the worker begins what it was told to drop",
}

OF_EVENTS = {
    "an event between the read and the registration is missed": "the wait is stored after it, and does not look back",
    "an event that comes twice is told twice": "two waits of a loop end by one event",
    "a time-out beats an event that came before it": "the timer is read first after an outage",
    "a wait outlives its step": "its row stays, and every event is told to a run that has ended",
}

OF_QUEUES = {
    "max_queued not counted within one batch": "each of those that come together sees the queue as it was",
    "a coalesced run runs all the same": "it is left in the queue",
    "who left the queue is let in": "it was told to go, and its row stays",
    "cancel_running spares who waits": "own bug: the newest waited behind those it should have replaced",
    "no ageing": "a low priority waits for ever",
    "no ageing of tasks": "a low priority waits for ever",
    "one flow takes the whole refill": "its hundred thousand runs hold up another's one",
}


def _no_fencing(decide: Callable[..., Decision]) -> Callable[..., Decision]:
    """Prefect #16459: whoever reports is believed."""

    def careless(state: State, event: Any, evaluate: Evaluate) -> Decision:
        step = state.steps.get(event.key) if isinstance(event, facts.TaskFinished) else None
        return decide(state, event if step is None else event._replace(token=step.token), evaluate)

    return careless


def _late_overwrites(decide: Callable[..., Decision]) -> Callable[..., Decision]:
    """Prefect #18653, n8n PR #7435: a result that comes late changes what had ended."""

    def careless(state: State, event: Any, evaluate: Evaluate) -> Decision:
        step = state.steps.get(event.key) if isinstance(event, facts.TaskFinished) else None
        if step is not None and step.status in STEP_ENDED and str(step.status) != event.status:
            return Decision(steps={event.key: step._replace(status=StepStatus(event.status))})
        return decide(state, event, evaluate)

    return careless


def _any_worker_gives_back(decide: Callable[..., Decision]) -> Callable[..., Decision]:
    """Own bug: the holder of the doubled message gives back what the other one was permitted to do."""

    def careless(state: State, event: Any, evaluate: Evaluate) -> Decision:
        step = state.steps.get(event.key) if isinstance(event, facts.TaskReleased) else None
        return decide(state, event if step is None else event._replace(worker=step.worker or ""), evaluate)

    return careless


def _released_forgets_cancel(decide: Callable[..., Decision]) -> Callable[..., Decision]:
    """Own bug: a task given back after the cancel of its run is dispatched again."""

    def careless(state: State, event: Any, evaluate: Evaluate) -> Decision:
        if not isinstance(event, facts.TaskReleased) or state.head.status in RUN_ENDED:
            return decide(state, event, evaluate)
        step = state.steps.get(event.key)
        if step is None or step.token != event.token or step.reason != "cancelling":
            return decide(state, event, evaluate)
        draft = Draft(state, event.at, evaluate)
        steps.dispatch_again(draft, event.key, alone=True)
        draft.settle_run_status()
        return draft.decision()

    return careless


def _requeues_once(worker_lost: Callable[..., None]) -> Callable[..., None]:
    """The reaper sends an at_most_once step again."""

    def careless(draft: Draft, key: str, step: StepState, error: Any = None) -> None:
        if step.permitted:
            steps.dispatch_again(draft, key, alone=True)
        else:
            worker_lost(draft, key, step, error)

    return careless


def _crashes_uncounted(worker_lost: Callable[..., None]) -> Callable[..., None]:
    """A step that kills its worker is tried for ever."""

    def careless(draft: Draft, key: str, step: StepState, error: Any = None) -> None:
        worker_lost(draft, key, step._replace(crashes=0, attempt=max(step.attempt - 1, 0)), error)

    return careless


def _join_on_any(need_ended: Callable[..., None]) -> Callable[..., None]:
    """A join goes on when one of its needs has ended."""

    def careless(draft: Draft, key: str, failed: bool, blocked: bool) -> None:
        plan = draft.state.plan.steps[graph.path_of(key)]
        if draft.get(key) is None and len(plan.needs) > 1:
            scopes._consider(draft, key, plan, bad=int(failed), blocked=int(blocked))

    return careless


def _one_more_iteration(is_full: Callable[..., bool]) -> Callable[..., bool]:
    """An iteration more than max_iterations."""

    def careless(fan: Any) -> bool:
        return is_full(fan._replace(next=fan.next - 1))

    return careless


def _any_pause_is_over(interval_over: Callable[..., None]) -> Callable[..., None]:
    """The timer of an earlier pause begins the next iteration, beside the one that is at work."""

    def careless(draft: Draft, key: str, number: int) -> None:
        step = draft.step(key)
        if step.status not in STEP_ENDED and step.fan is not None:
            loops._begin_iteration(draft, key)

    return careless


ENGINE: dict[str, tuple[Any, str, Callable[[Any], Any]]] = {
    "no fencing token": (orchestrator, "decide", _no_fencing),
    "late result overwrites a final state": (orchestrator, "decide", _late_overwrites),
    "any worker may give a permit back": (orchestrator, "decide", _any_worker_gives_back),
    "a released step forgets its cancel": (orchestrator, "decide", _released_forgets_cancel),
    "reaper requeues at_most_once": (steps, "worker_lost", _requeues_once),
    "crashes are not counted": (steps, "worker_lost", _crashes_uncounted),
    "one iteration more than max_iterations": (loops, "_is_full", _one_more_iteration),
    "any pause is over": (loops, "interval_over", _any_pause_is_over),
    "join on any parent": (scopes, "_need_ended", _join_on_any),
}
MUTANTS = (*SHELL, *OF_EVENTS, *OF_QUEUES, *ENGINE)


@contextmanager
def planted(bug: str | None) -> Iterator[None]:
    """The engine with this bug in it."""
    if bug not in ENGINE:
        yield
        return
    module, name, make = ENGINE[bug]
    healthy = getattr(module, name)
    setattr(module, name, make(healthy))
    try:
        yield
    finally:
        setattr(module, name, healthy)


def explore_with(bug: str | None, seed: int, *, trace: bool = False) -> tuple[World | None, str | None]:
    """A world with a bug. An exception of the engine counts as caught: it would be quarantined and seen."""
    with planted(bug):
        try:
            return explore(seed, bug, trace=trace)
        except Exception as error:
            return None, f"{type(error).__name__} {error}"


def worlds_until_caught(bug: str, first: int, most: int) -> tuple[int | None, str]:
    """How many worlds it took from seed `first` on, and the invariant that told."""
    first += CROWDED if bug in OF_QUEUES else 0
    for number in range(most):
        _, violation = explore_with(bug, first + number)
        if violation is not None:
            return number + 1, violation
    return None, ""
