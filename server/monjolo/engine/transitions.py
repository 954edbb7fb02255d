"""Every legal change of a run's and of a step's status stands here, and nowhere else.

`docs/explanation/states.md` is drawn from these tables. Whatever ended never changes again.
"""

from __future__ import annotations

from monjolo.engine.types import RunStatus as R
from monjolo.engine.types import StepStatus as S

RUN: dict[R, frozenset[R]] = {
    R.QUEUED: frozenset(
        {R.RUNNING, R.WAITING, R.SUCCEEDED, R.FAILED, R.CANCELLED, R.SKIPPED, R.TIMED_OUT, R.CANCELLING}
    ),
    R.RUNNING: frozenset({R.WAITING, R.CANCELLING, R.SUCCEEDED, R.FAILED, R.TIMED_OUT, R.CRASHED, R.CANCELLED}),
    R.WAITING: frozenset({R.RUNNING, R.CANCELLING, R.SUCCEEDED, R.FAILED, R.TIMED_OUT, R.CRASHED, R.CANCELLED}),
    R.CANCELLING: frozenset({R.CANCELLED, R.FAILED, R.TIMED_OUT, R.CRASHED, R.SUCCEEDED}),
    R.SUCCEEDED: frozenset(),
    R.FAILED: frozenset(),
    R.CANCELLED: frozenset(),
    R.SKIPPED: frozenset(),
    R.TIMED_OUT: frozenset(),
    R.CRASHED: frozenset(),
}

_ENDS = frozenset({S.SUCCEEDED, S.FAILED, S.SKIPPED, S.CANCELLED, S.TIMED_OUT, S.CRASHED, S.UNKNOWN})
STEP: dict[S, frozenset[S]] = {
    S.PENDING: frozenset({S.QUEUED, S.RUNNING, S.WAITING}) | _ENDS,
    S.QUEUED: frozenset({S.RUNNING, S.RETRYING}) | _ENDS,
    S.RUNNING: frozenset({S.QUEUED, S.RETRYING}) | _ENDS,
    S.RETRYING: frozenset({S.QUEUED, S.WAITING, S.FAILED, S.CANCELLED, S.TIMED_OUT}),
    S.WAITING: frozenset({S.QUEUED, S.RUNNING, S.RETRYING}) | _ENDS,
    **{end: frozenset() for end in sorted(_ENDS)},
}

RUN_ENDED = frozenset(status for status, nexts in RUN.items() if not nexts)
STEP_ENDED = _ENDS
STEP_FAILED = frozenset({S.FAILED, S.TIMED_OUT, S.CRASHED, S.UNKNOWN, S.CANCELLED})


class IllegalTransition(Exception):
    """A change that the tables do not know: a fault of the engine, never of a flow."""


def check_run(old: R, new: R) -> None:
    if new is not old and new not in RUN[old]:
        raise IllegalTransition(f"a run cannot go from {old} to {new}")


def check_step(key: str, old: S, new: S) -> None:
    if old in STEP_ENDED or (new is not old and new not in STEP[old]):
        raise IllegalTransition(f"step {key} cannot go from {old} to {new}")
