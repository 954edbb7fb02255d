"""`python -m tests.simulation run|seed|mutants`: explore many worlds, replay one, test the tests.

run     --n N --seed S      N worlds from seed S on all cores; 0 violations wanted
seed    S [--bug NAME]      one world with the tail of its trace
mutants [--trials T] [--worlds N]   how many worlds it takes to catch each planted bug
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time

from tests.simulation.mutants import ENGINE, MUTANTS, OF_EVENTS, OF_QUEUES, SHELL, explore_with, worlds_until_caught
from tests.simulation.world import explore

from monjolo.engine.types import RunStatus

CHUNK = 200


def _explore_chunk(first_count: tuple[int, int]) -> tuple[int, int, int, int, list[tuple[int, str]]]:
    first, count = first_count
    steps = runs = good = 0
    found: list[tuple[int, str]] = []
    for seed in range(first, first + count):
        try:
            world, violation = explore(seed)
        except Exception as error:
            found.append((seed, f"{type(error).__name__}: {error}"))
            continue
        steps += world.steps
        for row in world.database.runs.values():
            runs += 1
            good += row.state.head.status is RunStatus.SUCCEEDED
        if violation is not None:
            found.append((seed, violation))
    return count, steps, runs, good, found


def run(worlds: int, first: int) -> int:
    began = time.perf_counter()
    chunks = [(start, min(CHUNK, first + worlds - start)) for start in range(first, first + worlds, CHUNK)]
    schedules = steps = runs = good = 0
    found: list[tuple[int, str]] = []
    with multiprocessing.Pool() as pool:
        for count, more_steps, more_runs, more_good, more in pool.imap(_explore_chunk, chunks):
            schedules += count
            steps += more_steps
            runs += more_runs
            good += more_good
            found += more
    lasted = time.perf_counter() - began
    print(f"schedules {schedules}  steps {steps}  runs {runs}  succeeded {good / max(runs, 1):.0%}  "
          f"violations {len(found)}  {lasted:.1f} s  {schedules / lasted:.0f} schedules/s")  # fmt: skip
    for seed, violation in found[:10]:
        print(f"  seed {seed}: {violation}\n    replay: .venv/bin/python -m tests.simulation seed {seed}")
    if good * 2 < runs:
        print("fewer than half of the runs succeeded: this proves nothing")
        return 1
    return 1 if found else 0


def replay(seed: int, bug: str | None) -> int:
    world, violation = explore_with(bug, seed, trace=True)
    if world is None:
        print(f"seed {seed}: {violation}")
        return 1
    print("\n".join((world.log or [])[-80:]))
    print(f"seed {seed}: {violation or 'no violation'}  trace {world.hash:08x}")
    for name, row in world.database.runs.items():
        steps = {key: str(step.status) for key, step in row.state.steps.items()}
        print(f"  {name}: {row.state.head.status} {row.state.head.reason or ''} {steps}")
    return 0 if violation is None else 1


def mutants(trials: int, most: int, names: list[str]) -> int:
    missed = 0
    with multiprocessing.Pool() as pool:
        for bug in names or MUTANTS:
            tries = pool.starmap(worlds_until_caught, [(bug, trial * 100_003, most) for trial in range(trials)])
            needed = sorted(count for count, _ in tries if count is not None)
            by = sorted({why.split()[0] for _, why in tries if why})
            missed += len(needed) < trials
            median, worst = (needed[len(needed) // 2], needed[-1]) if needed else ("-", "-")
            what = (SHELL | OF_EVENTS | OF_QUEUES).get(bug) or (ENGINE[bug][2].__doc__ or "").split("\n")[0]
            print(f"{bug:42} caught {len(needed):2}/{trials}  median {median:>5}  worst {worst:>6}  "
                  f"by {','.join(by):16}  {what}", flush=True)  # fmt: skip
    return 1 if missed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    verbs = parser.add_subparsers(dest="verb", required=True)
    explored = verbs.add_parser("run")
    explored.add_argument("--n", type=int, default=10_000)
    explored.add_argument("--seed", type=int, default=0)
    one = verbs.add_parser("seed")
    one.add_argument("seed", type=int)
    one.add_argument("--bug")
    many = verbs.add_parser("mutants")
    many.add_argument("--trials", type=int, default=10)
    many.add_argument("--worlds", type=int, default=20_000)
    many.add_argument("--bug", action="append", default=[])
    given = parser.parse_args()
    if given.verb == "run":
        return run(given.n, given.seed)
    if given.verb == "mutants":
        return mutants(given.trials, given.worlds, given.bug)
    return replay(given.seed, given.bug)


if __name__ == "__main__":
    sys.exit(main())
