"""One program at a time on a data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from monjolo.storage.lock import DataInUse, DataLock, holder


def test_the_second_is_told_who_was_first_and_where(tmp_path: Path) -> None:
    with DataLock.acquire(tmp_path / "data") as lock:
        lock.announce("http://127.0.0.1:7700")
        with pytest.raises(DataInUse) as refused:
            DataLock.acquire(tmp_path / "data")
    assert refused.value.code == "data_in_use"
    assert str(os.getpid()) in refused.value.detail
    assert "http://127.0.0.1:7700" in refused.value.detail
    assert "MONJOLO_DATA" in refused.value.detail


def test_a_released_lock_is_free(tmp_path: Path) -> None:
    DataLock.acquire(tmp_path).release()
    with DataLock.acquire(tmp_path):
        assert holder(tmp_path) == {"pid": os.getpid(), "url": None}


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from monjolo.storage.lock import DataLock; "
        "lock = DataLock.acquire(pathlib.Path(sys.argv[1])); print('held', flush=True); input()"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(DataInUse) as refused:
        DataLock.acquire(tmp_path)
    assert str(child.pid) in refused.value.detail
    child.kill()
    child.communicate()
    DataLock.acquire(tmp_path).release()


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = DataLock.acquire(tmp_path)
    program = [sys.executable, "-c", "print('here', flush=True); input()"]
    child = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
    assert child.stdout is not None
    child.stdout.readline()  # the kernel wakes us before it has closed what the new program must not inherit
    lock.release()
    DataLock.acquire(tmp_path).release()
    child.communicate(b"\n")


def test_the_data_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    DataLock.acquire(tmp_path / "a" / "data").release()
    assert (tmp_path / "a" / "data").stat().st_mode & 0o777 == 0o700
