"""A registry over real files, a real database, the real runner and the real uv."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from monjolo.domains.modules.bundles import BundleStore
from monjolo.domains.modules.environments import Environments
from monjolo.domains.modules.models import Fault
from monjolo.domains.modules.registry import Folders, Registry
from monjolo.domains.modules.workbench import sdk_folder
from monjolo.kit.time import SystemClock
from monjolo.storage.migrate import prepare
from monjolo.storage.sqlite import SqliteDatabase

MODULE = '''"""A module for tests."""
from monjolo_sdk import Context, Module

module = Module("{id}", version="{version}", title="{title}")


@module.action(effects="read")
async def hello(ctx: Context, name: str = "you") -> str:
    """Say hello."""
    return f"hello {{name}}"
'''


@dataclass
class World:
    """One installation's folders; `registry()` is a start of the platform on them."""

    data: Path
    builtin: Path
    dropped: Path
    database: SqliteDatabase | None = None
    said: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def registry(self, *, watch: bool = False) -> AsyncIterator[Registry]:
        prepare(self.data / "monjolo.db", 1)
        database = SqliteDatabase(self.data / "monjolo.db", readers=1)
        self.database = database
        registry = Registry(
            database=database,
            clock=SystemClock(),
            folders=Folders(self.builtin, self.dropped, sdk_folder()),
            store=BundleStore(self.data / "bundles"),
            environments=Environments(self.data / "environments", say=self.said.append),
        )
        await registry.start()
        task = asyncio.create_task(registry.run()) if watch else None
        try:
            yield registry
        finally:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            database.close()

    def save(self, name: str, text: str) -> Path:
        """As editors do it: a new file put in the place of the old."""
        path = self.dropped / name
        path.parent.mkdir(parents=True, exist_ok=True)
        making = path.parent / f".{path.name}.saving"
        making.write_text(text, encoding="utf-8")
        making.replace(path)
        return path

    @staticmethod
    def source(id: str = "site_hello", version: str = "1.0.0", title: str = "Hello") -> str:
        return MODULE.format(id=id, version=version, title=title)

    @staticmethod
    async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
        """Return as soon as `condition` holds; fail when it does not in time."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 -- files and processes give no event
                await asyncio.sleep(0.01)

    @staticmethod
    def version_of(registry: Registry, module: str = "site_hello") -> str | None:
        found = registry.catalogue().find(module)
        return found.version if found else None

    @staticmethod
    def fault_of(registry: Registry, path: str) -> Fault | None:
        return next((fault for fault in registry.faults() if fault.path == path), None)

    def built_in(self, id: str, text: str) -> None:
        (self.builtin / id).mkdir(parents=True, exist_ok=True)
        (self.builtin / id / "module.py").write_text(text, encoding="utf-8")


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "data", tmp_path / "builtin", tmp_path / "data" / "modules")
    for folder in (made.data, made.builtin, made.dropped):
        folder.mkdir()
    return made
