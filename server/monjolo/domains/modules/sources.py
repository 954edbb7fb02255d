"""Finding modules on disk and reading them whole, without running or importing anything.

Names come from a folder that people write into, so links are refused and sizes are bounded.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from pathlib import Path

from monjolo.domains.modules.models import Broken, Entry, Kind, Requirements, Source

MAX_FILE_BYTES = 1024 * 1024
MAX_FOLDER_BYTES = 50 * 1024 * 1024
MAX_FOLDER_FILES = 2_000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SKIPPED = ("__pycache__", "node_modules")
_SDK = re.compile(r"monjolo[-_.]sdk\b", re.IGNORECASE)
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")

Content = dict[str, bytes]


def builtin_sources(folder: Path) -> list[Source]:
    """Every `<id>/module.py` below `folder`."""
    if not folder.is_dir():
        return []
    names = sorted(path.parent.name for path in folder.glob("*/module.py"))
    return [Source("built-in", f"built-in/{name}", folder / name) for name in names]


def dropped_sources(folder: Path) -> list[Source]:
    """The modules in the drop-in folder: `name.py` files, and folders with module.py or pyproject.toml."""
    if not folder.is_dir():
        return []
    found = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        source = _dropped(folder / entry.name)
        if source is not None:
            found.append(source)
    return found


def _dropped(location: Path) -> Source | None:
    name = location.name
    if name.startswith((".", "_", "test_", "conftest.")):
        return None
    if name.endswith(".py"):
        return Source("file", name, location)
    if location.is_dir() and ((location / "module.py").is_file() or (location / "pyproject.toml").is_file()):
        return Source("folder", name, location)
    return None


def local_source(location: Path) -> Source:
    """A module that somebody works on, wherever it lies: for the command line."""
    path = location.absolute()
    if path.is_dir():
        return Source("folder", path.name, path)
    return Source("file", path.name, path)


def is_safe_name(name: str) -> bool:
    """May this be the name of a module's file or folder?"""
    return _NAME.fullmatch(name) is not None


def read_source(source: Source) -> Content:
    """Every file of a module, by its path inside the bundle. Raises Broken."""
    stem = source.location.name.removesuffix(".py")
    if not is_safe_name(stem):
        raise Broken(f"{source.location.name!r} is no name for a module: use letters, digits, _ and -")
    try:
        if source.origin == "file":
            return {source.location.name: _read_file(source.location, source.location.name)}
        return _read_folder(source.location)
    except FileNotFoundError as error:
        raise Broken(f"{source.path} is not there any more") from error
    except OSError as error:
        raise Broken(f"{source.path} cannot be read: {error.strerror}") from error


def _read_folder(root: Path) -> Content:
    if root.is_symlink():
        raise Broken(f"{root.name} is a symbolic link; put the folder itself here")
    content: Content = {}
    total = 0
    for folder, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        for name in [*folders, *files]:
            if (Path(folder) / name).is_symlink():
                raise Broken(f"{name} is a symbolic link; put the file itself into the folder")
        for name in sorted(files):
            if name.startswith(".") or name.endswith((".pyc", ".py.lock")):
                continue
            inside = (Path(folder) / name).relative_to(root).as_posix()
            content[inside] = _read_file(Path(folder) / name, inside, MAX_FOLDER_BYTES)
            total += len(content[inside])
            if total > MAX_FOLDER_BYTES or len(content) > MAX_FOLDER_FILES:
                raise Broken(
                    f"{root.name} is too large: at most {MAX_FOLDER_FILES} files and "
                    f"{MAX_FOLDER_BYTES // 2**20} MiB; keep data elsewhere"
                )
    return content


def _read_file(path: Path, name: str, limit: int = MAX_FILE_BYTES) -> bytes:
    """Regular files only, and never through a link that replaced one a moment ago."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        if path.is_symlink():
            raise Broken(f"{name} is a symbolic link; put the file itself here") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Broken(f"{name} is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Broken(f"{name} is larger than {limit // 2**20} MiB")
    return data


def digest_of(kind: Kind, content: Content) -> str:
    """sha256 over kind, names and bytes; lengths stand between them, so that nothing can be shifted."""
    total = hashlib.sha256(f"monjolo-bundle-1 {kind}\n".encode())
    for name in sorted(content):
        data = content[name]
        total.update(f"{len(name.encode())} {len(data)}\n".encode() + name.encode() + data)
    return total.hexdigest()


def kind_of(source: Source) -> Kind:
    return "builtin" if source.origin == "built-in" else source.origin


def entry_of(kind: Kind, content: Content, tree: Path) -> Entry:
    """How the bundle unpacked at `tree` is loaded, from its pyproject.toml or script block. Raises Broken."""
    if kind == "file":
        (name,) = content
        return Entry(kind, tree / name, script_requirements(name, content[name]))
    requirements = Requirements()
    if "pyproject.toml" in content:
        requirements = _project_requirements(content["pyproject.toml"])
    if not requirements.dependencies and "module.py" in content:
        requirements = script_requirements("module.py", content["module.py"])
    return Entry(kind, tree, requirements)


def _project_requirements(data: bytes) -> Requirements:
    project = _toml("pyproject.toml", data).get("project", {})
    if not isinstance(project, dict):
        raise Broken("pyproject.toml: [project] must be a table")
    return _requirements("pyproject.toml", project)


def script_requirements(name: str, data: bytes) -> Requirements:
    """The PEP 723 block of a script. Raises Broken."""
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise Broken(f"{name} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    blocks = [match for match in _BLOCK.finditer(text) if match["type"] == "script"]
    if not blocks:
        return Requirements()
    if len(blocks) > 1:
        raise Broken(f"{name} has {len(blocks)} `# /// script` blocks; keep one")
    lines = blocks[0]["content"].splitlines(keepends=True)
    inner = "".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
    return _requirements(name, _toml(f"the `# /// script` block of {name}", inner.encode()))


def _toml(where: str, data: bytes) -> dict[str, object]:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Broken(f"{where} is not valid TOML: {error}") from error


def _requirements(where: str, table: dict[str, object]) -> Requirements:
    dependencies = table.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(one, str) for one in dependencies):
        raise Broken(f"{where}: dependencies must be a list of texts")
    requires = table.get("requires-python")
    if requires is not None and not isinstance(requires, str):
        raise Broken(f"{where}: requires-python must be a text such as '>=3.11'")
    for one in dependencies:
        if one.lstrip().startswith("-") or "\n" in one:
            raise Broken(f"{where}: {one!r} is no dependency")
    others = [one for one in dependencies if not _SDK.match(one)]  # the runner brings its own
    return Requirements(tuple(sorted(others)), requires)
