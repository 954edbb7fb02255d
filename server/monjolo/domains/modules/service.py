"""What the API does with modules: list, describe, try an action, take an upload, remove."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from monjolo.domains.audit.repository import record
from monjolo.domains.modules import manifest as manifests
from monjolo.domains.modules.models import Broken, Fault, ModuleVersion, Source
from monjolo.domains.modules.registry import Registry
from monjolo.domains.modules.sources import MAX_FILE_BYTES, is_safe_name
from monjolo.kit.errors import Conflict, InvalidInput, NotFound, PayloadTooLarge, Problem
from monjolo.kit.time import Clock
from monjolo.storage.port import Connection, Database


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tried action gave. `status` as in `Finished`; `logs` are the lines it wrote; microseconds."""

    status: str
    output: Any = None
    error: dict[str, Any] | None = None
    logs: list[dict[str, Any]] = field(default_factory=list)
    duration: int = 0


class RunAction(Protocol):
    """Runs one action outside any flow, in a runner of its own."""

    async def __call__(
        self, *, workspace_id: str, version: ModuleVersion, action: str, inputs: dict[str, Any]
    ) -> Outcome: ...


class Actor(Protocol):
    """Who asks."""

    @property
    def user_id(self) -> str: ...

    @property
    def workspace_id(self) -> str: ...


class ModuleService:
    def __init__(
        self, registry: Registry, *, database: Database, clock: Clock, dropped: Path, run_action: RunAction
    ) -> None:
        self._registry = registry
        self._database, self._clock = database, clock
        self._dropped = dropped
        self._run_action = run_action

    def list_modules(self, q: str | None = None) -> list[ModuleVersion]:
        found = self._registry.catalogue().modules()
        if not q:
            return found
        words = q.casefold().split()
        return [version for version in found if all(word in _searched(version) for word in words)]

    def faults(self) -> list[Fault]:
        return self._registry.faults()

    def get(self, module: str) -> ModuleVersion:
        version = self._registry.catalogue().find(module)
        if version is not None:
            return version
        for fault in self._registry.faults():
            if module in (fault.path, fault.path.removesuffix(".py")):
                raise NotFound(f"{fault.path} has no good version yet: {fault.error}", code="module_broken")
        raise NotFound(f"There is no module {module!r}; GET /api/v1/modules lists them.", code="module_not_found")

    def versions(self, module: str) -> list[ModuleVersion]:
        return self._registry.catalogue().versions(module)

    async def readme(self, version: ModuleVersion) -> str | None:
        data = await self._registry.file(version.digest, "README.md")
        return None if data is None else data.decode("utf-8", errors="replace")

    def action(self, module: str, action: str) -> tuple[ModuleVersion, dict[str, Any]]:
        version = self.get(module)
        listed = manifests.actions(version.manifest)
        if action not in listed:
            names = ", ".join(listed)
            raise NotFound(f"{module} has no action {action!r}; it has {names}.", code="action_not_found")
        return version, listed[action]

    async def try_action(
        self, who: Actor, module: str, action: str, inputs: dict[str, Any], *, dry_run: bool = False
    ) -> Outcome:
        version, listed = self.action(module, action)
        check_inputs(manifests.input_schema(listed), inputs)
        if dry_run:
            return Outcome("valid")
        await self._record(who, "module.tried", f"{module}/{action}", {"digest": version.digest})
        return await self._run_action(workspace_id=who.workspace_id, version=version, action=action, inputs=inputs)

    async def upload(self, who: Actor, name: str, source: bytes, *, replace: bool = False) -> ModuleVersion:
        """One file, judged before it is put into the folder: a broken one changes nothing."""
        stem = name.removesuffix(".py")
        if not is_safe_name(stem) or stem.startswith("test_"):
            raise InvalidInput(
                f"{name!r} is no name for a module: letters, digits, _ and -, such as site_check.py",
                code="module_name",
            )
        if len(source) > MAX_FILE_BYTES:
            raise PayloadTooLarge(f"A module's file has at most {MAX_FILE_BYTES // 2**20} MiB.")
        file = f"{stem}.py"
        self._refuse_overwriting(file, source, replace)
        try:
            version = await self._registry.examine(Source("file", file, self._dropped / file), {file: source})
        except Broken as error:
            problem = Problem("source", "module_broken", error.error)
            raise InvalidInput(
                f"{file} cannot be taken: {error.error}", code="module_broken", errors=[problem]
            ) from error
        await asyncio.to_thread(_write_beneath, self._dropped, file, source)
        await self._record(who, "module.uploaded", version.id, {"path": file, "digest": version.digest})
        await self._registry.refresh(file)
        return self._registry.catalogue().find(version.id) or version

    def _refuse_overwriting(self, file: str, source: bytes, replace: bool) -> None:
        path = self._dropped / file
        if path.is_dir() and not path.is_symlink():
            raise Conflict(f"{file} is a folder.", code="module_exists")
        if path.exists() and not replace and path.read_bytes() != source:
            raise Conflict(
                f"There is a module file {file} already; send replace=true to put this in its place.",
                code="module_exists",
            )

    async def delete(self, who: Actor, module: str) -> None:
        """Takes a dropped-in module out of the folder. Published flows keep the version they have."""
        path = self._dropped_path(module)
        await asyncio.to_thread(_delete_beneath, self._dropped, path)
        await self._record(who, "module.deleted", module, {"path": path})
        await self._registry.refresh(path)

    async def _record(self, who: Actor, action: str, name: str, detail: dict[str, Any]) -> None:
        def work(connection: Connection) -> None:
            record(
                connection,
                workspace_id=who.workspace_id,
                actor=who.user_id,
                action=action,
                object=f"module:{name}",
                detail=detail,
                at=self._clock.now(),
            )

        await self._database.write(work)

    def _dropped_path(self, module: str) -> str:
        version = self._registry.catalogue().find(module)
        if version is None:
            for fault in self._registry.faults():
                if module in (fault.path, fault.path.removesuffix(".py")) and "/" not in fault.path:
                    return fault.path
            raise NotFound(f"There is no module {module!r}.", code="module_not_found")
        if version.origin == "built-in":
            raise Conflict(f"{module} is built in and stays.", code="module_built_in")
        return version.path


def check_inputs(schema: dict[str, Any], inputs: dict[str, Any]) -> None:
    """Raises InvalidInput with every problem and its path. What stands for a secret is judged when it is known."""
    places = set(_placeholders(inputs, ()))
    problems = [
        Problem("/".join(["inputs", *map(str, error.instance_path)]), "schema", error.message)
        for error in manifests.validator(schema).iter_errors(inputs)
        if not any(tuple(error.instance_path)[: len(place)] == place for place in places)
    ]
    if problems:
        raise InvalidInput(f"The inputs do not fit: {problems[0].message} ({problems[0].path}).", errors=problems)


def _placeholders(value: Any, at: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        if value.keys() in ({"$secret"}, {"$secret_text"}):
            yield at
        for key, below in value.items():
            yield from _placeholders(below, (*at, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _placeholders(below, (*at, index))


def _searched(version: ModuleVersion) -> str:
    words = [version.id, str(version.manifest.get("title", "")), str(version.manifest.get("description", ""))]
    for name, action in manifests.actions(version.manifest).items():
        words += [name, str(action.get("title", ""))]
    return " ".join(words).casefold()


def _write_beneath(folder: Path, name: str, data: bytes) -> None:
    """Atomic, and never through a link: the name is put into the folder that is open."""
    folder.mkdir(parents=True, exist_ok=True)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    making = f".uploading-{secrets.token_hex(8)}"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(making, flags, 0o644, dir_fd=directory), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(making, name, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
    except OSError:
        if making in os.listdir(directory):  # noqa: PTH208 -- a descriptor, not a path
            os.unlink(making, dir_fd=directory)
        raise
    finally:
        os.close(directory)


def _delete_beneath(folder: Path, name: str) -> None:
    if "/" in name or name.startswith("."):
        raise NotFound(f"There is no module in {name!r}.")
    path = folder / name
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
