"""The tables of legal transitions."""

from __future__ import annotations

import pytest

from monjolo.engine.transitions import RUN, RUN_ENDED, STEP, STEP_ENDED, IllegalTransition, check_run, check_step
from monjolo.engine.types import RunStatus, StepStatus


def test_every_state_stands_in_its_table_and_can_be_reached() -> None:
    assert set(RUN) == set(RunStatus)
    assert set(STEP) == set(StepStatus)
    assert set().union(*RUN.values()) == set(RunStatus) - {RunStatus.QUEUED}
    assert set().union(*STEP.values()) == set(StepStatus) - {StepStatus.PENDING}


def test_what_has_ended_never_changes_again() -> None:
    for run in RUN_ENDED:
        for other in set(RunStatus) - {run}:
            with pytest.raises(IllegalTransition):
                check_run(run, other)
    for step in STEP_ENDED:
        for after in StepStatus:
            with pytest.raises(IllegalTransition):
                check_step("a", step, after)
