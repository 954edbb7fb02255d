"""Draws docs/explanation/states.md from the tables of legal transitions of the engine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from monjolo.engine.transitions import RUN, STEP

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "states.md"
_HEAD = """# States of a run and of a step

Drawn from `engine/transitions.py` by `scripts/draw_states.py`; do not edit by hand. A change that is not in these
tables cannot happen: the engine refuses it. Whatever has ended never changes again.
"""
_RUN = """
`queued` waits for its concurrency slot, `waiting` for a sleep, a retry or a sub-flow, `cancelling` for what still
runs and for the handlers. `crashed` is the infrastructure's fault, not the code's.
"""
_STEP = """
`queued` is on its way to a worker, `retrying` waits for its next attempt, `waiting` for a slot, a sleep or a
sub-flow. `unknown` is an `at_most_once` step that was allowed to start and whose outcome cannot be known.
"""


def _diagram(table: Mapping[str, frozenset[str]]) -> list[str]:
    lines = ["", "```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(table))}"]
    for old, nexts in table.items():
        lines += [f"    {old} --> {new}" for new in sorted(nexts)]
        if not nexts:
            lines.append(f"    {old} --> [*]")
    return [*lines, "```", ""]


def _rows(table: Mapping[str, frozenset[str]]) -> list[str]:
    lines = ["| From | To |", "|---|---|"]
    return lines + [f"| `{old}` | {', '.join(f'`{new}`' for new in sorted(nexts)) or 'the end'} |"
                    for old, nexts in table.items()]  # fmt: skip


def page() -> str:
    """The whole page."""
    lines = [_HEAD, "## Runs", _RUN, *_rows(RUN), *_diagram(RUN), "## Steps", _STEP, *_rows(STEP), *_diagram(STEP)]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if PAGE.read_text() == page() else f"{PAGE} is out of date: run scripts/draw_states.py")
    PAGE.write_text(page())
