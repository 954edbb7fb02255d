"""`monjolo secret …`: values that flows name and nobody reads back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from monjolo.cli import named, terminal
from monjolo.cli.terminal import Json, Yes

app = typer.Typer(no_args_is_help=True, help="List, set and delete secrets; `${{ secrets.NAME }}` in a flow.")

Name = Annotated[str, typer.Argument(help="The secret's name.", show_default=False)]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Names and when each was last used; values never come back."""
    found = terminal.all_items("/secrets", {}, None)
    if as_json:
        terminal.print_json({"items": found})
        return
    rows = [(s["name"], s["title"], terminal.when(s["updated_at"]), terminal.when(s["last_used_at"])) for s in found]
    terminal.print_table(("Secret", "Title", "Changed", "Last used"), rows)


@app.command("set")
def set_(
    name: Name,
    file: Annotated[Path | None, typer.Option("--from-file", help="Holds the value; - is standard input.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="What it is for.")] = None,
    as_json: Json = False,
) -> None:
    """Store a value, from a prompt, a pipe or a file: what stands in a command can be read by others."""
    value = terminal.secret_value("value", file)
    change: dict[str, Any] = {"value": value} | ({"title": title} if title is not None else {})
    shown, made = named.put("secrets", name, change, {"name": name, **change})
    named.told("secret", shown, made=made, as_json=as_json)


@app.command("delete")
def delete(name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Take a secret away. Steps that name it fail from then on."""
    named.delete("secrets", "secret", name, yes=yes, as_json=as_json)
