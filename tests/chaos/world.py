"""What every round has: the platform, its API, the sink, dice, and the killing."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos import documents
from tests.chaos.client import Client, NotTaken
from tests.chaos.processes import Platform, Seen, gone
from tests.chaos.sink import Sink

ORPHAN_SECONDS = 10.0
MODULE = Path(__file__).with_name("steps.py")
SETTINGS = {
    "MONJOLO_EGRESS_ALLOW": "127.0.0.1/32",
    "MONJOLO_RETENTION_RUNS": "1000000",
    "MONJOLO_LOG_LEVEL": "info",
}


@dataclass(slots=True)
class World:
    platform: Platform
    client: Client
    sink: Sink
    dice: random.Random
    scale: float
    folder: Path
    kills: list[float] = field(default_factory=list)  # instants, seconds since the epoch
    killed: dict[str, int] = field(default_factory=dict)  # platform | starting | supervisor | runner
    orphans: list[str] = field(default_factory=list)
    slowest_orphan: float = 0.0

    def number(self, nightly: int) -> int:
        """A nightly number at this scale."""
        return max(1, round(nightly * self.scale))

    async def kill_platform(self) -> None:
        """SIGKILL, a look at what it leaves, and a start; now and then killed again while it starts."""
        await self._strike("platform")
        while self.dice.random() < 0.2:
            self.platform.launch()
            await asyncio.sleep(self.dice.uniform(0, 1.5))
            await self._strike("starting")
        await self.platform.start()

    async def _strike(self, kind: str) -> None:
        children = self.platform.children()
        self._note(kind)
        self.platform.kill()
        passed, left = await gone(children, ORPHAN_SECONDS)
        self.slowest_orphan = max(self.slowest_orphan, passed)
        self.orphans += [f"{seen.pid} {seen.command}" for seen in left]

    def kill_child(self, kind: str) -> bool:
        """SIGKILL to a runner or to a supervisor; False when none is there."""
        supervisors = [seen for seen in self.platform.children() if seen.parent == self.platform.pid]
        supervisors = [seen for seen in supervisors if "supervisor.py" in seen.command]
        above = {seen.pid for seen in supervisors}
        runners = [seen for seen in self.platform.children() if seen.parent in above]
        victims: list[Seen] = supervisors if kind == "supervisor" else runners
        if not victims:
            return False
        self._note(kind)
        try:
            os.kill(self.dice.choice(victims).pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def _note(self, kind: str) -> None:
        self.kills.append(time.time())
        self.killed[kind] = self.killed.get(kind, 0) + 1


async def begin(folder: Path, port: int, seed: int, scale: float) -> World:
    """A fresh platform with the module and the flows of the tests."""
    sink = Sink()
    await sink.start()
    platform = Platform(folder, port, SETTINGS)
    modules = platform.data / "modules"
    modules.mkdir(parents=True)
    (modules / "chaos.py").write_text(MODULE.read_text())
    (folder / "said").mkdir()
    await platform.start()
    client = Client(platform)
    for document in documents.all_of(sink.port, str(folder / "said")):
        await _publish(client, document)
    return World(platform, client, sink, random.Random(seed), scale, folder)


async def _publish(client: Client, document: dict[str, Any]) -> None:
    """The module may need a moment to be live."""
    until = time.monotonic() + 20
    while True:
        try:
            return await client.publish(document)
        except NotTaken:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.2)
