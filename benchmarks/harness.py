"""Rounds in turn, medians, one JSON line a metric, results on file."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure beside a peer's, or beside nothing. `ratio` is ours / peer's, whatever the unit."""

    bench: str
    ours: float
    peer: str | None
    peer_value: float | None
    unit: str
    ratio: float | None
    load: float  # the load average when it was measured
    goal: str  # as docs/reference/benchmarks.md says it; empty: none was set
    met: bool
    rounds: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Goal:
    """`times=True`: the bound is on the ratio to the peer; otherwise on our own figure."""

    bound: float
    at_least: bool
    times: bool = False

    def says(self, unit: str) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g} {'x' if self.times else unit}"

    def met(self, ours: float, ratio: float | None) -> bool:
        value = ratio if self.times else ours
        return value is not None and (value >= self.bound if self.at_least else value <= self.bound)


def metric(
    bench: str,
    unit: str,
    goal: Goal | None,
    ours: Sequence[float],
    peer: str | None = None,
    theirs: Sequence[float] = (),
) -> Metric:
    """Of the values of all rounds: the medians."""
    own = statistics.median(ours)
    other = statistics.median(theirs) if theirs else None
    ratio = own / other if other else None
    rounds = {"ours": [_short(value) for value in ours], **({str(peer): [_short(v) for v in theirs]} if theirs else {})}
    return Metric(
        bench,
        _short(own),
        peer,
        None if other is None else _short(other),
        unit,
        None if ratio is None else _short(ratio),
        round(os.getloadavg()[0], 2),
        goal.says(unit) if goal else "",
        goal.met(own, ratio) if goal else True,
        rounds,
    )


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def in_turn(measures: dict[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """A B A B …: every round measures each once."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
            say(f"  round {number + 1}: {name} {found[name][-1]:.4g}")
    return found


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def store(bench: str, metrics: Sequence[Metric], absent: dict[str, str] | None = None) -> Path:
    """benchmarks/results/<date>-<bench>.json, with what is needed to judge and to repeat it.

    `absent`: the peers that could not be measured here, and why.
    """
    now = datetime.datetime.now(datetime.UTC)
    result = {
        "bench": bench,
        "at": now.isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": machine(),
        "command": f"make bench NAME={bench}",
        "metrics": [asdict(one) for one in metrics],
        "absent": absent or {},
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y-%m-%d}-{bench}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False, cwd=RESULTS.parent
    )
    return done.stdout.strip() or "unknown"


def machine() -> dict[str, str | int]:
    """What it ran on, without names."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": models[0].partition(": ")[2] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
