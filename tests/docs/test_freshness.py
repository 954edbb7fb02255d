"""What is made from the code is as the code is; both READMEs say the same; every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]+)\)")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("modules/*/*.md"), ROOT / "flows/README.md"]


@pytest.mark.parametrize("script", ["docs.py", "readme_figures.py"])
def test_what_is_made_from_the_code_is_fresh(script: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["README.md", "README.pt-BR.md"])
def test_the_read_me_begins_with_exactly_two_commands(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    before, fence, rest = text.partition("```sh\n")
    assert fence
    assert rest.partition("```")[0] == "make up\nmake test\n"
    title, sentence = before.strip().split("\n\n")
    assert title == "# Monjolo"
    assert sentence.count(".") == 1


def test_both_read_mes_have_the_same_parts_commands_and_examples() -> None:
    english, portuguese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.pt-BR.md"))

    def parts(text: str) -> list[str]:
        headings = ["#" * len(found) for found in re.findall(r"^(#+) ", text, re.MULTILINE)]
        return headings + re.findall(r"^```(?:sh|python)\n.*?^```", text, re.DOTALL | re.MULTILINE)

    assert parts(english) == parts(portuguese)
    assert re.findall(r"^\| (C\d+) ", english, re.MULTILINE) == [f"C{number}" for number in range(1, 15)]
    assert re.findall(r"^\| (C\d+) ", portuguese, re.MULTILINE) == [f"C{number}" for number in range(1, 15)]
    rows = [re.findall(r"^\| C\d+ .*?([`\w/._-]*) ?\|$", text, re.MULTILINE) for text in (english, portuguese)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in sorted(PAGES)])
def test_every_link_of_the_page_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        found = (page.parent / file) if file else page
        assert found.exists(), target
        if anchor and found.suffix == ".md":
            assert anchor in _anchors(found.read_text(encoding="utf-8")), target


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_page_promises_what_is_not_there() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8").lower()
        assert not re.search(r"\btodo\b|coming soon|em breve|blazing|seamless", text.replace("no todo", "")), page
