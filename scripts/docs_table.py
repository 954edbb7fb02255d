"""A Markdown table whose cells may hold any text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(columns), "|" + "---|" * len(columns)]
    return "\n".join(lines + [_row(row) for row in rows]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def code(text: object) -> str:
    """The text as code, or nothing where there is none."""
    shown = str(text)
    return f"`{shown}`" if shown else ""
