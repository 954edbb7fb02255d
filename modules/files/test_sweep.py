"""`files/sweep`: what it finds, and that it takes nothing that it should not."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from monjolo_sdk import InvalidInput
from monjolo_sdk.testing import Outcome, Runner

from . import sweeping
from .errors import TargetFull
from .module import module
from .patterns import compile_patterns

runner = Runner(module)
DAY = 86_400


def sweep(folder: Path, **inputs: Any) -> Outcome:
    return runner.run_sync("sweep", {"folder": str(folder), **inputs})


def listed(outcome: Outcome) -> list[dict[str, Any]]:
    return [json.loads(line) for line in outcome.artifacts["sweep.jsonl"].splitlines()]


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


@pytest.fixture
def heap(tmp_path: Path) -> Path:
    """Files of different ages and sizes, and links that lead out."""
    folder = tmp_path / "heap"
    (folder / "logs" / "app").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "old.log").write_text("not yours")
    sizes = {"logs/old.log": 5, "logs/app/old.log": 2000, "logs/new.log": 5, "old.txt": 70_000, "new.txt": 0}
    for name, size in sizes.items():
        (folder / name).write_bytes(b"x" * size)
        if "old" in name:
            os.utime(folder / name, (time.time() - 40 * DAY,) * 2)
    os.utime(tmp_path / "outside" / "old.log", (0, 0))
    (folder / "way-out").symlink_to(tmp_path / "outside")
    (folder / "old-link.log").symlink_to(tmp_path / "outside" / "old.log")
    return folder


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, {"logs/old.log", "logs/app/old.log", "logs/new.log", "old.txt", "new.txt"}),
        ({"older_than": "30d"}, {"logs/old.log", "logs/app/old.log", "old.txt"}),
        ({"older_than": "41d"}, set()),
        ({"newer_than": "2w"}, {"logs/new.log", "new.txt"}),
        ({"min_size": "2000"}, {"logs/app/old.log", "old.txt"}),
        ({"min_size": "1KiB", "max_size": "64KiB"}, {"logs/app/old.log"}),
        ({"include": ["*.log"]}, {"logs/old.log", "logs/app/old.log", "logs/new.log"}),
        ({"include": ["logs"], "exclude": ["app/"]}, {"logs/old.log", "logs/new.log"}),
        ({"include": ["**/app/*.log", "*.txt"], "older_than": "4w12d"}, {"logs/app/old.log", "old.txt"}),
    ],
)
def test_every_condition_that_is_given_must_hold(heap: Path, conditions: dict[str, Any], expected: set[str]) -> None:
    if conditions.get("older_than") == "4w12d":
        conditions = {**conditions, "older_than": "4w11d"}
    before = names(heap)
    outcome = sweep(heap, **conditions)
    assert set(outcome.output["paths"]) == {line["path"] for line in listed(outcome)} == expected
    assert outcome.output["found"] == len(expected)
    assert outcome.output["found_bytes"] == sum((heap / name).stat().st_size for name in expected)
    assert outcome.output["scanned"] == 5 - len([1 for name in conditions.get("exclude", ()) if name == "app/"])
    assert names(heap) == before


@pytest.mark.parametrize("action", ["delete", "move"])
def test_move_and_delete_only_tell_unless_dry_run_is_switched_off(heap: Path, tmp_path: Path, action: str) -> None:
    before = names(heap)
    output = sweep(heap, action=action, older_than="30d", move_to=str(tmp_path / "attic")).output
    assert output["dry_run"]
    assert (output["found"], output["done"]) == (3, 0)
    assert names(heap) == before
    assert not (tmp_path / "attic").exists()


def test_delete_takes_what_was_found_and_follows_no_link(heap: Path, tmp_path: Path) -> None:
    outcome = sweep(heap, action="delete", include=["*.log"], older_than="30d", dry_run=False)
    assert names(heap) == {"logs/new.log", "old.txt", "new.txt", "way-out", "old-link.log"}
    assert (tmp_path / "outside" / "old.log").exists()
    assert (outcome.output["done"], outcome.output["done_bytes"]) == (2, 2005)
    assert {line["result"] for line in listed(outcome)} == {"deleted"}


def test_move_keeps_relative_paths_and_never_overwrites(heap: Path, tmp_path: Path) -> None:
    attic = tmp_path / "attic"
    (attic / "logs").mkdir(parents=True)
    (attic / "logs" / "old.log").write_text("older still")
    (heap / "logs" / "app").chmod(0o750)
    mtime = (heap / "old.txt").stat().st_mtime_ns
    outcome = sweep(heap, action="move", older_than="30d", move_to=str(attic), dry_run=False)
    assert names(attic) == {"logs/old.log", "logs/app/old.log", "old.txt"}
    assert (attic / "logs" / "old.log").read_text() == "older still"
    assert (heap / "logs" / "old.log").exists()
    assert (attic / "old.txt").stat().st_mtime_ns == mtime
    assert (attic / "logs" / "app").stat().st_mode & 0o777 == 0o750
    assert [(problem["path"], problem["kind"]) for problem in outcome.output["problems"]] == [
        ("logs/old.log", "exists")
    ]
    assert {line["path"]: line["result"] for line in listed(outcome)} == {
        "logs/old.log": "exists", "logs/app/old.log": "moved", "old.txt": "moved",
    }  # fmt: skip


def test_a_move_to_a_full_disk_loses_nothing(heap: Path, small_disk: Path) -> None:
    (heap / "big").write_bytes(b"x" * 3_000_000)
    with pytest.raises(TargetFull, match="no room left"):
        sweep(heap, action="move", move_to=str(small_disk), dry_run=False)
    assert (heap / "big").stat().st_size == 3_000_000
    assert not [name for name in names(small_disk) if "big" in name or "partial" in name]


def test_a_move_to_another_disk_is_whole(heap: Path, small_disk: Path) -> None:
    (heap / "old.txt").chmod(0o640)
    mtime = (heap / "old.txt").stat().st_mtime_ns
    assert sweep(heap, action="move", move_to=str(small_disk), dry_run=False).output["done"] == 5
    moved = (small_disk / "old.txt").stat()
    assert (moved.st_size, moved.st_mtime_ns, moved.st_mode & 0o777) == (70_000, mtime, 0o640)
    assert names(heap) == {"way-out", "old-link.log"}


def test_duplicates_are_further_copies_and_the_oldest_stays(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    for number, name in enumerate(["z-first", "b/copy", "copy-2"]):
        (folder / name).write_text("same content")
        os.utime(folder / name, (1_000_000 + number, 1_000_000 + number))
    (folder / "same-size").write_text("same_content")
    (folder / "hard").hardlink_to(folder / "z-first")
    for name in ("empty-1", "empty-2"):
        (folder / name).touch()
    found = sweep(folder, duplicates=True)
    assert found.output["paths"] == ["b/copy", "copy-2"]
    assert found.output["duplicate_groups"] == 1
    assert {line["same_as"] for line in listed(found)} <= {"z-first", "hard"}
    assert sweep(folder, duplicates=True, action="delete", dry_run=False).output["done"] == 2
    assert names(folder) == {"z-first", "hard", "same-size", "empty-1", "empty-2"}
    assert sweep(folder, duplicates=True).output["found"] == 0


class _Meddler:
    """Changes the folder while the sweep acts: what a busy folder does."""

    def __init__(self, act: Any) -> None:
        self.act, self.acting = act, False

    def __call__(self, count: int, path: str) -> None:
        if self.acting:
            self.acting = False
            self.act()


def swept(folder: Path, notes: Path, meddle: Any, *, duplicates: bool = False) -> sweeping.Swept:
    meddler = _Meddler(meddle)
    work = sweeping.Sweep(folder, notes / "notes.db", meddler)
    work.find(sweeping.Wanted(None, compile_patterns([]), None, None, None, None, duplicates))
    meddler.acting = True
    work.act("delete", None)
    work.close()
    return work.swept


def test_what_changed_since_it_was_found_is_left_alone(tmp_path: Path) -> None:
    folder, outside = tmp_path / "busy", tmp_path / "outside"
    (folder / "d").mkdir(parents=True)
    outside.mkdir()
    for name in ("changed", "d/f", "replaced", "still"):
        (folder / name).write_text("x")
    (outside / "f").write_text("precious")

    def meddle() -> None:
        (folder / "changed").write_text("new work")
        (folder / "replaced").unlink()
        (folder / "replaced").symlink_to(outside / "f")
        (folder / "d").rename(folder / "elsewhere")
        (folder / "d").symlink_to(outside)

    done = swept(folder, tmp_path, meddle)
    assert names(folder) == {"changed", "replaced", "d", "elsewhere/f"}
    assert (outside / "f").read_text() == "precious"
    assert (done.done, done.problem_count) == (1, 3)


def test_a_copy_stays_when_the_first_one_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text("same")
    os.utime(folder / "a", (0, 0))
    done = swept(folder, tmp_path, lambda: (folder / "a").unlink(), duplicates=True)
    assert names(folder) == {"b"}
    assert done.done == 0


def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    """Measured by hand with 100,000 files: the same."""
    peaks = []
    for folders in (2, 40):
        many = tmp_path / f"many-{folders}"
        for number in range(folders):
            (many / f"{number}").mkdir(parents=True)
            for name in range(250):
                (many / f"{number}" / f"file-{name:04}").write_text("1")
        tracemalloc.start()
        work = sweeping.Sweep(many, tmp_path / f"{folders}.db", lambda count, path: None)
        work.find(sweeping.Wanted(None, compile_patterns([]), None, None, None, None, duplicates=True))
        work.listing(tmp_path / "listing")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        work.close()
        assert work.swept.found == folders * 250 - 1
        assert len((tmp_path / "listing").read_bytes().splitlines()) == work.swept.found
    assert peaks[1] < 2 * peaks[0]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"older_than": "yesterday"}, "no age"),
        ({"min_size": "10 apples"}, "no size"),
        ({"action": "delete"}, "say which files"),
        ({"action": "move"}, "move_to"),
        ({"action": "move", "move_to": "relative"}, "not an absolute path"),
        ({"action": "shred"}, "action"),
    ],
)
def test_bad_inputs_are_refused_by_name(heap: Path, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        sweep(heap, **inputs)


@pytest.mark.parametrize("place", ["inside", "."])
def test_a_target_inside_the_folder_is_refused(heap: Path, place: str) -> None:
    with pytest.raises(InvalidInput, match="neither lies in"):
        sweep(heap, action="move", move_to=str(heap / place), dry_run=False)
