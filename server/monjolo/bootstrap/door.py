"""The worker's door when worker and platform are one process: local calls in place of HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from monjolo.blobs.port import Blobs
from monjolo.domains.modules.registry import Registry
from monjolo.domains.runs import repository
from monjolo.domains.users.sessions import Sessions
from monjolo.kit.errors import Forbidden
from monjolo.storage.port import Database
from monjolo.worker.port import Bundle, EnvironmentSpec
from monjolo_sdk.wire import Task

ARTIFACT_LIMIT = 1 << 30
TOKEN_SECONDS = 900


class LocalDoor:
    def __init__(
        self,
        registry: Registry,
        database: Database,
        blobs: Blobs,
        sessions: Sessions,
        workspace_id: str,
        own_url: Callable[[], str],
    ) -> None:
        self._registry = registry
        self._database = database
        self._blobs = blobs
        self._sessions = sessions
        self._workspace_id = workspace_id
        self._own_url = own_url

    async def bundle(self, digest: str) -> Bundle:
        found = await self._registry.bundle(digest)
        return Bundle(found.digest, found.kind, found.path, found.module, EnvironmentSpec(found.python))

    async def state_get(self, task: Task, key: str) -> Any:
        flow_id = str(task.context.get("flow_id", ""))
        return await self._database.read(lambda c: repository.get_kept_state(c, flow_id, task.key, key))

    async def token(self, task: Task) -> dict[str, Any]:
        version = self._registry.catalogue().by_digest(task.digest)
        wanted = [] if version is None else version.manifest.get("permissions", {}).get("platform", [])
        if not wanted:
            raise Forbidden(
                f"The module {task.module} asks for no permissions.platform in its manifest, so it has no token.",
                code="no_platform_permission",
            )
        token = self._sessions.issue_task_token(self._workspace_id, frozenset(wanted), TOKEN_SECONDS)
        return {"url": self._own_url(), "token": token}

    async def put_artifact(self, task: Task, name: str, path: str, content_type: str | None) -> dict[str, Any]:
        stored = await self._blobs.put_file(Path(path), limit=ARTIFACT_LIMIT)
        return {
            "name": name,
            "size": stored.size,
            "sha256": stored.sha256,
            "blob": stored.name,
            "content_type": content_type or "application/octet-stream",
        }
