"""docs/explanation/states.md, drawn from the table of legal changes."""

from __future__ import annotations

from collections.abc import Mapping, Set
from enum import StrEnum
from typing import TypeVar

from docs_table import code, table

from monjolo.engine.transitions import RUN, STEP

S = TypeVar("S", bound=StrEnum)

_HEAD = """# States

Drawn by `make docs` from `server/monjolo/engine/transitions.py`, the one place where a change of status is legal. What
the words mean is in the [glossary](../reference/glossary.md). Whatever has ended never changes again.
"""


def page() -> str:
    return f"{_HEAD}\n## A run\n\n{_drawn(RUN, 'queued')}\n## A step\n\n{_drawn(STEP, 'pending')}"


def _drawn(changes: Mapping[S, Set[S]], first: str) -> str:
    ends = [state.value for state, nexts in changes.items() if not nexts]
    live = [(state.value, sorted(one.value for one in nexts)) for state, nexts in changes.items() if nexts]
    arrows = [f"  {state} --> {after}" for state, nexts in live for after in nexts if after not in ends]
    arrows += [f"  {state} --> ended" for state, nexts in live if set(nexts) & set(ends)]
    picture = "\n".join(["stateDiagram-v2", f"  [*] --> {first}", *arrows, "  ended --> [*]"])
    rows = [(code(state), ", ".join(map(code, nexts))) for state, nexts in live]
    ended = f"`ended` is one of {', '.join(map(code, sorted(ends)))}.\n"
    return f"```mermaid\n{picture}\n```\n\n{ended}\n" + table(("From", "To"), rows)
