"""Catch-up and backfills in hostile worlds: no instant twice, none lost; and every planted bug is caught."""

from __future__ import annotations

import pytest
from tests.simulation.past import PAST_MUTANTS, explore_past

WORLDS = 60


@pytest.mark.parametrize("first", [0, 500, 1_000])
def test_five_hundred_worlds_run_no_instant_twice_and_lose_none(first: int) -> None:
    for seed in range(first, first + 500):
        violation = explore_past(seed)
        assert violation is None, f"seed {seed}: {violation}"


@pytest.mark.parametrize("bug", PAST_MUTANTS)
def test_a_planted_bug_of_the_past_is_caught(bug: str) -> None:
    assert any(explore_past(seed, bug) for seed in range(WORLDS)), f"{bug!r} survived {WORLDS} worlds"
