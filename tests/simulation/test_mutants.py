"""Every planted bug is caught within a bounded number of worlds; a survivor means that the simulation is blind.

`make mutants` measures how many worlds each one takes; here each begins a little before a world that tells.
"""

from __future__ import annotations

import pytest
from tests.simulation.mutants import MUTANTS, explore_with, worlds_until_caught

NEAR = {
    "no grace after a gap": 2014,
    "ack a shared message at its first report": 38,
    "202 before commit": 68,
    "ack a report before its commit": 465,
    "sweep without a marker": 240,
    "resend under the same token": 261,
    "a stale judgement is repeated": 51,
    "publish long after the mark": 276,
    "sub-flow not told of a cancel": 65,
    "child written although its parent lost": 159,
    "any worker may give a permit back": 58,
    "a released step forgets its cancel": 145,
    "reaper requeues at_most_once": 243,
    "no ageing of tasks": 60,
    "child started after cancel": 60,
    "slot counter": 100,
    "an event between the read and the registration is missed": 60,
    "an event that comes twice is told twice": 60,
}
WORLDS = 60


@pytest.mark.parametrize("bug", MUTANTS)
def test_a_planted_bug_is_caught(bug: str) -> None:
    needed, _ = worlds_until_caught(bug, NEAR.get(bug, 0), WORLDS)
    assert needed is not None, f"{bug!r} survived {WORLDS} worlds; measure with: make mutants"


def test_an_engine_that_was_spoilt_is_healthy_again() -> None:
    for bug in ("join on any parent", "no fencing token", None):
        _, violation = explore_with(bug, 0)
    assert violation is None
