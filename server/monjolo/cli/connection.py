"""`monjolo connection …`: accounts that steps use. Secret fields are asked for, never taken from the command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from monjolo.cli import named, terminal
from monjolo.cli.client import api
from monjolo.cli.terminal import Json, Yes

app = typer.Typer(no_args_is_help=True, help="List, create, change and delete connections.")

Name = Annotated[str, typer.Argument(help="The connection's name.", show_default=False)]
Fields = Annotated[
    list[str] | None, typer.Option("--field", help="name=value; a secret one is name=@file, or is asked for.")
]
FromFile = Annotated[Path | None, typer.Option("--from-file", help="A JSON file with fields; - is standard input.")]
Hosts = Annotated[list[str] | None, typer.Option("--host", help="The only hosts its secrets may be sent to.")]
Title = Annotated[str | None, typer.Option("--title", help="What it is for.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Names, types and the fields that are not secret."""
    found = terminal.all_items("/connections", {}, None)
    if as_json:
        terminal.print_json({"items": found})
        return
    rows = [(c["name"], c["type"], c["fields"], ", ".join(c["hosts"]), terminal.when(c["updated_at"])) for c in found]
    terminal.print_table(("Connection", "Type", "Fields", "Hosts", "Changed"), rows)


@app.command("types")
def types(as_json: Json = False) -> None:
    """The types there are, with their fields."""
    found = api("GET", "/connection-types")["items"]
    if as_json:
        terminal.print_json({"items": found})
        return
    rows = [(t["id"], t["title"], ", ".join(_field_names(t))) for t in found]
    terminal.print_table(("Type", "Title", "Fields (* needed, ! secret)"), rows)


def _field_names(kind: dict[str, Any]) -> list[str]:
    needed = kind["fields"].get("required", [])
    names = list(kind["fields"].get("properties", {}))
    return [name + ("*" if name in needed else "") + ("!" if name in kind["secrets"] else "") for name in names]


@app.command("create")
def create(
    name: Name,
    type_: Annotated[str, typer.Option("--type", help="One of `monjolo connection types`.")],
    field: Fields = None,
    file: FromFile = None,
    host: Hosts = None,
    title: Title = None,
    as_json: Json = False,
) -> None:
    """Store an account. What its type needs and was not given is asked for."""
    kind = _kind(type_)
    fields = _fields(kind, field or [], file)
    needed = [name for name in kind["fields"].get("required", []) if name not in fields]
    if needed and not sys.stdin.isatty():
        raise typer.BadParameter(f"{type_} needs {', '.join(needed)}: by --field, or all of them by --from-file")
    for one in needed:
        fields[one] = typer.prompt(one, hide_input=one in kind["secrets"], err=True)
    body = {"name": name, "type": type_, "fields": fields, "title": title, "hosts": host}
    named.told("connection", api("POST", "/connections", body=body), made=True, as_json=as_json)


@app.command("set")
def set_(
    name: Name,
    field: Fields = None,
    file: FromFile = None,
    host: Hosts = None,
    title: Title = None,
    as_json: Json = False,
) -> None:
    """Change some fields; what is not named stays, null removes one."""
    current = api("GET", f"/connections/{name}")
    fields = _fields(_kind(current["type"]), field or [], file)
    given = {"fields": fields or None, "hosts": host, "title": title}
    change = {key: value for key, value in given.items() if value is not None}
    if not change:
        raise typer.BadParameter("nothing to change: give --field, --from-file, --host or --title")
    named.told("connection", api("PATCH", f"/connections/{name}", body=change), made=False, as_json=as_json)


@app.command("delete")
def delete(name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Take a connection away. Steps that name it fail from then on."""
    named.delete("connections", "connection", name, yes=yes, as_json=as_json)


def _kind(name: str) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {kind["id"]: kind for kind in api("GET", "/connection-types")["items"]}
    if name not in kinds:
        raise typer.BadParameter(f"there is no type {name!r}; there are {', '.join(kinds)}")
    return kinds[name]


def _fields(kind: dict[str, Any], given: list[str], file: Path | None) -> dict[str, Any]:
    fields = terminal.json_object(file)
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"--field {one!r}: write it as name=value")
        if text.startswith("@"):
            fields[name] = terminal.secret_value(name, Path(text[1:]))
        elif name in kind["secrets"]:
            raise typer.BadParameter(
                f"{name} is secret, and a command's words can be read by others: write --field {name}=@FILE, "
                f"or leave it out to be asked"
            )
        else:
            wanted = kind["fields"].get("properties", {}).get(name, {}).get("type")
            fields[name] = text if wanted == "string" else terminal.json_or_text(text)
    return fields
