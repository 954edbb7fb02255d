"""The platform as a process that is started, killed and started again, and a look at what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A process, by more than its id, which the kernel gives out again."""

    pid: int
    parent: int
    born: str
    command: str


def processes() -> dict[int, Seen]:
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (seen := _look(int(entry.name))) is not None:
            found[seen.pid] = seen
    return found


def _look(pid: int) -> Seen | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] == "Z" else Seen(pid, int(fields[1]), fields[19], command)


def below(root: int) -> list[Seen]:
    """Every process below `root`, the nearest first."""
    everything = processes()
    found: list[Seen] = []
    todo = [root]
    while todo:
        parent = todo.pop(0)
        children = [seen for seen in everything.values() if seen.parent == parent]
        found += children
        todo += [child.pid for child in children]
    return found


def with_mark(mark: str) -> list[Seen]:
    """Every process, but this one, whose command line or environment names `mark`."""
    wanted, found = mark.encode(), []
    for seen in processes().values():
        environment = b""
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{seen.pid}/environ").read_bytes()
        if seen.pid != os.getpid() and (mark in seen.command or wanted in environment):
            found.append(seen)
    return found


async def gone(expected: list[Seen], seconds: float) -> tuple[float, list[Seen]]:
    """Waits until none of them is alive: (how long that took, who is left)."""
    began = time.monotonic()
    while True:
        left = [seen for seen in expected if (now := _look(seen.pid)) is not None and now.born == seen.born]
        passed = time.monotonic() - began
        if not left or passed > seconds:
            return passed, left
        await asyncio.sleep(0.05)


class Platform:
    def __init__(self, folder: Path, port: int, settings: dict[str, str]) -> None:
        self.data = folder / "data"
        self.port = port
        self.starts = 0
        self.slowest_start = 0.0
        self._log = folder / "platform.log"
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return (self.data / "cli-token").read_text().strip()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Begins a start without waiting for it."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("MONJOLO_")}
        command = [str(Path(sys.executable).with_name("monjolo")), "up", "--data", str(self.data)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                env=inherited | self._settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1

    async def start(self) -> float:
        """Until it is ready; gives the seconds that took. Raises when it ends instead."""
        began = time.monotonic()
        self.launch()
        await self.ready()
        took = time.monotonic() - began
        self.slowest_start = max(self.slowest_start, took)
        return took

    async def ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                raise RuntimeError(f"the platform ended with {self._process.returncode}:\n{self.log_tail()}")
            if await self._answers():
                return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"the platform was not ready within {READY_SECONDS:.0f} s:\n{self.log_tail()}")

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            async with asyncio.timeout(5):
                return (await reader.readline()).startswith(b"HTTP/1.1 200")
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()

    def children(self) -> list[Seen]:
        return below(self.pid)

    def kill(self) -> None:
        """SIGKILL to the one process, nothing else."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """As Ctrl C does, then by force."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def log_tail(self, size: int = 4_000) -> str:
        return self._log.read_bytes()[-size:].decode(errors="replace") if self._log.exists() else ""
