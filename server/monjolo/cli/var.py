"""`monjolo var …`: values that flows name and everybody may read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from monjolo.cli import named, terminal
from monjolo.cli.terminal import Json, Yes

app = typer.Typer(no_args_is_help=True, help="List, set and delete variables; `${{ vars.NAME }}` in a flow.")

Name = Annotated[str, typer.Argument(help="The variable's name.", show_default=False)]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Names and values."""
    found = terminal.all_items("/vars", {}, None)
    if as_json:
        terminal.print_json({"items": found})
        return
    rows = [(v["name"], v["value"], terminal.when(v["updated_at"])) for v in found]
    terminal.print_table(("Variable", "Value", "Changed"), rows)


@app.command("set")
def set_(
    name: Name,
    value: Annotated[str | None, typer.Argument(help="JSON, or text. Left out: standard input.")] = None,
    file: Annotated[Path | None, typer.Option("--from-file", help="Holds the value; - is standard input.")] = None,
    as_json: Json = False,
) -> None:
    """Store a value: any JSON, or text."""
    found = terminal.json_or_text(_text(value, file))
    shown, made = named.put("vars", name, {"value": found}, {"name": name, "value": found})
    named.told("variable", shown, made=made, as_json=as_json)


def _text(value: str | None, file: Path | None) -> str:
    if value is not None and file is not None:
        raise typer.BadParameter("give the value, or --from-file: one of the two")
    if value is not None:
        return value
    if file is not None and str(file) != "-":
        try:
            return file.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise typer.BadParameter(f"{file} cannot be read: {error}") from None
    if sys.stdin.isatty():
        raise typer.BadParameter("what is the value? Give it after the name, by --from-file, or through a pipe")
    return sys.stdin.read()


@app.command("delete")
def delete(name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Take a variable away. Steps that name it fail from then on."""
    named.delete("vars", "variable", name, yes=yes, as_json=as_json)
