"""One Python environment for each set of dependencies: resolved with hashes by uv, built once, kept by digest.

Wheels only, so that building an environment runs nobody's code. A module without dependencies uses the
platform's own interpreter.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uv
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from monjolo.domains.modules.models import Broken, Requirements

HTTP_CLIENT = "httpx2>=2.16"  # ctx.http loads it on first use
BUILD_SECONDS = 600.0
_LAYOUT = 1  # raise it when environments are built differently, so that old ones are not reused
_LOCK_POLL_SECONDS = 0.1
_NOT_INHERITED = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "UV_PROJECT_ENVIRONMENT",
)

Say = Callable[[str], None]


def _silent(text: str) -> None:
    pass


class Environments:
    """`extra` dependencies (pytest, for a module's tests) make an environment of their own."""

    def __init__(self, folder: Path, *, python: Path | None = None, say: Say = _silent) -> None:
        self._folder = folder
        self._python = python or Path(sys.executable)
        self._say = say
        self._builds = asyncio.Semaphore(2)

    @property
    def own_python(self) -> Path:
        return self._python

    def key(self, requirements: Requirements, extra: Sequence[str] = ()) -> str | None:
        """Names the environment; None stands for the platform's own."""
        if not requirements.dependencies and not requirements.requires_python and not extra:
            return None
        if not requirements.dependencies and not extra and _own_python_is(requirements.requires_python):
            return None
        what = {
            "layout": _LAYOUT,
            "dependencies": sorted([*requirements.dependencies, *extra, HTTP_CLIENT]),
            "requires_python": requirements.requires_python,
            "python": ".".join(platform.python_version_tuple()[:2]),
            "machine": f"{sys.platform}-{platform.machine()}",
        }
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]

    async def python_for(self, requirements: Requirements, extra: Sequence[str] = ()) -> Path:
        """The interpreter of the environment, built first if need be. Raises Broken with uv's reason."""
        key = self.key(requirements, extra)
        if key is None:
            return self._python
        final = self._folder / key
        if not _is_ready(final):
            async with self._builds, self._alone(key):
                if not _is_ready(final):
                    await self._build(key, final, requirements, extra)
        return final / "bin" / "python"

    @asynccontextmanager
    async def _alone(self, key: str) -> AsyncIterator[None]:
        """One build of one environment at a time, on this machine. The kernel drops the lock of a dead one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / f".{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _try_lock(descriptor):  # noqa: ASYNC110 -- another process holds it: nothing to wait on
                await asyncio.sleep(_LOCK_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)

    async def _build(self, key: str, final: Path, requirements: Requirements, extra: Sequence[str]) -> None:
        making = self._folder / f".making-{key}"
        shutil.rmtree(making, ignore_errors=True)  # of a build that died; the lock is ours
        making.mkdir(parents=True)
        wanted = [*requirements.dependencies, *extra]
        self._say(f"building an environment with {', '.join(wanted) or requirements.requires_python}")
        try:
            async with asyncio.timeout(BUILD_SECONDS):
                await self._install(making, [*wanted, HTTP_CLIENT], requirements.requires_python)
            shutil.rmtree(final, ignore_errors=True)
            making.rename(final)
        except TimeoutError:
            raise Broken(f"the environment was not built within {BUILD_SECONDS:.0f} s") from None
        finally:
            shutil.rmtree(making, ignore_errors=True)
        self._say(f"environment {key} is ready")

    async def _install(self, making: Path, wanted: Sequence[str], requires_python: str | None) -> None:
        python = await self._interpreter(requires_python)
        (making / "requirements.in").write_text("\n".join(wanted) + "\n", encoding="utf-8")
        lock = making / "requirements.lock"
        await self._uv(
            "pip",
            "compile",
            "--quiet",
            "--generate-hashes",
            "--no-annotate",
            "--only-binary",
            ":all:",
            "--python",
            str(python),
            "--output-file",
            str(lock),
            str(making / "requirements.in"),
        )
        await self._uv("venv", "--quiet", "--relocatable", "--allow-existing", "--python", str(python), str(making))
        await self._uv(
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--compile-bytecode",
            "--python",
            str(making / "bin" / "python"),
            "-r",
            str(lock),
        )
        (making / ".complete").touch()

    async def _interpreter(self, requires_python: str | None) -> Path:
        if _own_python_is(requires_python):
            return self._python
        found = await self._uv("python", "find", "--no-python-downloads", str(requires_python))
        return Path(found.strip())

    async def _uv(self, *arguments: str) -> str:
        child = await asyncio.create_subprocess_exec(
            uv.find_uv_bin(),
            *arguments,
            cwd=self._folder,
            env=_uv_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await child.communicate()
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        if child.returncode != 0:
            reason = err.decode(errors="replace").strip()[-4_000:]
            raise Broken(f"its environment cannot be built (uv {' '.join(arguments[:2])}): {reason}")
        return out.decode(errors="replace")

    def keys(self) -> set[str]:
        if not self._folder.is_dir():
            return set()
        return {path.name for path in self._folder.iterdir() if _is_ready(path)}

    def delete(self, key: str) -> None:
        if key in self.keys():
            shutil.rmtree(self._folder / key, ignore_errors=True)


def _own_python_is(requires_python: str | None) -> bool:
    if requires_python is None:
        return True
    try:
        return SpecifierSet(requires_python).contains(platform.python_version(), prereleases=True)
    except InvalidSpecifier as error:
        raise Broken(f"requires-python {requires_python!r} cannot be read: {error}") from error


def _is_ready(environment: Path) -> bool:
    """Complete, and the interpreter it was made from is still there."""
    return (environment / ".complete").is_file() and (environment / "bin" / "python").exists()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _uv_environment() -> dict[str, str]:
    """The caller's (proxies, indexes, cache), without the platform's own settings and secrets."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _NOT_INHERITED and not name.startswith("MONJOLO_")
    }
