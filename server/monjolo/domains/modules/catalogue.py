"""What is installed, as one unchanging view in memory: asked at every save of a flow, never waits.

`uses` is `module/action`, or with a version kept on purpose: `module@1/action`, `module@1.4/action`,
`module@1.4.2/action`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from monjolo.domains.modules import manifest as manifests
from monjolo.domains.modules.models import ActionRules, ModuleVersion
from monjolo.flow_document.actions import ResolvedAction

_USES = re.compile(r"([a-z][a-z0-9_]*)(?:@([0-9][0-9A-Za-z.+-]*))?/([a-z][a-z0-9_]*)")


class ModuleCatalogue:
    """Implements flow_document's Catalogue."""

    def __init__(self, versions: Iterable[ModuleVersion] = ()) -> None:
        self._current: dict[str, ModuleVersion] = {}
        self._by_id: dict[str, list[ModuleVersion]] = defaultdict(list)
        self._exact: dict[tuple[str, str, str], ModuleVersion] = {}
        for version in versions:
            self._by_id[version.id].append(version)
            self._exact[version.id, version.version, version.digest] = version
            if version.current:
                self._current[version.id] = version

    def modules(self) -> list[ModuleVersion]:
        return [self._current[name] for name in sorted(self._current)]

    def find(self, module: str) -> ModuleVersion | None:
        return self._current.get(module)

    def versions(self, module: str) -> list[ModuleVersion]:
        """All that are known, the newest first; some may be out of the catalogue."""
        return sorted(self._by_id.get(module, []), key=_age, reverse=True)

    def all_versions(self) -> list[ModuleVersion]:
        return list(self._exact.values())

    def find_exact(self, module: str, version: str, digest: str) -> ModuleVersion | None:
        return self._exact.get((module, version, digest))

    def by_digest(self, digest: str) -> ModuleVersion | None:
        found = [version for version in self._exact.values() if version.digest == digest]
        return max(found, key=_age, default=None)

    def by_path(self, path: str) -> ModuleVersion | None:
        return next((version for version in self._current.values() if version.path == path), None)

    def resolve(self, uses: str) -> ResolvedAction | None:
        match = _USES.fullmatch(uses)
        if match is None:
            return None
        module, wanted, action = match.groups()
        version = self._current.get(module)
        if version is not None and wanted is not None:
            version = self._pinned(module, wanted)
        return _resolved(version, action)

    def resolve_exact(self, module: str, version: str, digest: str, action: str) -> ResolvedAction | None:
        """For a published flow: what it was published with, be it in the catalogue still or not."""
        return _resolved(self.find_exact(module, version, digest), action)

    def rules(self, module: str, version: str, digest: str, action: str) -> ActionRules | None:
        """Effects, permissions, and the inputs that take a connection or a secret."""
        found = self.find_exact(module, version, digest)
        listed = manifests.actions(found.manifest).get(action) if found else None
        return manifests.rules(found.manifest, listed) if found and listed is not None else None

    def connection_types(self) -> dict[str, dict[str, Any]]:
        """Those of all modules, by id; of two with one id, the module that comes first has it."""
        found: dict[str, dict[str, Any]] = {}
        for version in self.modules():
            for name, kind in (version.manifest.get("connection_types") or {}).items():
                found.setdefault(name, {**kind, "module": version.id})
        return found

    def _pinned(self, module: str, wanted: str) -> ModuleVersion | None:
        """The newest that `wanted` names; of equal versions the one in the catalogue, then the latest."""
        fitting = [
            version
            for version in self._by_id[module]
            if version.version == wanted or version.version.startswith(wanted + ".")
        ]
        return max(fitting, key=_age, default=None)


def _age(version: ModuleVersion) -> tuple[tuple[int, ...], bool, int]:
    return manifests.order_of(version.version), version.current, version.created_at


def _resolved(version: ModuleVersion | None, action: str) -> ResolvedAction | None:
    listed = manifests.actions(version.manifest).get(action) if version else None
    if version is None or listed is None:
        return None
    return ResolvedAction(
        module=version.id,
        version=version.version,
        digest=version.digest,
        action=action,
        input_schema=manifests.input_schema(listed),
        output_schema=manifests.output_schema(listed) or None,
    )
