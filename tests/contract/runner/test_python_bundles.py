"""What the Python runner loads, and what it says of bundles that it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

FILE = 'from monjolo_sdk import Module\nmodule = Module("{id}", version="1.0.0")\n{more}\n'
ACTION = '@module.action(effects="read")\ndef act() -> str:\n    return {value}\n'


def bundle(path: Path, module: str) -> dict[str, Any]:
    return {"kind": "folder" if path.is_dir() else "file", "path": str(path), "module": module}


def act(runner: Any) -> Any:
    return runner.request("run", {"task": "t", "action": "act"})["result"]["output"]


@pytest.mark.parametrize("entry", ["module.py", "__init__.py"])
def test_a_folder_may_hold_more_files(start: Any, tmp_path: Path, entry: str) -> None:
    (tmp_path / "part.py").write_text("VALUE = 'from a neighbour'\n")
    more = "from .part import VALUE\n" + ACTION.format(value="VALUE")
    (tmp_path / entry).write_text(FILE.format(id="demo", more=more))
    runner, answer = start(bundle(tmp_path, "demo"))
    assert answer["result"]["module"] == "demo"
    assert act(runner) == "from a neighbour"


def test_a_project_is_found_by_its_entry_point(start: Any, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project.entry-points."monjolo.modules"]\ndemo = "demo_pkg.main:it"\n')
    package = tmp_path / "src" / "demo_pkg"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "main.py").write_text(FILE.format(id="demo", more=ACTION.format(value="__name__") + "it = module"))
    runner, _ = start(bundle(tmp_path, "demo"))
    assert act(runner) == "demo_pkg.main"


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        ("def broken(:\n", "SyntaxError", "invalid syntax"),
        ("raise ValueError('at import')\n", "ValueError", "at import"),
        ("import sys\nsys.exit(4)\n", "SystemExit", "sys.exit(4)"),
        ("import not_installed_here\n", "ModuleNotFoundError", "not_installed_here"),
        ("x = 1\n", "LoadError", "has 0 modules"),
        (FILE.format(id="demo", more=""), "LoadError", "has no action"),
        (FILE.format(id="other", more=ACTION.format(value="1")), "LoadError", "holds the module 'other'"),
    ],
)
def test_a_broken_file_is_told_with_its_place(start: Any, tmp_path: Path, source: str, kind: str, said: str) -> None:
    file = tmp_path / "demo.py"
    file.write_text(source)
    runner, answer = start(bundle(file, "demo"))
    error = answer["error"]
    assert error["code"] == -32000
    assert error["data"]["type"] == kind
    assert said in error["data"]["message"]
    assert "monjolo_sdk/" not in error["data"]["traceback"]
    file.write_text(FILE.format(id="demo", more=ACTION.format(value="'mended'")))
    again = runner.request("initialize", {"protocol": 1, "bundle": bundle(file, "demo"), "tmp": str(tmp_path)})
    assert again["result"]["module"] == "demo"
    assert act(runner) == "mended"


def test_what_a_module_prints_while_loading_belongs_to_no_task(start: Any, tmp_path: Path) -> None:
    file = tmp_path / "demo.py"
    file.write_text("print('loading')\n" + FILE.format(id="demo", more=ACTION.format(value="1")))
    runner, _ = start(bundle(file, "demo"))
    act(runner)
    assert runner.texts(None) == ["loading"]


def test_only_the_sdk_is_added_to_what_a_module_can_import(start: Any, tmp_path: Path) -> None:
    file = tmp_path / "demo.py"
    more = "import sys, monjolo_sdk\n" + ACTION.format(value="str([p for p in sys.path if 'sdk/python' in p])")
    file.write_text(FILE.format(id="demo", more=more))
    runner, _ = start(bundle(file, "demo"))
    told = act(runner)
    # The development environment itself lists the folder (an editable install); the runner must not put it first.
    assert told in ("[]", f"['{Path(__file__).parents[3] / 'sdk/python'}']")
