"""`python -m benchmarks.run [NAME …]`: the benchmarks named, or all of them.

Prints one JSON line a metric, writes benchmarks/results/, and ends with 1 when a goal is not met.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from benchmarks.benches import (
    api_list,
    beside,
    fanout,
    footprint,
    growth,
    latency,
    logs,
    schedules,
    sequence,
    throughput,
)
from benchmarks.harness import Metric, say, store
from benchmarks.peers import ABSENT, PeerMissing

BENCHES: dict[str, Callable[[], list[Metric]]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "fanout": fanout.measure,
    "sequence": sequence.measure,
    "footprint": footprint.measure,
    "schedules": schedules.measure,
    "growth": growth.measure,
    "api_list": api_list.measure,
    "logs": logs.measure,
    **{name: partial(beside.measure, name) for name in beside.PEERS},
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHES)}")
    names = parser.parse_args().names or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    missed = cannot = 0
    for name in names:
        say(f"{name}:")
        ABSENT.clear()
        try:
            metrics = BENCHES[name]()
        except PeerMissing as error:
            say(f"  {error}")
            cannot += 1
            continue
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:  # the others are measured all the same
            say(f"  {name} failed: {error}")
            missed += 1
            continue
        for one in metrics:
            line = asdict(one)
            del line["rounds"]
            print(json.dumps(line), flush=True)
            missed += not one.met
        say(f"  {store(name, metrics, ABSENT)}")
    return 1 if missed else 2 if cannot else 0


if __name__ == "__main__":
    sys.exit(main())
