"""`files/restore`: what comes back, what is refused, and a target that already holds something."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from monjolo_sdk import InvalidInput, PermanentError
from monjolo_sdk.testing import Outcome, Runner

from . import restoring
from .definition import manifest_beside
from .errors import IncompleteRestore, TargetFull, UnsafeArchive, VerificationFailed
from .module import module
from .patterns import compile_patterns
from .test_module import look

runner = Runner(module)


def saved(source: Path, tmp_path: Path) -> str:
    output = runner.run_sync("backup", sources=[str(source)], target=str(tmp_path / "out")).output
    return str(output["archive"])


def restore(archive: str, target: Path, **inputs: Any) -> Outcome:
    return runner.run_sync("restore", archive=archive, target=str(target), **inputs)


def test_everything_comes_back_as_it_was(source: Path, tmp_path: Path) -> None:
    output = restore(saved(source, tmp_path), tmp_path / "back", outside_links=True).output
    assert look(tmp_path / "back" / "dados") == look(source)
    assert output["problem_count"] == output["kept_count"] == 0
    assert output["files"] == 8
    assert output["links"] == 2


def test_a_link_that_leads_outside_is_left_out_and_told(source: Path, tmp_path: Path) -> None:
    (source / "up").symlink_to("../../x")
    (source / "by-a-link").symlink_to("link/../../x")
    (source / "inside").symlink_to("../dados/-rf")
    output = restore(saved(source, tmp_path), tmp_path / "back").output
    assert {problem["path"] for problem in output["problems"]} == {"dados/dangling", "dados/up", "dados/by-a-link"}
    assert {problem["kind"] for problem in output["problems"]} == {"refused"}
    assert (tmp_path / "back/dados/inside").read_text() == "a name like an option"
    with pytest.raises(IncompleteRestore, match="3 entries"):
        restore(saved(source, tmp_path), tmp_path / "again", fail_on_problems=True)


def test_a_dry_run_verifies_counts_and_writes_nothing(source: Path, tmp_path: Path) -> None:
    archive = saved(source, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    dry = restore(archive, tmp_path / "back", dry_run=True, outside_links=True).output
    assert sorted(tmp_path.rglob("*")) == before
    real = restore(archive, tmp_path / "back", outside_links=True).output
    same = ("files", "folders", "links", "bytes", "placed", "problem_count")
    assert {name: dry[name] for name in same} == {name: real[name] for name in same}
    again = restore(archive, tmp_path / "back", dry_run=True, outside_links=True).output
    assert (again["files"], again["folders"], again["kept_count"]) == (0, 0, real["files"] + real["links"])


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.txt"], [], {"olá, ção/日本/ß.txt", os.fsdecode(b"latin-\xe9.txt")}),
        (["dados/olá*"], [], {"olá, ção/日本/ß.txt"}),
        (["日本"], [], {"olá, ção/日本/ß.txt"}),
        (["hard"], [], {"hard"}),
        ([], ["program", "hard", "link", "dangling", "a*", "*.txt", "line*", "empty"], {"-rf"}),
    ],
)
def test_patterns_name_what_comes_back(
    source: Path, tmp_path: Path, include: list[str], exclude: list[str], expected: set[str]
) -> None:
    restore(saved(source, tmp_path), tmp_path / "back", include=include, exclude=exclude)
    back = tmp_path / "back" / "dados"
    found = {str(path.relative_to(back)) for path in back.rglob("*") if path.is_file() or path.is_symlink()}
    assert found == expected
    assert all(look(back)[name] == look(source)[name] for name in expected - {"hard"})
    if "hard" in expected:
        assert (back / "hard").read_bytes() == (source / "program").read_bytes()


def test_patterns_that_name_nothing_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="name nothing"):
        restore(saved(source, tmp_path), tmp_path / "back", include=["nowhere"])
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    ("overwrite", "old", "new"),
    [("never", "mine", "mine"), ("newer", "saved", "mine"), ("always", "saved", "saved")],
)
def test_overwriting_is_never_newer_or_always(tmp_path: Path, overwrite: str, old: str, new: str) -> None:
    source, back = tmp_path / "dados", tmp_path / "back" / "dados"
    source.mkdir()
    back.mkdir(parents=True)
    for name, seconds in (("old", -10), ("new", 10)):
        (source / name).write_text("saved")
        os.utime(source / name, (1_000_000_000, 1_000_000_000))
        (back / name).write_text("mine")
        os.utime(back / name, (1_000_000_000 + seconds, 1_000_000_000 + seconds))
    output = restore(saved(source, tmp_path), tmp_path / "back", overwrite=overwrite).output
    assert ((back / "old").read_text(), (back / "new").read_text()) == (old, new)
    assert output["kept_count"] == [old, new].count("mine")
    assert {path.name for path in back.iterdir()} == {"new", "old"}


def test_nothing_is_written_through_what_stands_in_the_target(source: Path, tmp_path: Path) -> None:
    archive, outside = saved(source, tmp_path), tmp_path / "outside"
    outside.mkdir()
    back = tmp_path / "back"
    back.mkdir()
    (back / "dados").symlink_to(outside)
    output = restore(archive, back, overwrite="always").output
    assert list(outside.iterdir()) == []
    assert output["files"] == 0
    assert {problem["kind"] for problem in output["problems"]} == {"blocked", "refused"}
    (back / "dados").unlink()
    (back / "dados").mkdir()
    (outside / "victim").write_text("precious")
    (back / "dados" / "-rf").symlink_to(outside / "victim")
    (back / "dados" / "empty").mkdir()
    output = restore(archive, back, overwrite="always").output
    assert (outside / "victim").read_text() == "precious"
    assert (back / "dados" / "-rf").read_text() == "a name like an option"
    assert ("dados/empty", "blocked") in {(problem["path"], problem["kind"]) for problem in output["problems"]}


def forged(folder: Path, entries: list[tuple[tarfile.TarInfo, bytes]]) -> str:
    """An archive with a manifest and checksums that all agree with it, as an attacker would make them."""
    folder.mkdir(exist_ok=True)
    bare, lines = io.BytesIO(), []
    kinds = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hardlink"}
    with tarfile.open(fileobj=bare, mode="w") as tar:
        for info, content in entries:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            kind = kinds.get(info.type, "special")
            record: dict[str, Any] = {"path": info.name, "kind": kind, "mode": f"{info.mode:04o}", "mtime_ns": 0}
            record |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()} if kind == "file" else {}
            record |= {"target": info.linkname} if kind in ("link", "hardlink") else {}
            lines.append(record)
    packed = zstandard.ZstdCompressor().compress(bare.getvalue())
    archive = folder / "x-20260101T000000Z.tar.zst"
    archive.write_bytes(packed)
    digest = hashlib.sha256(packed).hexdigest()
    head = {"format": "monjolo/backup/v1", "created_at": "2026-01-01T00:00:00Z", "sources": {}}
    end = {"end": True, "entries": len(lines), "archive": archive.name, "size": len(packed), "sha256": digest}
    end["tar_size"] = len(bare.getvalue())
    manifest = folder / "x-20260101T000000Z.manifest.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in (head, *lines, end)))
    sums = f"{digest}  {archive.name}\n{hashlib.sha256(manifest.read_bytes()).hexdigest()}  {manifest.name}\n"
    (folder / "x-20260101T000000Z.sha256").write_text(sums)
    return str(archive)


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b"evil" if kind == tarfile.REGTYPE else b""


FOLDER, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize(
    "entries",
    [
        [entry("../evil")],
        [entry("/tmp/evil")],
        [entry("d", FOLDER), entry("d/../../evil")],
        [entry("d", FOLDER), entry("d//evil")],
        [entry("d", LINK, "/tmp"), entry("d/evil")],
        [entry("d/evil")],
        [entry("evil", HARD, "/etc/passwd")],
        [entry("evil", HARD, "../secret")],
        [entry("s", LINK, "/etc/passwd"), entry("evil", HARD, "s")],
        [entry("evil", tarfile.CHRTYPE)],
        [entry("evil", tarfile.FIFOTYPE)],
        [entry(".")],
    ],
    ids=lambda entries: " ".join(f"{info.name}>{info.linkname}" for info, _ in entries),
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_an_archive_that_reaches_outside_is_refused_whole(
    tmp_path: Path, entries: list[tuple[tarfile.TarInfo, bytes]], dry_run: bool
) -> None:
    archive = forged(tmp_path / "out", [entry("first"), *entries])
    with pytest.raises(UnsafeArchive, match="nothing was put in place"):
        restore(archive, tmp_path / "a" / "back", dry_run=dry_run, overwrite="always")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_forged_archive_that_stays_inside_is_taken(tmp_path: Path) -> None:
    archive = forged(tmp_path / "out", [entry("d", FOLDER), entry("d/f"), entry("h", HARD, "d/f")])
    assert restore(archive, tmp_path / "back").output["files"] == 2
    assert (tmp_path / "back/h").stat().st_ino == (tmp_path / "back/d/f").stat().st_ino


@pytest.mark.parametrize("spoilt", ["archive", "sums", "manifest"])
def test_what_does_not_agree_is_not_put_in_place(source: Path, tmp_path: Path, spoilt: str) -> None:
    archive = Path(saved(source, tmp_path))
    stem = archive.name.removesuffix(".tar.zst")
    if spoilt == "archive":
        data = bytearray(archive.read_bytes())
        data[len(data) // 2] ^= 0xFF
        archive.write_bytes(data)
    elif spoilt == "sums":
        (archive.parent / f"{stem}.sha256").write_text("0" * 64 + f"  {stem}.manifest.jsonl\n")
    else:
        manifest = archive.parent / f"{stem}.manifest.jsonl"
        manifest.write_text(manifest.read_text().replace('"mode":"0644"', '"mode":"0777"', 1))
    with pytest.raises(VerificationFailed, match="nothing was put in place"):
        restore(str(archive), tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("other", [(tarfile.TarInfo("good"), b"EVIL"), entry("good", LINK, "/etc"), entry("bad")])
def test_an_archive_that_changes_after_it_was_verified_leaves_no_wrong_file(
    tmp_path: Path, other: tuple[tarfile.TarInfo, bytes]
) -> None:
    archive = Path(forged(tmp_path / "out", [entry("good")]))
    manifest = manifest_beside(archive)
    archive.write_bytes(Path(forged(tmp_path / "other", [other])).read_bytes())
    chosen = restoring.choose(manifest, None, compile_patterns([]))
    order = restoring.Order(tmp_path / "back", chosen, "always", False, False)
    with pytest.raises(VerificationFailed, match="changed while it was read"):
        restoring.put_back(archive, manifest, order, lambda read, path: None)
    assert list((tmp_path / "back").iterdir()) == []


def test_a_full_disk_leaves_whole_files_only(source: Path, tmp_path: Path, small_disk: Path) -> None:
    (source / "hard").unlink()
    (source / "program").write_bytes(bytes(3_000_000))  # its archive is small
    with pytest.raises(TargetFull, match="no half file"):
        restore(saved(source, tmp_path), small_disk)
    there = {path.name for path in small_disk.rglob("*") if path.is_file()}
    assert "program" not in there
    assert not any(name.endswith(".partial") for name in there)
    assert (small_disk / "dados" / "-rf").read_text() == "a name like an option"


def test_what_a_killed_restore_left_is_cleared(source: Path, tmp_path: Path) -> None:
    left = tmp_path / "back" / "dados" / ".monjolo-0123456789abcdef.partial"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    restore(saved(source, tmp_path), tmp_path / "back")
    assert not left.exists()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [({"target": "relative"}, "not an absolute path"), ({"overwrite": "sometimes"}, "overwrite")],
)
def test_bad_inputs_are_refused(source: Path, tmp_path: Path, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        runner.run_sync("restore", {"archive": saved(source, tmp_path), "target": str(tmp_path / "b"), **inputs})
