"""What a worker asks of the platform: code to run, and services for it. A worker knows no database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from monjolo_sdk.wire import Task


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """The interpreter that has what the module depends on."""

    python: Path


@dataclass(frozen=True, slots=True)
class Bundle:
    """A module's code, named by its digest. `entry` is the import name or the file inside `path`."""

    digest: str
    kind: str  # builtin | file | folder
    path: Path
    entry: str
    environment: EnvironmentSpec


class WorkerDoor(Protocol):
    """The platform's door for workers: a local object when embedded, HTTP when apart."""

    async def bundle(self, digest: str) -> Bundle:
        """The bundle, with its environment built. May take minutes; raises when it cannot be had."""

    async def state_get(self, task: Task, key: str) -> Any: ...

    async def token(self, task: Task) -> dict[str, Any]:
        """`{"url", "token"}`: a short-lived right to the platform's API, as the module's manifest declares."""

    async def put_artifact(self, task: Task, name: str, path: str, content_type: str | None) -> dict[str, Any]:
        """Stores the file and returns `{name, size, sha256, blob, content_type}`."""
