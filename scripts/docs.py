"""Writes the pages that are made from the code; with --check it says which of them are old instead."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import docs_api
import docs_cli
import docs_errors
import docs_modules
import docs_settings
import docs_states

from monjolo.domains.runs import rehearsal
from monjolo.flow_document.schema import reference_page

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES: dict[str, Callable[[], str]] = {
    "reference/flow-format.md": reference_page,
    "reference/flow-test-format.md": rehearsal.reference_page,
    "reference/modules.md": docs_modules.page,
    "reference/settings.md": docs_settings.page,
    "reference/errors.md": docs_errors.page,
    "reference/cli.md": docs_cli.page,
    "reference/api.md": docs_api.page,
    "explanation/states.md": docs_states.page,
}


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: docs.py [--check]\n")
        return 2
    old = []
    for name, make in PAGES.items():
        file, text = DOCS / name, make()
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            old.append(name)
            if not arguments:
                file.write_text(text, encoding="utf-8")
    if old and arguments:
        sys.stderr.write(f"old, write again with `make docs`: {', '.join(old)}\n")
        return 1
    sys.stdout.write(f"docs: {len(PAGES)} pages, {len(old)} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
