"""`python -m tests.chaos [--scale 0.1] [--seed N] [--only quiet,kills,…]`: exit code 1 at any breach."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.chaos import backups, deliveries, endings, kills, quiet, waits
from tests.chaos.client import NotTaken
from tests.chaos.judge import Figures
from tests.chaos.processes import with_mark
from tests.chaos.world import World, begin

ROUNDS: dict[str, Callable[[World], Awaitable[Figures]]] = {
    "quiet": quiet.run,
    "kills": kills.run,
    "deliveries": deliveries.run,
    "endings": endings.run,
    "waits": waits.run,
    "backup": backups.run,
}
SHOWN_BREACHES = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.1, help="1 is the nightly numbers; 0.1, the default, a tenth")
    parser.add_argument("--seed", type=int, default=None, help="of the dice; printed, new each time by default")
    parser.add_argument("--only", default=",".join(ROUNDS), help=f"rounds, by commas: {', '.join(ROUNDS)}")
    parser.add_argument("--port", type=int, default=7849, help="the platform's port")
    parser.add_argument("--keep", action="store_true", help="leave the folder with the data and the platform's log")
    given = parser.parse_args()
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    folder = Path(tempfile.mkdtemp(prefix="monjolo-chaos-"))
    total = Figures()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the platform is stopped
    try:
        asyncio.run(_all(given.only.split(","), folder, given.port, seed, given.scale, total))
    finally:
        if given.keep or total.breaches:
            print(f"data and log: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    for breach in total.breaches[:SHOWN_BREACHES]:
        print(f"BREACH {breach}")
    print(f"seed {seed}, scale {given.scale:g}, {len(total.breaches)} breaches")
    print(total.line())
    return 1 if total.breaches else 0


async def _round(name: str, world: World) -> Figures:
    found = Figures()
    try:
        found = await ROUNDS[name](world)
    except* (NotTaken, RuntimeError) as errors:  # refused, no answer for minutes, or the platform would not start
        found.breaches.append(f"the round could not go on: {errors.exceptions[0]}")
        found.more["given_up"] = True
    return found


async def _all(names: list[str], folder: Path, port: int, seed: int, scale: float, total: Figures) -> None:
    print(f"seed {seed}, scale {scale:g}", flush=True)
    world = await begin(folder, port, seed, scale)
    try:
        for name in names:
            began = time.monotonic()
            figures = await _round(name, world)
            total.add(figures)
            more = json.dumps(figures.more)
            print(f"{name}: {figures.line()} {more} in {time.monotonic() - began:.0f} s", flush=True)
            for breach in figures.breaches[:SHOWN_BREACHES]:
                print(f"  {breach}", flush=True)
            if "given_up" in figures.more:
                break
    finally:
        await world.client.close()
        world.platform.stop()
        await world.sink.stop()
    total.breaches += [f"an orphan was left by a kill: {orphan}" for orphan in world.orphans]
    total.breaches += [f"alive after the platform: {seen.command}" for seen in with_mark(str(folder))]
    print(f"slowest start {world.platform.slowest_start:.1f} s, orphans gone within {world.slowest_orphan:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
