"""A few thousand worlds without a violation, every planted bug caught, and the same seed the same world."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.simulation.world import CROWDED, explore

from monjolo.engine.types import RunStatus


@pytest.mark.parametrize("first", [0, 400, 800, 1_200, 1_600, 2_000, CROWDED])
def test_four_hundred_worlds_hold_every_invariant(first: int) -> None:
    runs = good = 0
    for seed in range(first, first + 400):
        world, violation = explore(seed)
        assert violation is None, f"seed {seed}: {violation}; replay: python -m tests.simulation seed {seed}"
        runs += len(world.database.runs)
        good += sum(row.state.head.status is RunStatus.SUCCEEDED for row in world.database.runs.values())
    assert good * 2 > runs, "fewer than half of the runs succeeded: this proves nothing"


def test_the_same_seed_is_the_same_world_in_another_process_with_another_hash_seed() -> None:
    script = (
        "from tests.simulation.world import explore\nprint([explore(seed, trace=True)[0].hash for seed in range(50)])"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
