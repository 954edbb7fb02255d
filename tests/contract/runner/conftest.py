"""The runners that the conformance suite is held against. Another one is one more Subject."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def _load(name: str) -> Any:
    # pytest runs with importmode=importlib, so that a test folder is no package.
    spec = importlib.util.spec_from_file_location(f"runner_contract_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    python = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = python
    spec.loader.exec_module(python)
    return python


driver = _load("driver")

SUBJECTS = [
    driver.Subject(
        "python",
        [sys.executable, "-I", str(ROOT / "sdk/python/monjolo_sdk/runner/main.py")],
        {"kind": "file", "path": str(HERE / "conformance_module.py"), "module": "conformance"},
    ),
]


@pytest.fixture(params=SUBJECTS, ids=lambda subject: subject.name)
def subject(request: pytest.FixtureRequest) -> Any:
    """A runner under test."""
    return request.param


@pytest.fixture
def runner(subject: Any, tmp_path: Path) -> Iterator[Any]:
    """A runner that has the conformance module loaded."""
    process, answer = subject.start(tmp_path)
    assert answer["result"]["module"] == "conformance"
    yield process
    process.close()


@pytest.fixture
def start(subject: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts runners with a bundle of the test's own: gives (runner, answer to initialize)."""
    started = []

    def begin(bundle: dict[str, Any] | None = None) -> Any:
        process, answer = subject.start(tmp_path, bundle)
        started.append(process)
        return process, answer

    yield begin
    for process in started:
        process.close()
