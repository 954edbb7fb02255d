"""`monjolo user …`: people who may sign in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from monjolo.cli import terminal
from monjolo.cli.client import ApiFailure, api
from monjolo.cli.terminal import Json, Yes

app = typer.Typer(no_args_is_help=True, help="List, create, disable and enable people.")

Who = Annotated[str, typer.Argument(help="An e-mail address, or an id.", show_default=False)]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Everybody who may sign in, or might."""
    users = terminal.all_items("/users", {}, None)
    if as_json:
        terminal.print_json({"items": users})
        return
    rows = [(u["email"], u["name"], u["role"], "disabled" if u["disabled"] else "", u["id"]) for u in users]
    terminal.print_table(("E-mail", "Name", "Role", "", "Id"), rows)


@app.command("create")
def create(
    email: Annotated[str, typer.Argument(help="The e-mail address that they sign in with.")],
    name: Annotated[str | None, typer.Option("--name", help="How they are called; else from the address.")] = None,
    role: Annotated[str, typer.Option("--role", help="admin, editor or viewer.")] = "viewer",
    file: Annotated[Path | None, typer.Option("--from-file", help="Holds the password; - is standard input.")] = None,
    locale: Annotated[str, typer.Option("--locale", help="Such as en or pt-BR.")] = "en",
    timezone: Annotated[str, typer.Option("--timezone", help="Such as America/Sao_Paulo.")] = "UTC",
    as_json: Json = False,
) -> None:
    """Somebody new. The password comes from a prompt, a pipe or a file."""
    password = terminal.secret_value("password", file, twice=True)
    body = {"name": name or email.partition("@")[0], "email": email, "role": role, "password": password}
    user = api("POST", "/users", body={**body, "locale": locale, "timezone": timezone})
    _told(user, "may sign in", as_json=as_json)


@app.command("disable")
def disable(who: Who, yes: Yes = False, as_json: Json = False) -> None:
    """No sign-in any more; sessions and tokens end within 5 seconds."""
    user = _find(who)
    terminal.sure(f"Disable {user['email']}?", yes=yes)
    _told(api("PATCH", f"/users/{user['id']}", body={"disabled": True}), "is disabled", as_json=as_json)


@app.command("enable")
def enable(who: Who, as_json: Json = False) -> None:
    """Somebody who was disabled may sign in again."""
    user = _find(who)
    _told(api("PATCH", f"/users/{user['id']}", body={"disabled": False}), "may sign in", as_json=as_json)


def _find(who: str) -> dict[str, Any]:
    for user in terminal.all_items("/users", {}, None):
        if who in (user["id"], user["email"]) or who.casefold() == user["email"].casefold():
            return user
    raise ApiFailure(404, "user_not_found", f"There is no user {who}; `monjolo user list` lists them.")


def _told(user: dict[str, Any], what: str, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(user)
    else:
        terminal.say(f"{user['email']} ({user['role']}) {what}", "green")
