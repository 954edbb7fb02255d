"""The nouns of this domain: where a module comes from, what was made of it, what went wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Origin = Literal["built-in", "file", "folder"]
Kind = Literal["builtin", "file", "folder"]


@dataclass(frozen=True, slots=True)
class Source:
    """One module as it lies on disk. `path` names it in lists and rows: `built-in/core`, `site_hello.py`."""

    origin: Origin
    path: str
    location: Path


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a module needs beside the SDK. Without dependencies it runs in the platform's own environment."""

    dependencies: tuple[str, ...] = ()
    requires_python: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """How a bundle is loaded: from `root`, a file for the kind `file`, a folder otherwise."""

    kind: Kind
    root: Path
    requirements: Requirements


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a worker needs to run a module: its content and id, and the interpreter of its environment."""

    digest: str
    kind: Kind
    path: Path
    module: str
    python: Path


@dataclass(frozen=True, slots=True)
class ModuleVersion:
    """One described bundle. `current` versions are the catalogue."""

    id: str
    version: str
    digest: str
    origin: Origin
    path: str
    manifest: dict[str, Any]
    environment: str | None
    current: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the module at `path` is not (or not anew) in the catalogue."""

    path: str
    error: str
    module: str | None = None
    traceback: str | None = None
    at: int = 0


@dataclass(frozen=True, slots=True)
class Described:
    """The answer of a module's own runner, and what it wrote while it was loaded."""

    manifest: dict[str, Any]
    output: str = ""


class Broken(Exception):
    """A module that cannot be taken: the text says where and why, and what to do."""

    def __init__(self, error: str, *, traceback: str | None = None, module: str | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.traceback = traceback
        self.module = module


@dataclass(frozen=True, slots=True)
class ActionRules:
    """What the platform must know of an action before it runs it."""

    effects: str
    permissions: dict[str, Any]
    connections: dict[str, str] = field(default_factory=dict)  # input -> connection type
    secrets: tuple[str, ...] = ()  # inputs that take a secret
