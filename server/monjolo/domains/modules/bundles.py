"""The content-addressed store: <data>/bundles/<digest>/. What is there never changes, so running tasks and
published versions keep what they were given."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from monjolo.domains.modules.models import Broken, Entry, Kind, Requirements
from monjolo.domains.modules.sources import Content, digest_of, entry_of

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BundleStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, kind: Kind, content: Content) -> tuple[str, Entry]:
        """Keep `content`; the same content is kept once. Raises Broken when it is no module."""
        digest = digest_of(kind, content)
        final = self._folder / digest
        if (final / "bundle.json").is_file():
            return digest, self.entry(digest)
        entry = entry_of(kind, content, final / "tree")
        self._folder.mkdir(parents=True, exist_ok=True)
        making = self._folder / f".making-{digest[:16]}-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            _write_tree(making / "tree", content)
            (making / "bundle.json").write_text(_card(entry, final / "tree"), encoding="utf-8")
            try:
                making.rename(final)
            except OSError:  # somebody else was first; theirs is the same
                if not (final / "bundle.json").is_file():
                    raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return digest, entry

    def has(self, digest: str) -> bool:
        return _DIGEST.fullmatch(digest) is not None and (self._folder / digest / "bundle.json").is_file()

    def entry(self, digest: str) -> Entry:
        """Raises Broken when the bundle is not in the store."""
        if not self.has(digest):
            raise Broken(f"the bundle {digest[:12]} is not in the store")
        tree = self._folder / digest / "tree"
        card = json.loads((tree.parent / "bundle.json").read_text(encoding="utf-8"))
        requirements = Requirements(tuple(card["dependencies"]), card["requires_python"])
        return Entry(card["kind"], tree / card["root"], requirements)

    def file(self, digest: str, name: str) -> bytes | None:
        """A file of the bundle by its exact name, or None."""
        if not self.has(digest):
            return None
        tree = self._folder / digest / "tree"
        names = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
        return (tree / name).read_bytes() if name in names else None

    def digests(self) -> set[str]:
        if not self._folder.is_dir():
            return set()
        return {path.name for path in self._folder.iterdir() if _DIGEST.fullmatch(path.name)}

    def delete(self, digest: str) -> None:
        if _DIGEST.fullmatch(digest):
            shutil.rmtree(self._folder / digest, ignore_errors=True)


def _write_tree(tree: Path, content: Content) -> None:
    for name, data in content.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o444)


def _card(entry: Entry, tree: Path) -> str:
    return json.dumps(
        {
            "kind": entry.kind,
            "root": entry.root.relative_to(tree).as_posix(),
            "dependencies": list(entry.requirements.dependencies),
            "requires_python": entry.requirements.requires_python,
        }
    )
