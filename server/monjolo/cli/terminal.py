"""What the commands say: tables for people, JSON for programs, faults on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monjolo.cli.client import api

Priority = Annotated[
    int | None, typer.Option("--priority", help="0 to 100: who is served first. The flow's by default.", min=0, max=100)
]
Json = Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

# A table that goes into a file or a pipe is not cut to a screen that is not there.
out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 400)
err = Console(stderr=True, soft_wrap=True, highlight=False)

_STATUS = {
    "succeeded": "green", "active": "green", "failed": "red", "timed_out": "red", "crashed": "red",
    "running": "cyan", "retrying": "yellow", "waiting": "yellow", "cancelling": "yellow", "cancelled": "magenta",
    "queued": "blue", "skipped": "dim", "paused": "yellow", "draft": "dim",
}  # fmt: skip
LEVELS = {"debug": "dim", "info": "", "warning": "yellow", "error": "red", "critical": "bold red"}


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_json_line(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(text: str, style: str = "") -> None:
    """A line of news for people; never part of what a program reads."""
    err.print(Text(text, style=style))


def status(text: str) -> Text:
    return Text(text, style=_STATUS.get(text, ""))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(_cell(cell)) for cell in row))
    out.print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Names and values, one a line; what is None is left out."""
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value is not None:
            table.add_row(Text(name, style="dim"), value if isinstance(value, Text) else Text(_cell(value)))
    out.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def show_problems(problems: Sequence[Mapping[str, Any]], where: str) -> None:
    """One line for each: `file:line:column path: message (code)`."""
    for problem in problems:
        place = ":".join(str(part) for part in (where, problem.get("line"), problem.get("column")) if part)
        path = f" {problem['path']}" if problem.get("path") else ""
        colour = "yellow" if problem.get("severity") == "warning" else "red"
        say(f"{place}{path}: {problem['message']} ({problem['code']})", colour)


def when(instant: str | None) -> str:
    """An instant of the API in the machine's own time zone, to the second."""
    if instant is None:
        return ""
    return datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def lasted(start: str | None, end: str | None) -> str:
    """How long it took, or takes until now."""
    if start is None:
        return ""
    until = datetime.fromisoformat(end) if end else datetime.now(timezone.utc)  # noqa: UP017 (3.11 has both)
    seconds = max(0.0, (until - datetime.fromisoformat(start)).total_seconds())
    if seconds < 60:
        return f"{seconds:.2f}s" if seconds < 10 else f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def sure(question: str, *, yes: bool) -> None:
    """Asks before something is gone. Without a terminal `--yes` must have been said."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is nobody to ask: say --yes")
    typer.confirm(question, abort=True, err=True)


def all_items(path: str, query: Mapping[str, Any], limit: int | None) -> list[dict[str, Any]]:
    """The items of a paged list, up to `limit` (None: all of them)."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        wanted = 100 if limit is None else min(100, limit - len(found))
        page = api("GET", path, query={**query, "limit": wanted, "after": after})
        found += page["items"]
        after = page["next"]
        if after is None or (limit is not None and len(found) >= limit):
            return found


# --- what is given ------------------------------------------------------------------------------------------


def named_values(given: Sequence[str], option: str = "--with") -> dict[str, Any]:
    """`name=value` pairs; a value is JSON, or else text."""
    values: dict[str, Any] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{option} {one!r}: write it as name=value")
        values[name] = json_or_text(text)
    return values


def json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def json_object(file: Path | None) -> dict[str, Any]:
    """The JSON object in a file; `-` is standard input; None gives an empty one."""
    if file is None:
        return {}
    try:
        found = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file} cannot be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{file} holds no JSON object")
    return found


def secret_value(what: str, file: Path | None, *, twice: bool = False) -> str:
    """From a file, a pipe, or a prompt that shows nothing; never from the command's own words."""
    if file is not None and str(file) != "-":
        try:
            return file.read_text("utf-8").removesuffix("\n")
        except (OSError, ValueError) as error:
            raise typer.BadParameter(f"{file} cannot be read: {error}") from None
    if file is not None or not sys.stdin.isatty():
        value = sys.stdin.read().removesuffix("\n")
        if not value:
            raise typer.BadParameter(f"standard input holds no {what}: pipe it in, or use --from-file")
        return value
    return str(typer.prompt(what, hide_input=True, confirmation_prompt=twice, err=True))
