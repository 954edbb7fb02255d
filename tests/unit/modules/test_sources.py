"""Reading modules from disk: what counts as one, what is refused, and what names its content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monjolo.domains.modules.bundles import BundleStore
from monjolo.domains.modules.models import Broken, Source
from monjolo.domains.modules.sources import (
    MAX_FILE_BYTES,
    digest_of,
    dropped_sources,
    entry_of,
    read_source,
    script_requirements,
)


def _file(folder: Path, name: str, data: bytes = b"x = 1\n") -> Source:
    (folder / name).write_bytes(data)
    return Source("file", name, folder / name)


def test_the_folder_holds_files_and_folders_and_what_editors_leave_is_ignored(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", ".a.py.swp", ".#a.py", "a.py~", "_draft.py", "test_a.py", "conftest.py", "4913"):
        (tmp_path / name).write_text("", encoding="utf-8")
    for name in ("with_module", "with_project", "with_nothing", "__pycache__", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / "with_module" / "module.py").touch()
    (tmp_path / "with_project" / "pyproject.toml").touch()
    found = [(source.path, source.origin) for source in dropped_sources(tmp_path)]
    assert found == [("a.py", "file"), ("b.py", "file"), ("with_module", "folder"), ("with_project", "folder")]
    assert dropped_sources(tmp_path / "absent") == []


def test_the_digest_depends_on_names_bytes_and_kind_and_on_nothing_else() -> None:
    one = digest_of("folder", {"a.py": b"1", "b.py": b"2"})
    assert one == digest_of("folder", {"b.py": b"2", "a.py": b"1"})
    others = [
        digest_of("builtin", {"a.py": b"1", "b.py": b"2"}),
        digest_of("folder", {"a.py": b"12", "b.py": b""}),
        digest_of("folder", {"a.py1": b"", "b.py": b"2"}),
        digest_of("folder", {"a.py": b"1"}),
    ]
    assert len({one, *others}) == 5


def test_what_is_no_plain_small_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "link.py").symlink_to(tmp_path / "real.py")
    for name, said in (("pipe.py", "no regular file"), ("folder.py", "no regular file"), ("link.py", "symbolic")):
        with pytest.raises(Broken, match=said):
            read_source(Source("file", name, tmp_path / name))
    with pytest.raises(Broken, match="larger than 1 MiB"):
        read_source(_file(tmp_path, "big.py", b"#" * (MAX_FILE_BYTES + 1)))
    with pytest.raises(Broken, match="not there any more"):
        read_source(Source("file", "gone.py", tmp_path / "gone.py"))
    with pytest.raises(Broken, match="no name for a module"):
        read_source(_file(tmp_path, "what is this.py"))


def test_a_folder_is_read_without_caches_and_hidden_files(tmp_path: Path) -> None:
    root = tmp_path / "site"
    for name in ("module.py", "part/inner.py", ".env", ".git/config", "__pycache__/module.cpython-311.pyc"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("", encoding="utf-8")
    assert sorted(read_source(Source("folder", "site", root))) == ["module.py", "part/inner.py"]


def test_a_bundle_is_kept_once_and_never_changes(tmp_path: Path) -> None:
    store = BundleStore(tmp_path / "bundles")
    digest, entry = store.put("file", {"a.py": b"x = 1\n"})
    assert entry.root.read_bytes() == b"x = 1\n"
    assert entry.root.stat().st_mode & 0o222 == 0
    assert store.put("file", {"a.py": b"x = 1\n"}) == (digest, entry)
    assert store.entry(digest) == entry
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [digest]
    assert store.file(digest, "a.py") == b"x = 1\n"
    for name in ("../bundle.json", "/etc/passwd", "b.py", ""):
        assert store.file(digest, name) is None
    for bad in ("../" + digest, "", digest[:-1], digest.upper()):
        with pytest.raises(Broken):
            store.entry(bad)


def test_the_script_block_gives_the_dependencies() -> None:
    text = b'# /// script\r\n# requires-python = ">=3.11"\r\n# dependencies = ["b", "a>=1"]\r\n# ///\r\n"""Doc"""\n'
    found = script_requirements("a.py", text)
    assert (found.dependencies, found.requires_python) == (("a>=1", "b"), ">=3.11")
    assert script_requirements("a.py", b"# /// other\n# x = 1\n# ///\n").dependencies == ()
    assert script_requirements("a.py", b'# /// script\n# dependencies = ["monjolo-sdk"]\n# ///\n').dependencies == ()
    with pytest.raises(Broken, match="2 `# /// script` blocks"):
        script_requirements("a.py", b"# /// script\n# a = 1\n# ///\nx = 1\n# /// script\n# a = 1\n# ///\n")
    with pytest.raises(Broken, match="not UTF-8"):
        script_requirements("a.py", b"\xff\xfe")


def test_a_project_gives_its_dependencies_without_the_sdk(tmp_path: Path) -> None:
    project = b'[project]\nname = "x"\ndependencies = ["monjolo-sdk>=0.1", "rich"]\nrequires-python = ">=3.11"\n'
    entry = entry_of("folder", {"pyproject.toml": project, "module.py": b""}, tmp_path)
    assert entry.requirements.dependencies == ("rich",)
    for bad in (b"project = 3\n", b"[project\n", b'[project]\ndependencies = "rich"\n'):
        with pytest.raises(Broken, match=r"pyproject\.toml"):
            entry_of("folder", {"pyproject.toml": bad, "module.py": b""}, tmp_path)
