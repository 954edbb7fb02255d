"""Asking a module what it is. Its code runs in a runner of its own, once per digest: no secrets, no token, an
empty environment, a private temporary folder, bounded time and memory. The server never imports it."""

from __future__ import annotations

import asyncio
import resource
import shutil
import tempfile
from pathlib import Path

from monjolo.domains.modules.models import Broken, Described, Entry
from monjolo.domains.modules.runner_process import RunnerEnded, RunnerError, RunnerProcess

DESCRIBE_SECONDS = 30.0
_LIMITS = (
    (resource.RLIMIT_AS, 4 * 1024**3),
    (resource.RLIMIT_CPU, 30),
    (resource.RLIMIT_FSIZE, 64 * 1024**2),
    (resource.RLIMIT_NOFILE, 256),
    (resource.RLIMIT_CORE, 0),
)


async def describe(entry: Entry, python: Path, runner: Path, *, seconds: float = DESCRIBE_SECONDS) -> Described:
    """The manifest of the bundle. Raises Broken with the module's own error and its place."""
    folder = Path(tempfile.mkdtemp(prefix="monjolo-describe-"))
    try:
        async with RunnerProcess(python, runner, folder, limits=_LIMITS) as process:
            try:
                async with asyncio.timeout(seconds):
                    await process.initialize(entry)
                    manifest = await process.ask("describe", {})
            except TimeoutError:
                raise Broken(
                    f"it did not describe itself within {seconds:.0f} s; do no work while it is imported",
                    traceback=process.written(),
                ) from None
            except RunnerError as error:
                raise broken_by(error) from None
            except RunnerEnded:
                raise Broken(
                    f"its runner ended while the module was loaded ({await process.ending()})",
                    traceback=process.written(),
                ) from None
            if not isinstance(manifest, dict):
                raise Broken("its runner did not answer with a manifest")
            return Described(manifest, process.written())
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def broken_by(error: RunnerError) -> Broken:
    kind = error.data.get("type")
    text = error.message if not kind or error.message.startswith(str(kind)) else f"{kind}: {error.message}"
    traceback = error.data.get("traceback")
    return Broken(text, traceback=traceback if isinstance(traceback, str) else None)
