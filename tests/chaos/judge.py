"""What must hold after the faults. Pure: everything seen goes in, every breach comes out as a sentence."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.client import ENDED
from tests.chaos.sink import Told

TAKEOVER_SECONDS = 40.0
LOG_GAP_SECONDS = 2.0

Run = Mapping[str, Any]


@dataclass(slots=True)
class Figures:
    """The report line, and what was breached."""

    runs: int = 0
    kills: int = 0
    restarts: int = 0
    lost: int = 0
    duplicates: int = 0  # of at_most_once steps
    unknown: int = 0
    worst_takeover: float = 0.0
    more: dict[str, Any] = field(default_factory=dict)
    breaches: list[str] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"{self.runs} runs / {self.kills} kills / {self.restarts} restarts / {self.lost} lost / "
            f"{self.duplicates} at_most_once duplicates / {self.unknown} unknown / "
            f"worst takeover {self.worst_takeover:.1f} s"
        )

    def add(self, other: Figures) -> None:
        self.runs += other.runs
        self.kills += other.kills
        self.restarts += other.restarts
        self.lost += other.lost
        self.duplicates += other.duplicates
        self.unknown += other.unknown
        self.worst_takeover = max(self.worst_takeover, other.worst_takeover)
        self.breaches += other.breaches


def accepted_and_ended(accepted: Mapping[str, str], runs: Mapping[str, Run]) -> tuple[list[str], list[str]]:
    """C1 and C11. `accepted`: key -> id of what was answered. (breaches, ids of lost runs)."""
    lost = [run for run in accepted.values() if run not in runs or runs[run]["status"] not in ENDED]
    breaches = [f"lost: {run} is {runs[run]['status'] if run in runs else 'nowhere'}" for run in lost]
    breaches += [f"quarantined: {run}" for run, row in runs.items() if row.get("quarantined")]
    twice = [run for run, count in Counter(accepted.values()).items() if count > 1]
    breaches += [f"one run for two keys: {run}" for run in twice]
    strangers = set(runs) - set(accepted.values())
    breaches += [f"a run that no key was answered with: {run}" for run in sorted(strangers)]
    return breaches, lost


def effects(runs: Mapping[str, Run], told: Iterable[Told], steps: Sequence[str], done: str = "effect") -> list[str]:
    """C2: if a run succeeded, the effect of every step happened at least once."""
    seen = {(one.run, one.step) for one in told if one.what == done}
    succeeded = [run for run, row in runs.items() if row["status"] == "succeeded"]
    missing = [(run, step) for run in succeeded for step in steps if (run, step) not in seen]
    return [f"succeeded without the effect of {step}: {run}" for run, step in missing]


def started_twice(told: Iterable[Told], steps: Sequence[str]) -> list[str]:
    """C2 and C3: steps of these names that began more than once."""
    starts = Counter((one.run, one.step) for one in told if one.what == "start" and one.step in steps)
    return [f"{step} of {run} started {count} times" for (run, step), count in starts.items() if count > 1]


def keys(told: Iterable[Told]) -> list[str]:
    """C2: every attempt of a step sends the same idempotency key, and no two steps share one."""
    by_step: dict[tuple[str, str], set[str]] = defaultdict(set)
    by_key: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for one in told:
        by_step[one.run, one.step].add(one.key)
        by_key[one.key].add((one.run, one.step))
    breaches = [f"{step} of {run} sent {len(sent)} keys" for (run, step), sent in by_step.items() if len(sent) > 1]
    return breaches + [f"the key {key} is that of {len(of)} steps" for key, of in by_key.items() if len(of) > 1]


def takeovers(told: Sequence[Told], kills: Sequence[float], once: Sequence[str]) -> list[float]:
    """C7: for each start cut off by a kill, the seconds from that kill to the step's next start."""
    by_step: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for one in told:
        if one.step not in once:
            by_step[one.run, one.step].append(one)
    found = []
    for history in by_step.values():
        history.sort(key=lambda one: one.at)
        for first, second in itertools.pairwise(history):
            if first.what == "start" and second.what == "start":
                between = [at for at in kills if first.at <= at <= second.at]
                if between:
                    found.append(second.at - between[0])
    return found


def log_prefix(said: Sequence[tuple[int, float]], ended: bool, readable: Sequence[int]) -> tuple[float, str | None]:
    """C12 for one execution: (seconds of lines before its end that cannot be read, the breach or None)."""
    if list(readable) != list(range(1, len(readable) + 1)):
        return 0.0, f"lines are not contiguous: {_first_hole(readable)}"
    missing = said[len(readable) :]
    if not missing:
        return 0.0, None
    if ended:
        return 0.0, f"{len(missing)} of {len(said)} lines of an attempt that ended by itself are missing"
    gap = said[-1][1] - missing[0][1]
    return gap, f"{gap:.2f} s of lines before the kill are missing" if gap > LOG_GAP_SECONDS else None


def _first_hole(readable: Sequence[int]) -> str:
    for place, number in enumerate(readable, 1):
        if number != place:
            return f"line {number} stands at place {place}"
    return "none"
