"""`files` against real folders, the system's own tar and zstd, and a disk that is really full."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monjolo_sdk import InvalidInput, PermanentError
from monjolo_sdk.testing import Outcome, Runner

from . import archive as archive_writer
from . import rotation, tree
from .errors import IncompleteBackup, TargetFull, VerificationFailed
from .manifest import manifest_of, read_manifest
from .module import module
from .patterns import compile_patterns

runner = Runner(module)


def backup(**inputs: Any) -> Outcome:
    return runner.run_sync("backup", inputs)


def look(folder: Path) -> dict[str, tuple[Any, ...]]:
    """All that must survive: kind, mode, time, content, where links point, which files are one."""
    seen: dict[str, tuple[Any, ...]] = {}
    inodes: dict[int, str] = {}
    for base, folders, files in os.walk(folder):
        for name in sorted([*folders, *files, "."]):
            path = Path(base, name)
            status = path.lstat()
            shape: Any = None
            if path.is_symlink():
                shape = str(path.readlink())
            elif path.is_file():
                shape = (path.read_bytes(), inodes.setdefault(status.st_ino, str(path.relative_to(folder))))
            time = None if path.is_symlink() else status.st_mtime_ns
            seen[str(path.relative_to(folder))] = (status.st_mode, time, shape)
    return seen


def unpack(archive: str, into: Path) -> None:
    into.mkdir()
    subprocess.run(["tar", "--zstd", "-xpf", archive, "-C", str(into)], check=True, capture_output=True)


def test_a_backup_unpacks_byte_for_byte_with_the_systems_own_tar(source: Path, tmp_path: Path) -> None:
    outcome = backup(sources=[str(source)], target=str(tmp_path / "out"))
    unpack(outcome.output["archive"], tmp_path / "back")
    assert look(tmp_path / "back" / "dados") == look(source)
    assert outcome.output["problem_count"] == 0
    assert outcome.output["links"] == 2
    assert outcome.progress[-1]["done"] == outcome.progress[-1]["total"]


def test_the_checksums_agree_with_the_systems_own_sha256sum(source: Path, tmp_path: Path) -> None:
    output = backup(sources=[str(source)], target=str(tmp_path / "out")).output
    done = subprocess.run(
        ["sha256sum", "-c", output["checksums"]],
        cwd=tmp_path / "out",
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.count(": OK") == 2
    items = read_manifest(Path(output["manifest"])).items
    assert items["dados/program"].sha256 == hashlib.sha256((source / "program").read_bytes()).hexdigest() or (
        items["dados/program"].kind == "hardlink"
    )
    assert hashlib.sha256(Path(output["archive"]).read_bytes()).hexdigest() == output["sha256"]


def test_a_fresh_backup_verifies_and_nothing_is_unpacked(source: Path, tmp_path: Path) -> None:
    output = backup(sources=[str(source)], target=str(tmp_path / "out")).output
    before = sorted(tmp_path.rglob("*"))
    verified = runner.run_sync("verify", archive=str(tmp_path / "out"), name="dados").output
    assert verified["ok"]
    assert verified["files"] == output["files"] - 1  # the hard link has no content of its own
    assert verified["sha256"] == output["sha256"]
    assert sorted(tmp_path.rglob("*")) == before


def test_several_folders_of_one_name_stand_side_by_side(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place / "src").mkdir(parents=True)
        (tmp_path / place / "src" / "f").write_text(place)
    sources = [str(tmp_path / "one/src"), str(tmp_path / "two/src"), str(tmp_path / "one/src/f")]
    output = backup(sources=sources, target=str(tmp_path / "out"), name="both").output
    unpack(output["archive"], tmp_path / "back")
    assert (tmp_path / "back/src/f").read_text() == "one"
    assert (tmp_path / "back/src-2/f").read_text() == "two"
    assert (tmp_path / "back/f").read_text() == "one"


@pytest.mark.parametrize(
    ("pattern", "left_out"),
    [
        ("*.pyc", {"a.pyc", "lib/b.pyc"}),
        ("lib", {"lib", "lib/b.pyc", "lib/c", "lib/lib"}),
        ("lib/", {"lib", "lib/b.pyc", "lib/c", "lib/lib"}),
        ("/c", {"c"}),
        ("lib/*", {"lib/b.pyc", "lib/c", "lib/lib"}),
        ("**/c", {"c", "lib/c"}),
        ("lib/**/c", {"lib/c"}),
        ("", set()),
        ("C", set()),
        ("[", set()),
    ],
)
def test_exclude_patterns_leave_out_what_they_name(tmp_path: Path, pattern: str, left_out: set[str]) -> None:
    (tmp_path / "lib").mkdir()
    for name in ("a.pyc", "c", "lib/b.pyc", "lib/c", "lib/lib"):
        (tmp_path / name).touch()
    everything = {entry.path for entry in tree.walk(tmp_path, compile_patterns([]), lambda problem: None)}
    kept = {entry.path for entry in tree.walk(tmp_path, compile_patterns([pattern]), lambda problem: None)}
    assert everything - kept == left_out


def test_a_hostile_pattern_costs_nothing() -> None:
    excluded = compile_patterns(["**/" * 40 + "*a*a*a*a*a*a*b", "*a" * 40])
    assert not excluded("/".join(["a" * 100] * 40) + "c", False)


def test_a_target_inside_the_source_is_refused_unless_excluded(source: Path) -> None:
    inside = source / "vazia" / "backups"
    with pytest.raises(InvalidInput, match="lies inside the source"):
        backup(sources=[str(source)], target=str(inside))
    with pytest.raises(InvalidInput, match="lies inside the source"):
        backup(sources=[str(source)], target=str(source), exclude=["*"])
    for _ in range(2):
        output = backup(sources=[str(source)], target=str(inside), exclude=["vazia/backups"], allow_empty=True).output
    assert not any("backups" in path for path in read_manifest(Path(output["manifest"])).items)


def test_a_target_that_reaches_into_the_source_by_a_link_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(source / "vazia")
    with pytest.raises(InvalidInput, match="lies inside"):
        backup(sources=[str(source)], target=str(tmp_path / "elsewhere"))


def test_rotation_keeps_what_any_rule_keeps_and_touches_nothing_else(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    now = datetime.now(UTC)
    for days in (1, 2, 5, 40, 400):
        stem = f"dados-{now - timedelta(days=days):%Y%m%dT%H%M%SZ}"
        for suffix in (".tar.zst", ".manifest.jsonl", ".sha256"):
            (out / (stem + suffix)).touch()
    others = ["other-20200101T000000Z.tar.zst", "dados-extra-20200101T000000Z.tar.zst", "dados.tar.zst"]
    for name in others:
        (out / name).touch()
    output = backup(sources=[str(source)], target=str(out), keep=3, keep_days=7).output
    assert len(output["removed"]) == 2
    ages = sorted((now - moment).days for moment, _ in rotation.archives_of(out, "dados"))
    assert [age for age in ages if age >= 0][-3:] == [1, 2, 5] or ages[-3:] == [1, 2, 5]
    assert len(list(out.glob("*.manifest.jsonl"))) == 4
    assert all((out / name).exists() for name in others)


def test_without_a_rule_nothing_is_removed(source: Path, tmp_path: Path) -> None:
    for _ in range(3):
        assert backup(sources=[str(source)], target=str(tmp_path / "out")).output["removed"] == []
    assert len(rotation.archives_of(tmp_path / "out", "dados")) == 3


def test_keep_one_leaves_the_archive_just_made(source: Path, tmp_path: Path) -> None:
    outputs = [backup(sources=[str(source)], target=str(tmp_path / "out"), keep=1).output for _ in range(3)]
    assert [path for _, path in rotation.archives_of(tmp_path / "out", "dados")] == [Path(outputs[-1]["archive"])]


def test_a_folder_without_files_is_refused_for_a_disk_may_not_be_mounted(tmp_path: Path) -> None:
    (tmp_path / "mount" / "point").mkdir(parents=True)
    with pytest.raises(PermanentError, match="not a single file"):
        backup(sources=[str(tmp_path / "mount")], target=str(tmp_path / "out"))
    output = backup(sources=[str(tmp_path / "mount")], target=str(tmp_path / "out"), allow_empty=True).output
    assert output["folders"] == 2


def test_sockets_and_pipes_are_listed_and_never_opened(source: Path, tmp_path: Path) -> None:
    os.mkfifo(source / "pipe")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(os.path.relpath(source / "socket"))
        output = backup(sources=[str(source)], target=str(tmp_path / "out")).output
    assert {(item["path"], item["kind"]) for item in output["problems"]} == {
        ("dados/pipe", "skipped"),
        ("dados/socket", "skipped"),
    }


class _Meddler:
    """Changes the source while the archive is written: what a busy folder does."""

    def __init__(self, at: str, act: Any) -> None:
        self.at, self.act, self.done = at, act, False

    def __call__(self, made: archive_writer.Made, path: str) -> None:
        if path == self.at and not self.done:
            self.done = True
            self.act()


def _plan(source: Path, target: Path) -> archive_writer.Plan:
    target.mkdir(exist_ok=True)
    return archive_writer.Plan({"dados": source}, target, "dados", compile_patterns([]), 3, datetime.now(UTC))


def test_a_file_that_vanishes_or_a_folder_that_is_swapped_is_reported(tmp_path: Path) -> None:
    source = tmp_path / "dados"
    for name in ("a", "b", "c"):
        (source / name).mkdir(parents=True)
        (source / name / "file").write_text(name)
        (source / name / "again").write_text(name)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("not yours")

    def meddle() -> None:
        (source / "a" / "file").unlink()
        shutil.rmtree(source / "b")
        (source / "b").symlink_to(tmp_path / "secret")

    made = archive_writer.write_archive(_plan(source, tmp_path / "out"), _Meddler("dados/a/again", meddle))
    assert {problem.path: problem.kind for problem in made.problems} == {
        "dados/a/file": "vanished",
        "dados/b": "vanished",
    }
    items = read_manifest(manifest_of(made.archive)).items
    assert "dados/b/key" not in items
    assert "dados/a/file" not in items
    assert "dados/a/again" in items
    assert "dados/c/file" in items


def test_a_file_that_grows_or_shrinks_while_it_is_read_is_reported_and_the_archive_is_whole(
    tmp_path: Path,
) -> None:
    source = tmp_path / "dados"
    source.mkdir()
    (source / "grows").write_bytes(b"x" * 5_000_000)
    (source / "shrinks").write_bytes(b"y" * 5_000_000)

    def meddle(made: archive_writer.Made, path: str) -> None:
        if path == "dados/grows":
            with (source / "grows").open("ab") as file:
                file.write(b"more")
        elif path == "dados/shrinks":
            os.truncate(source / "shrinks", 1_500_000)

    made = archive_writer.write_archive(_plan(source, tmp_path / "out"), meddle)
    assert {item.path: item.kind for item in made.problems} == {
        "dados/grows": "changed",
        "dados/shrinks": "shrank",
    }
    output = {"archive": str(made.archive)}
    assert runner.run_sync("verify", archive=output["archive"]).output["ok"]
    subprocess.run(["tar", "--zstd", "-tf", output["archive"]], check=True, capture_output=True)


def test_fail_on_problems_leaves_no_archive(source: Path, tmp_path: Path) -> None:
    os.mkfifo(source / "pipe")
    with pytest.raises(IncompleteBackup, match="pipe was not saved whole"):
        backup(sources=[str(source)], target=str(tmp_path / "out"), fail_on_problems=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_gives_a_clear_error_and_leaves_nothing(source: Path, small_disk: Path) -> None:
    with pytest.raises(TargetFull, match=r"no room left.*nothing was left"):
        backup(sources=[str(source)], target=str(small_disk))
    assert list(small_disk.iterdir()) == []


def test_what_a_killed_backup_left_is_cleared_and_what_another_writes_is_not(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    abandoned = out / ".dados-20200101T000000Z.tar.zst.partial"
    abandoned.write_text("half")
    foreign = out / ".other-20200101T000000Z.tar.zst.partial"
    foreign.write_text("half")
    busy = archive_writer._Target(out / ".dados-20210101T000000Z.tar.zst.partial")
    outcome = backup(sources=[str(source)], target=str(out))
    busy.close()
    assert not abandoned.exists()
    assert foreign.exists()
    assert (out / ".dados-20210101T000000Z.tar.zst.partial").exists()
    assert "removed what an interrupted backup left" in outcome.texts


def _spoilt(archive: Path, how: str) -> None:
    data = bytearray(archive.read_bytes())
    if how == "flip":
        data[len(data) // 2] ^= 0xFF
    elif how == "cut":
        del data[len(data) // 2 :]
    archive.write_bytes(data)


@pytest.mark.parametrize("how", ["flip", "cut"])
def test_damage_to_the_archive_is_found(source: Path, tmp_path: Path, how: str) -> None:
    output = backup(sources=[str(source)], target=str(tmp_path / "out")).output
    _spoilt(Path(output["archive"]), how)
    with pytest.raises(VerificationFailed, match="not what its manifest says"):
        runner.run_sync("verify", archive=output["archive"])
    found = runner.run_sync("verify", archive=output["archive"], fail_on_difference=False).output
    assert not found["ok"]
    assert found["damage"]


def test_an_archive_made_anew_with_other_files_is_found_out(source: Path, tmp_path: Path) -> None:
    output = backup(sources=[str(source)], target=str(tmp_path / "out")).output
    (source / "empty").write_text("no longer")
    (source / "-rf").unlink()
    (source / "new").touch()
    pipeline = f"tar -cf - -C '{tmp_path}' dados | zstd -q -f -o '{output['archive']}'"
    subprocess.run(["bash", "-c", pipeline], check=True)
    found = runner.run_sync("verify", archive=output["archive"], fail_on_difference=False).output
    assert found["missing"] == ["dados/-rf"]
    assert {"path": "dados/empty", "difference": "it has 9 bytes and had 0"} in found["changed"]
    assert "dados/new" in found["extra"]


def test_a_bomb_is_not_read_beyond_what_was_announced(source: Path, tmp_path: Path) -> None:
    output = backup(sources=[str(source)], target=str(tmp_path / "out")).output
    with (tmp_path / "zeros").open("wb") as file:
        file.truncate(300_000_000)
    pipeline = f"tar -cf - -C '{tmp_path}' zeros | zstd -q -f -o '{output['archive']}'"
    subprocess.run(["bash", "-c", pipeline], check=True)
    found = runner.run_sync("verify", archive=output["archive"], fail_on_difference=False).output
    assert any("more than its manifest announced" in text for text in found["damage"])


@pytest.mark.parametrize("lines", [0, 1, -1])
def test_a_manifest_that_is_not_whole_is_refused(source: Path, tmp_path: Path, lines: int) -> None:
    output = backup(sources=[str(source)], target=str(tmp_path / "out")).output
    manifest = Path(output["manifest"])
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(keepends=True)[:lines]))
    with pytest.raises(VerificationFailed, match=r"cut short|not a manifest"):
        runner.run_sync("verify", archive=output["archive"])


def test_a_forged_manifest_does_not_match_its_checksum(source: Path, tmp_path: Path) -> None:
    output = backup(sources=[str(source)], target=str(tmp_path / "out")).output
    manifest = Path(output["manifest"])
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([lines[0].replace("dados", "other"), *lines[1:]]) + "\n")
    found = runner.run_sync("verify", archive=output["archive"], fail_on_difference=False).output
    assert any("checksum of" in text and "manifest" in text for text in found["damage"])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"sources": ["relative"], "target": "/tmp/x"}, "not an absolute path"),
        ({"sources": ["/no/such/folder"], "target": "/tmp/x"}, "No such file"),
        ({"sources": ["/etc"], "target": ""}, "not an absolute path"),
        ({"sources": ["/etc"], "target": "/tmp/x", "name": "../up"}, "use letters"),
        ({"sources": ["/e\0tc"], "target": "/tmp/x"}, "zero byte"),
        ({"sources": [], "target": "/tmp/x"}, "sources"),
    ],
)
def test_bad_inputs_are_refused_by_name(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        backup(**inputs)


def test_changes_are_told_once(source: Path) -> None:
    state: dict[str, Any] = {}

    def look_again(**inputs: Any) -> Any:
        outcome = Runner(module, state=state).run_sync("changes", {"folder": str(source), **inputs})
        state.update(json.loads(json.dumps(outcome.state)))
        return outcome.output

    first = look_again()
    assert first["first_look"]
    assert not first["any"]
    assert not look_again()["any"]
    (source / "novo").mkdir()
    (source / "novo" / "x").touch()
    (source / "empty").write_text("now full")
    (source / "-rf").unlink()
    third = look_again()
    assert third["created"] == ["novo", "novo/x"]
    assert third["changed"] == ["empty"]
    assert third["deleted"] == ["-rf"]
    assert not look_again()["any"]
    assert look_again(exclude=["*.tmp"])["first_look"]


def test_changes_by_content_see_what_size_and_time_hide(source: Path) -> None:
    state: dict[str, Any] = {}

    def look_again(compare: str) -> Any:
        outcome = Runner(module, state=state).run_sync("changes", folder=str(source), compare=compare)
        state.update(outcome.state)
        return outcome.output

    look_again("content")
    status = (source / "line\nbreak").stat()
    (source / "line\nbreak").write_text("y")
    os.utime(source / "line\nbreak", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert look_again("content")["changed"] == ["line\nbreak"]


def test_a_folder_too_large_to_remember_is_refused(source: Path) -> None:
    with pytest.raises(PermanentError, match="more than 5 entries"):
        runner.run_sync("changes", folder=str(source), max_entries=5)
