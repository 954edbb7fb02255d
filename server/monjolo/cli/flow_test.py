"""`monjolo flow test`: runs flows with what their steps give written down, here, without a platform.

Exit codes: 0 every test passed, 1 one did not or a file is not valid, 2 wrong use or nothing to test.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from monjolo.cli import terminal
from monjolo.cli.exits import Exit
from monjolo.cli.terminal import Json
from monjolo.domains.runs.rehearsal import FileResult, Tested, flow_file_of, run_tests
from monjolo.kit.errors import Problem

_SUFFIXES = (".yaml", ".yml", ".json")

Paths = Annotated[
    list[Path], typer.Argument(help="Test files, flows that have one beside them, or folders.", show_default=False)
]


def run_flow_tests(paths: Paths, as_json: Json = False) -> None:
    """Run the tests of flows: the real engine in virtual time, mocks for the steps, no platform needed."""
    results = [_tested(file) for file in _test_files(paths)]
    passed = sum(test["ok"] for result in results for test in result["tests"])
    failed = sum(not test["ok"] for result in results for test in result["tests"])
    broken = sum(not result["ok"] and not result["tests"] for result in results)
    if as_json:
        terminal.print_json({"items": results, "passed": passed, "failed": failed, "broken": broken})
    else:
        for result in results:
            _show(result)
        text = f"{passed} passed, {failed} failed" + (f", {broken} files could not be used" if broken else "")
        terminal.say(text, "red" if failed or broken else "green")
    raise typer.Exit(Exit.FAILED if failed or broken else Exit.OK)


def is_test_file(file: Path) -> bool:
    """`NAME.test.yaml`, which is no flow."""
    return file.suffix in _SUFFIXES and file.stem.endswith(".test")


def _test_files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*.test.*") if is_test_file(file))
            if not files:
                raise typer.BadParameter(f"{path} holds no NAME.test.yaml")
            found += files
        elif is_test_file(path):
            found.append(path)
        else:
            found.append(_beside(path))
    return list(dict.fromkeys(found))


def _beside(flow: Path) -> Path:
    for suffix in (flow.suffix, *_SUFFIXES):
        file = flow.with_name(f"{flow.stem}.test{suffix}")
        if file.is_file():
            return file
    raise typer.BadParameter(f"{flow} has no tests beside it: write {flow.stem}.test.yaml")


def _tested(file: Path) -> dict[str, Any]:
    text = _text(file)
    flow = _flow_of(file, text)
    result = run_tests(text, _text(flow))
    return _described(file, flow, result)


def _flow_of(file: Path, text: str) -> Path:
    named = flow_file_of(text)
    if named is not None:
        return file.parent / named
    stem = file.stem.removesuffix(".test")
    found = [file.with_name(stem + suffix) for suffix in (file.suffix, *_SUFFIXES)]
    return next((path for path in found if path.is_file()), found[0])


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {error}") from None


def _described(file: Path, flow: Path, result: FileResult) -> dict[str, Any]:
    return {
        "file": str(file),
        "flow": str(flow),
        "ok": result.ok,
        "problems": [_problem(problem) for problem in result.problems],
        "flow_problems": [_problem(problem) for problem in result.flow_problems],
        "tests": [_test(test) for test in result.tests],
    }


def _problem(problem: Problem) -> dict[str, Any]:
    names = ("path", "code", "message", "line", "column", "severity")
    return {name: getattr(problem, name) for name in names}


def _test(test: Tested) -> dict[str, Any]:
    differences = [
        {"what": one.what, "expected": one.expected, "actual": one.actual} | _place(place)
        for one, place in test.differences
    ]
    return {
        "name": test.name,
        "ok": test.ok,
        "line": test.line,
        "column": test.column,
        "status": test.status,
        "problem": _problem(test.problem) if test.problem else None,
        "differences": differences,
    }


def _place(place: tuple[int, int] | None) -> dict[str, int | None]:
    line, column = place or (None, None)
    return {"line": line, "column": column}


def _show(result: dict[str, Any]) -> None:
    terminal.show_problems(result["flow_problems"], result["flow"])
    terminal.show_problems(result["problems"], result["file"])
    for test in result["tests"]:
        mark, style = ("passed", "green") if test["ok"] else ("FAILED", "red")
        terminal.say(f"{mark} {result['file']}:{test['line']} {test['name']}", style)
        if test["problem"] is not None:
            terminal.show_problems([test["problem"]], result["file"])
        for one in test["differences"]:
            terminal.say(f"  {result['file']}:{one['line']}:{one['column']} {one['what']}")
            terminal.say(f"    - expected {one['expected']}" if one["expected"] else "    it ended with", "green")
            terminal.say(f"    + got      {one['actual']}", "red")
