"""Working on a module without a server: describe, judge, test and run it where it lies."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monjolo.domains.modules import manifest as manifests
from monjolo.domains.modules.description import broken_by, describe
from monjolo.domains.modules.environments import Environments
from monjolo.domains.modules.models import Broken, Entry, Source
from monjolo.domains.modules.runner_process import Message, RunnerEnded, RunnerError, RunnerProcess
from monjolo.domains.modules.sources import Content, entry_of, kind_of, local_source, read_source

TEST_RUNNER = ("pytest>=9", "pytest-asyncio>=1.2")
_TEST_SETTINGS = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"

OnMessage = Callable[[str, Message], None]


@dataclass(frozen=True, slots=True)
class Workpiece:
    """A module as its author has it before them; loaded from where it lies."""

    source: Source
    content: Content
    entry: Entry
    manifest: dict[str, Any]


class Workbench:
    """`cache` holds the environments; `sdk` is the folder monjolo_sdk."""

    def __init__(self, *, cache: Path, sdk: Path, say: Callable[[str], None]) -> None:
        self._sdk = sdk
        self._environments = Environments(cache / "environments", say=say)

    async def load(self, path: Path) -> Workpiece:
        """Raises Broken with what is wrong and where."""
        source, content, entry = self._read(path)
        python = await self._environments.python_for(entry.requirements)
        described = await describe(entry, python, self._runner)
        return Workpiece(source, content, entry, manifests.checked(described.manifest))

    async def run(
        self, path: Path, action: str, inputs: Mapping[str, Any], *, on_message: OnMessage, keep: Path
    ) -> Any:
        """The output of the action. Artifacts are left in `keep`. Raises Broken or RunnerError."""
        _, _, entry = self._read(path)
        python = await self._environments.python_for(entry.requirements)
        folder = Path(tempfile.mkdtemp(prefix="monjolo-module-run-"))
        platform = _LocalPlatform(on_message, keep)
        try:
            async with RunnerProcess(python, self._runner, folder, handler=platform.serve) as process:
                try:
                    await process.initialize(entry)
                except RunnerError as error:
                    raise broken_by(error) from None
                try:
                    answer = await process.ask("run", _task(action, inputs, folder))
                except RunnerEnded:
                    raise Broken(f"the runner ended ({await process.ending()})", traceback=process.written()) from None
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if "error" in answer:
            raise RunnerError(str(answer["error"].get("message")), answer["error"])
        return answer.get("output")

    async def test(self, path: Path, arguments: list[str]) -> int:
        """pytest's exit code; its output goes where ours goes."""
        source, _, entry = self._read(path)
        location = source.location
        folder = location if source.origin == "folder" else location.parent
        target = folder if source.origin == "folder" else folder / f"test_{location.name}"
        if not target.exists():
            raise Broken(f"there is no {target.name}; `monjolo module new` writes one")
        own = not entry.requirements.dependencies and _has("pytest") and _has("pytest_asyncio")
        python = await self._environments.python_for(entry.requirements, () if own else TEST_RUNNER)
        with tempfile.TemporaryDirectory(prefix="monjolo-module-test-") as temporary:
            settings = Path(temporary) / "pytest.ini"
            settings.write_text(_TEST_SETTINGS, encoding="utf-8")
            (Path(temporary) / "monjolo_sdk").symlink_to(self._sdk)  # the SDK alone, not what lies beside it
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
            environment["PYTHONPATH"] = os.pathsep.join([temporary, str(folder)])
            fixed = ["-p", "no:cacheprovider", "--rootdir", str(folder), "-c", str(settings)]
            child = await asyncio.create_subprocess_exec(
                *(str(python), "-m", "pytest", *fixed, "--import-mode=importlib", str(target), *arguments),
                env=environment,
                cwd=folder,
            )
            return await child.wait()

    @property
    def _runner(self) -> Path:
        return self._sdk / "runner" / "main.py"

    def _read(self, path: Path) -> tuple[Source, Content, Entry]:
        if not path.exists():
            raise Broken(f"there is no {path}")
        source = local_source(path)
        content = read_source(source)
        tree = source.location if source.origin == "folder" else source.location.parent
        return source, content, entry_of(kind_of(source), content, tree)


class _LocalPlatform:
    """Answers what an action asks of the platform: its state lives as long as this run."""

    def __init__(self, on_message: OnMessage, keep: Path) -> None:
        self._on_message, self._keep = on_message, keep
        self._state: dict[str, Any] = {}

    async def serve(self, method: str, params: Message) -> Any:
        if method == "state.get":
            return {"value": self._state.get(str(params.get("key")))}
        if method == "state.set":
            self._state[str(params.get("key"))] = params.get("value")
            return {}
        if method == "artifact":
            return await asyncio.to_thread(self._artifact, params)
        self._on_message(method, params)
        return None

    def _artifact(self, params: Message) -> Message:
        """Its name is the module's word, so only the last part of it is used."""
        name = Path(str(params.get("name"))).name or "artifact"
        self._keep.mkdir(parents=True, exist_ok=True)
        kept = Path(shutil.copyfile(str(params.get("path")), self._keep / name))
        self._on_message("artifact", {"name": name, "path": str(kept)})
        return {"name": name, "size": kept.stat().st_size, "content_type": params.get("content_type")}


def _task(action: str, inputs: Mapping[str, Any], folder: Path) -> Message:
    return {
        "task": "local",
        "action": action,
        "inputs": dict(inputs),
        "secrets": [],
        "connections": {},
        "tmp": str(folder),
        "context": {
            "run": "local",
            "number": 0,
            "flow": "local",
            "step": action,
            "attempt": 1,
            "idempotency_key": "local",
        },
    }


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def sdk_folder() -> Path:
    """Where monjolo_sdk lies, found without importing it."""
    found = importlib.util.find_spec("monjolo_sdk")
    if found is None or found.origin is None:
        sys.exit("monjolo_sdk is not installed beside monjolo; install monjolo anew")
    return Path(found.origin).parent
