"""Writes docs/reference/flow-format.md from the document's types."""

from __future__ import annotations

from pathlib import Path

from monjolo.flow_document.schema import reference_page

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "flow-format.md"


def main() -> None:
    PAGE.write_text(reference_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
