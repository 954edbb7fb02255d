"""The registry: what lies in the built-in and the drop-in folder becomes the catalogue.

A source is read whole, kept in the bundle store under its digest, given its environment and described by its
own runner once. A source that fails leaves a fault; its last good version stays. Built-in modules are there
when `start` returns; the rest follows in the background, a slow one never holding up another.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
from watchfiles import awatch

from monjolo.domains.modules import manifest as manifests
from monjolo.domains.modules import repository
from monjolo.domains.modules.bundles import BundleStore
from monjolo.domains.modules.catalogue import ModuleCatalogue
from monjolo.domains.modules.description import describe
from monjolo.domains.modules.environments import Environments
from monjolo.domains.modules.models import Broken, Bundle, Entry, Fault, ModuleVersion, Source
from monjolo.domains.modules.sources import (
    Content,
    builtin_sources,
    digest_of,
    dropped_sources,
    kind_of,
    read_source,
)
from monjolo.flow_document.actions import ResolvedAction
from monjolo.kit.errors import MonjoloError, NotFound, Unavailable
from monjolo.kit.time import Clock
from monjolo.storage.port import Connection, Database

_log = structlog.get_logger("monjolo.modules")
_DESCRIPTIONS_AT_ONCE = 2
_RESCAN = "/"  # no path of a source
_QUIET_MS, _AT_MOST_MS = 50, 200  # a save is taken when the folder was quiet for so long, or after so long
_LOOK_MS, _POLL_MS = 1_000, 1_000  # is the folder itself still there; without inotify, what is in it


@dataclass(frozen=True, slots=True)
class Folders:
    """Where modules come from, and the SDK whose runner describes them."""

    builtin: Path
    dropped: Path
    sdk: Path  # the folder monjolo_sdk

    @property
    def runner(self) -> Path:
        return self.sdk / "runner" / "main.py"


class Registry:
    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        folders: Folders,
        store: BundleStore,
        environments: Environments,
        changed: Callable[[], None] | None = None,
    ) -> None:
        self._database, self._clock = database, clock
        self._folders, self._store, self._environments = folders, store, environments
        self._changed = changed
        self._sdk_stamp = ""
        self._catalogue = ModuleCatalogue()
        self._faults: dict[str, Fault] = {}
        self._wanted: dict[str, str] = {}  # path -> digest of what lies there now
        self._taking: dict[str, asyncio.Task[None]] = {}
        self._scanning, self._settling = asyncio.Lock(), asyncio.Lock()
        self._descriptions = asyncio.Semaphore(_DESCRIPTIONS_AT_ONCE)

    # --- life -----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Returns when the built-in modules, and all that were described before, are in the catalogue."""
        self._sdk_stamp = await asyncio.to_thread(_stamp, self._folders.sdk)
        await self._reload()
        await self._scan(builtin_only=True)
        await self._settled()

    async def run(self) -> None:
        """Watches the drop-in folder until cancelled."""
        try:
            await self._look()
            polling = False
            while True:
                try:
                    await self._watch(polling)
                except OSError as error:  # no inotify watches left, or a file system without them
                    _log.warning("the modules folder is looked at every second", reason=str(error))
                    polling = True
        finally:
            for task in list(self._taking.values()):
                task.cancel()
            await asyncio.gather(*self._taking.values(), return_exceptions=True)

    async def _watch(self, polling: bool) -> None:
        """Until the folder itself is replaced. What was saved before the watch began is seen, too."""
        folder = self._folders.dropped
        folder.mkdir(parents=True, exist_ok=True)
        inode, first = folder.stat().st_ino, True
        watch = awatch(
            folder,
            debounce=_AT_MOST_MS,
            step=_QUIET_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            force_polling=polling or None,
            poll_delay_ms=_POLL_MS,
            watch_filter=None,
        )
        async for changes in watch:
            touched = {self._path_of(Path(name)) for _, name in changes}
            touched = {path for path in touched if not path.startswith(".")}
            if touched or first:
                self._forget_failures(touched)
                await self._look()
            first = False
            if not folder.exists() or folder.stat().st_ino != inode:
                return

    async def _look(self) -> None:
        """A scan whose failure (a full disk, say) does not end the watch: the next change tries again."""
        try:
            await self._scan()
        except (OSError, MonjoloError) as error:
            _log.error("the modules folder could not be looked through", reason=str(error))

    async def refresh(self, path: str | None = None) -> None:
        """Look now, and return when what lies at `path` (or everything) is settled."""
        await self._scan()
        if path is None:
            await self._settled()
        elif (taking := self._taking.get(path)) is not None:
            await asyncio.wait([taking])

    # --- answers --------------------------------------------------------------------------------------------

    def catalogue(self) -> ModuleCatalogue:
        return self._catalogue

    def resolve(self, uses: str) -> ResolvedAction | None:
        """As `catalogue().resolve`: the registry itself is the Catalogue that follows every change."""
        return self._catalogue.resolve(uses)

    def connection_types(self) -> dict[str, dict[str, Any]]:
        return self._catalogue.connection_types()

    def faults(self) -> list[Fault]:
        return [self._faults[path] for path in sorted(self._faults)]

    async def bundle(self, digest: str) -> Bundle:
        """Raises NotFound when no such bundle is kept, Unavailable when its environment cannot be built."""
        try:
            entry = await asyncio.to_thread(self._store.entry, digest)
        except Broken as error:
            raise NotFound(error.error, code="bundle_not_found") from error
        try:
            python = await self._environments.python_for(entry.requirements)
        except Broken as error:
            raise Unavailable(error.error, code="environment_not_built") from error
        known = self._catalogue.by_digest(digest)
        return Bundle(digest, entry.kind, entry.root, known.id if known else "", python)

    async def file(self, digest: str, name: str) -> bytes | None:
        return await asyncio.to_thread(self._store.file, digest, name)

    async def examine(self, source: Source, content: Content) -> ModuleVersion:
        """Describe `content` as if it lay at `source`, before it does. Raises Broken, also for a taken id."""
        digest, entry = await asyncio.to_thread(self._store.put, kind_of(source), content)
        version = self._known(digest) or await self._described(source, digest, entry)
        owner = self._catalogue.find(version.id)
        if owner is not None and owner.path != source.path:
            raise Broken(_taken_id(version, owner, 0).error, module=version.id)
        async with self._settling:
            await self._database.write(lambda connection: repository.insert_version(connection, version))
            await self._reload()
        return version

    async def prune(self, keep: Iterable[str]) -> int:
        """Drops versions and bundles that are neither in the catalogue nor in `keep`. Answers how many."""
        async with self._settling:
            kept = set(keep) | {version.digest for version in self._catalogue.modules()} | set(self._wanted.values())
            gone = sorted(await asyncio.to_thread(self._store.digests) - kept)
            await self._database.write(lambda connection: repository.delete_versions(connection, gone))
            for digest in gone:
                await asyncio.to_thread(self._store.delete, digest)
            await self._reload()
            await self._prune_environments()
        return len(gone)

    async def _prune_environments(self) -> None:
        if self._taking:  # one may just have been built for a version that is not stored yet
            return
        held = [one.digest for one in self._catalogue.all_versions() if self._store.has(one.digest)]
        used = {self._environments.key(self._store.entry(digest).requirements) for digest in held}
        for key in await asyncio.to_thread(self._environments.keys) - used:
            await asyncio.to_thread(self._environments.delete, key)

    # --- from the folders to the catalogue ------------------------------------------------------------------

    async def _scan(self, *, builtin_only: bool = False) -> None:
        async with self._scanning:
            found = await asyncio.to_thread(self._read_all, builtin_only)
            gone = set() if builtin_only else self._leave_out({source.path for source, _, _ in found})
            for source, content, fault in found:
                if content is None:
                    self._wanted[source.path] = ""
                    async with self._settling:
                        await self._note(fault or Fault(source.path, "it cannot be read"))
                else:
                    self._want(source, content)
            if gone:
                await self._retire(gone)

    def _read_all(self, builtin_only: bool) -> list[tuple[Source, Content | None, Fault | None]]:
        sources = builtin_sources(self._folders.builtin)
        if not builtin_only:
            sources += dropped_sources(self._folders.dropped)
        found: list[tuple[Source, Content | None, Fault | None]] = []
        for source in sources:
            try:
                found.append((source, read_source(source), None))
            except Broken as error:
                found.append((source, None, Fault(source.path, error.error)))
        return found

    def _want(self, source: Source, content: Content) -> None:
        """Begin to take `content`, unless it was taken, or failed, before."""
        digest = digest_of(kind_of(source), content)
        current = self._catalogue.by_path(source.path)
        if self._wanted.get(source.path) == digest:
            return
        self._wanted[source.path] = digest
        described = current is not None and current.manifest.get("described_with") == self._sdk_stamp
        if (
            current is not None
            and current.digest == digest
            and described
            and self._store.has(digest)
            and source.path not in self._faults
        ):
            return
        running = self._taking.pop(source.path, None)
        if running is not None:
            running.cancel()
        task = asyncio.create_task(self._take(source, content, digest), name=f"module {source.path}")
        self._taking[source.path] = task
        task.add_done_callback(lambda done: self._taken(source.path, done))

    def _taken(self, path: str, task: asyncio.Task[None]) -> None:
        if self._taking.get(path) is task:
            del self._taking[path]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._wanted.pop(path, None)  # ours, not the module's: try again at the next look
            _log.error("a module could not be taken", path=path, error=repr(error))

    async def _take(self, source: Source, content: Content, digest: str) -> None:
        try:
            _, entry = await asyncio.to_thread(self._store.put, kind_of(source), content)
            version = self._known(digest) or await self._described(source, digest, entry)
        except Broken as error:
            async with self._settling:
                if self._wanted.get(source.path) == digest:
                    await self._note(Fault(source.path, error.error, error.module, error.traceback))
            return
        async with self._settling:
            if self._wanted.get(source.path) == digest:
                await self._settle(replace(version, origin=source.origin, path=source.path))

    def _known(self, digest: str) -> ModuleVersion | None:
        version = self._catalogue.by_digest(digest)
        same_sdk = version is not None and version.manifest.get("described_with") == self._sdk_stamp
        return version if same_sdk else None

    async def _described(self, source: Source, digest: str, entry: Entry) -> ModuleVersion:
        python = await self._environments.python_for(entry.requirements)
        async with self._descriptions:
            described = await describe(entry, python, self._folders.runner)
        manifest = {
            **manifests.checked(described.manifest),
            "digest": digest,
            "described_with": self._sdk_stamp,
        }
        return ModuleVersion(
            id=manifest["id"],
            version=manifest["version"],
            digest=digest,
            origin=source.origin,
            path=source.path,
            manifest=manifest,
            environment=self._environments.key(entry.requirements),
            current=True,
            created_at=self._clock.now(),
        )

    async def _settle(self, version: ModuleVersion) -> None:
        owner = self._catalogue.find(version.id)
        if owner is not None and owner.path != version.path and owner.path in self._wanted:
            if version.origin != "built-in" or owner.origin == "built-in":
                await self._database.write(lambda connection: repository.insert_version(connection, version))
                await self._note(_taken_id(version, owner, self._clock.now()))
                return
            await self._note(_taken_id(owner, version, self._clock.now()))
        leaving = self._catalogue.by_path(version.path)

        def work(connection: Connection) -> None:
            repository.insert_version(connection, version)
            repository.make_current(connection, version)

        await self._database.write(work)
        await self._reload()
        # The first start says one line, the link; what always comes with the platform is no news.
        say = _log.debug if version.origin == "built-in" else _log.info
        say("module is live", module=version.id, version=version.version, path=version.path)
        if leaving is not None and leaving.id != version.id:
            self._retry_clashes({leaving.id})

    def _leave_out(self, present: set[str]) -> set[str]:
        known = {version.path for version in self._catalogue.modules()} | set(self._wanted) | set(self._faults)
        gone = known - present
        for path in gone:
            self._wanted.pop(path, None)
            if (running := self._taking.pop(path, None)) is not None:
                running.cancel()
        return gone

    async def _retire(self, gone: set[str]) -> None:
        """What was deleted leaves the catalogue; a module that waited for its id may come in."""
        async with self._settling:
            freed = {found.id for path in gone if (found := self._catalogue.by_path(path)) is not None}
            await self._database.write(lambda connection: repository.retire_paths(connection, sorted(gone)))
            await self._reload()
        _log.info("modules left the catalogue", paths=sorted(gone))
        self._retry_clashes(freed)

    def _retry_clashes(self, freed: set[str]) -> None:
        waiting = [path for path, fault in self._faults.items() if fault.module in freed]
        for path in waiting:
            self._wanted.pop(path, None)
        if waiting:
            task = asyncio.create_task(self._scan(), name="modules whose id became free")
            self._taking[_RESCAN] = task
            task.add_done_callback(lambda done: self._taken(_RESCAN, done))

    def _forget_failures(self, paths: set[str]) -> None:
        """Saving a broken module again is asking for another try, of its environment for instance."""
        for path in paths & set(self._faults):
            self._wanted.pop(path, None)

    async def _note(self, fault: Fault) -> None:
        """Under `_settling`, as everything that changes rows and the view of them."""
        before = self._faults.get(fault.path)
        if before is not None and replace(before, at=0) == replace(fault, at=0):
            return
        noted = replace(fault, at=fault.at or self._clock.now())
        await self._database.write(lambda connection: repository.save_fault(connection, noted))
        self._faults[fault.path] = noted
        _log.warning("module is broken", path=fault.path, error=fault.error)
        if self._changed is not None:
            self._changed()

    async def _reload(self) -> None:
        def query(connection: Connection) -> tuple[list[ModuleVersion], list[Fault]]:
            return repository.list_versions(connection), repository.list_faults(connection)

        versions, faults = await self._database.read(query)
        self._catalogue = ModuleCatalogue(versions)
        self._faults = {fault.path: fault for fault in faults}
        if self._changed is not None:
            self._changed()

    async def _settled(self) -> None:
        while self._taking:
            await asyncio.gather(*self._taking.values(), return_exceptions=True)
            await asyncio.sleep(0)

    def _path_of(self, changed: Path) -> str:
        """The source that a changed file belongs to; empty for the folder itself."""
        with suppress(ValueError):
            return next(iter(changed.relative_to(self._folders.dropped).parts), "")
        return changed.name


def _taken_id(loser: ModuleVersion, owner: ModuleVersion, at: int) -> Fault:
    whose = "a built-in module" if owner.origin == "built-in" else f"the module in {owner.path}"
    return Fault(loser.path, f"the id {loser.id!r} belongs to {whose}; give this module another id", loser.id, None, at)


def _stamp(sdk: Path) -> str:
    """Changes when the code that describes modules does."""
    total = hashlib.sha256()
    for path in sorted(sdk.rglob("*.py")):
        total.update(path.relative_to(sdk).as_posix().encode() + path.read_bytes())
    return total.hexdigest()[:16]
