"""Loads a bundle: a file, a folder with `module.py` or `__init__.py`, or a project with an entry point."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

from monjolo_sdk.errors import PermanentError
from monjolo_sdk.module import Module

ENTRY_POINT_GROUP = "monjolo.modules"


class LoadError(PermanentError):
    """The bundle holds no usable module."""


def load(bundle: dict[str, Any]) -> tuple[Module, str]:
    """The Module of a bundle and the docstring of its file."""
    path, wanted = str(bundle["path"]), str(bundle.get("module") or "")
    name = f"monjolo_module_{wanted or os.path.splitext(os.path.basename(path))[0]}"  # noqa: PTH119, PTH122
    if not os.path.exists(path):  # noqa: PTH110
        raise LoadError(f"there is nothing at {path}")
    if not os.path.isdir(path):  # noqa: PTH112
        python = _load_file(name, path, None)
        return _module_in(python, wanted), python.__doc__ or ""
    entry = _entry_point(path, wanted)
    if entry is not None:
        return _load_entry(path, entry, wanted)
    for file in ("module.py", "__init__.py"):
        candidate = os.path.join(path, file)  # noqa: PTH118
        if os.path.isfile(candidate):  # noqa: PTH113
            if file == "module.py" and path not in sys.path:
                sys.path.append(path)
            python = _load_file(name, candidate, path)
            return _module_in(python, wanted), python.__doc__ or ""
    raise LoadError(f"the folder {path} has no module.py, no __init__.py and no entry point {ENTRY_POINT_GROUP!r}")


def _load_file(name: str, path: str, package: str | None) -> ModuleType:
    # A folder is loaded as a package, so that `from .parse import …` works beside module.py.
    locations = [package] if package is not None else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=locations)
    if spec is None or spec.loader is None:
        raise LoadError(f"{path} is not a Python file")
    python = importlib.util.module_from_spec(spec)
    sys.modules[name] = python
    try:
        spec.loader.exec_module(python)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return python


def _entry_point(path: str, wanted: str) -> str | None:
    project = os.path.join(path, "pyproject.toml")  # noqa: PTH118
    if not os.path.isfile(project):  # noqa: PTH113
        return None
    tomllib = importlib.import_module("tomllib")  # only projects pay for it
    with open(project, "rb") as file:  # noqa: PTH123
        declared = tomllib.load(file).get("project", {}).get("entry-points", {}).get(ENTRY_POINT_GROUP, {})
    if not declared:
        return None
    return str(declared.get(wanted) or next(iter(declared.values())))


def _load_entry(path: str, entry: str, wanted: str) -> tuple[Module, str]:
    for folder in (os.path.join(path, "src"), path):  # noqa: PTH118
        if os.path.isdir(folder) and folder not in sys.path:  # noqa: PTH112
            sys.path.insert(0, folder)
    target, _, attribute = entry.partition(":")
    python = importlib.import_module(target)
    if not attribute:
        return _module_in(python, wanted), python.__doc__ or ""
    found = getattr(python, attribute, None)
    if not isinstance(found, Module):
        raise LoadError(f"the entry point {entry!r} is not a monjolo_sdk.Module")
    return _checked(found, wanted), python.__doc__ or ""


def _module_in(python: ModuleType, wanted: str) -> Module:
    found = getattr(python, "module", None)
    if not isinstance(found, Module):
        candidates = [value for value in vars(python).values() if isinstance(value, Module)]
        if len(candidates) != 1:
            raise LoadError(f"{python.__file__} has {len(candidates)} modules; write `module = Module(…)` once")
        found = candidates[0]
    return _checked(found, wanted)


def _checked(module: Module, wanted: str) -> Module:
    if wanted and module.id != wanted:
        raise LoadError(f"the file holds the module {module.id!r}, not {wanted!r}")
    if not module.actions:
        raise LoadError(f"the module {module.id!r} has no action; mark a function with @module.action()")
    return module
