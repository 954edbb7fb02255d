"""The examples in the documents do what the documents say. CONTRIBUTING.md tells how they are marked."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Platform

ROOT = Path(__file__).parents[2]
WRITTEN = ("https://127.0.0.1:7700", "http://127.0.0.1:7700")
FLOW = "schema: monjolo/flow/v1\n"
_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>.*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("modules/*/*.md"), ROOT / "flows/README.md"]
    if "decisions" not in page.parts
)
pytestmark = pytest.mark.xdist_group("docs")


@dataclass(frozen=True)
class Example:
    """A fenced block: `mark` is the comment before it, such as `run` or `file: hello.py`."""

    line: int
    mark: str
    language: str
    text: str


def examples_of(page: Path) -> Iterator[Example]:
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        yield Example(text.count("\n", 0, found.start()) + 1, found["mark"] or "", found["language"], found["text"])


WITH_EXAMPLES = [
    pytest.param(page, id=str(page.relative_to(ROOT)))
    for page in PAGES
    if any(example.mark or example.text.startswith(FLOW) for example in examples_of(page))
]


@pytest.mark.parametrize("page", WITH_EXAMPLES)
def test_every_example_of_the_page_does_what_it_says(page: Path, platform: Platform, tmp_path: Path) -> None:
    for name in (".venv", "flows", "modules"):
        (tmp_path / name).symlink_to(ROOT / name)
    said = ""
    for example in examples_of(page):
        where = f"{page.relative_to(ROOT)}:{example.line}"
        kind, _, value = example.mark.partition(": ")
        if example.text.startswith(FLOW):
            _check_flow(platform, example, value if kind == "refused" else None, where)
        if kind == "file":
            (tmp_path / value).write_text(example.text, encoding="utf-8")
        elif kind == "run":
            said = _run(platform, example, tmp_path, where)
        elif kind == "output":
            _check_output(example, said, where)


def _check_flow(platform: Platform, example: Example, refused: str | None, where: str) -> None:
    answer = platform.client.post("/flows/validate", json={"source": example.text})
    assert answer.status_code == 200, f"{where}: {answer.text}"
    faults = [problem for problem in answer.json()["problems"] if problem["severity"] == "error"]
    if refused is None:
        assert faults == [], where
    else:
        assert refused in {fault["code"] for fault in faults}, f"{where}: {faults}"


def _run(platform: Platform, example: Example, folder: Path, where: str) -> str:
    script = example.text
    for written in WRITTEN:
        script = script.replace(written, platform.url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=platform.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{where} ended with {done.returncode}:\n{done.stdout}"
    assert '"status":4' not in done.stdout, f"{where}: {done.stdout}"
    return done.stdout


def _check_output(example: Example, said: str, where: str) -> None:
    """Each line stands in the output, in this order; `…` stands for anything."""
    rest = said.splitlines()
    for wanted in filter(str.strip, example.text.splitlines()):
        pattern = re.compile(r"\s*" + ".*".join(r"\s+".join(map(re.escape, p.split())) for p in wanted.split("…")))
        while rest and not pattern.match(rest[0]):
            rest = rest[1:]
        assert rest, f"{where}: {wanted!r} is not in\n{said}"
