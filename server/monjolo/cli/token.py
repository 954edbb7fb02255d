"""`monjolo token …`: API tokens for programs."""

from __future__ import annotations

import os
import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any

import typer

from monjolo.cli import terminal
from monjolo.cli.client import ApiFailure, api
from monjolo.cli.terminal import Json, Yes

app = typer.Typer(no_args_is_help=True, help="List, create and revoke API tokens.")

_TERM = re.compile(r"(\d{1,5})([dhw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@app.command("list")
def list_(as_json: Json = False) -> None:
    """One's own tokens; for admins everybody's. The secrets never come back."""
    found = terminal.all_items("/tokens", {}, None)
    if as_json:
        terminal.print_json({"items": found})
        return
    rows = [
        (t["name"], t["prefix"], ", ".join(t["scopes"]), terminal.when(t["expires_at"]) or "never",
         terminal.when(t["last_used_at"]), t["id"])
        for t in found
    ]  # fmt: skip
    terminal.print_table(("Token", "Begins with", "Scopes", "Expires", "Last used", "Id"), rows)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[list[str], typer.Option("--scope", help="Such as runs:write; several times for more.")],
    expires: Annotated[str, typer.Option("--expires", help="A time from now (90d, 12h, 4w), or never.")] = "90d",
    email: Annotated[str | None, typer.Option("--as", help="Sign in as this person, whose token it will be.")] = None,
    file: Annotated[Path | None, typer.Option("--from-file", help="Holds their password; - is standard input.")] = None,
    as_json: Json = False,
) -> None:
    """Make a token of one's own. It is printed this once, alone on standard output."""
    expiry = _expiry(expires)
    if email is not None:
        password = terminal.secret_value("password", file)
        signed_in = api("POST", "/auth/token", body={"email": email, "password": password})
        os.environ["MONJOLO_TOKEN"] = signed_in["access_token"]  # for the one request that follows
    elif api("GET", "/auth/me")["kind"] == "system":
        raise typer.BadParameter("a token belongs to a person: say whose with --as EMAIL")
    scopes = [one for given in scope for one in given.split(",")]
    made = api("POST", "/tokens", body={"name": name, "scopes": scopes, "expires_at": expiry})
    if as_json:
        terminal.print_json(made)
        return
    sys.stdout.write(f"{made['token']}\n")
    terminal.say(f"{name} until {terminal.when(made['expires_at']) or 'revoked'}; it is not shown again", "dim")


def _expiry(text: str) -> str | None:
    if text == "never":
        return None
    term = _TERM.fullmatch(text)
    if term is None:
        raise typer.BadParameter("--expires is a time such as 90d, 12h or 4w, or never")
    until = datetime.now(timezone.utc) + int(term[1]) * _UNITS[term[2]]  # noqa: UP017
    return until.isoformat()


@app.command("revoke")
def revoke(
    which: Annotated[str, typer.Argument(help="A token's id, name, or what it begins with.", show_default=False)],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove a token; it stops working at once."""
    token = _find(which)
    terminal.sure(f"Revoke the token {token['name']} ({token['prefix']}…)?", yes=yes)
    api("DELETE", f"/tokens/{token['id']}")
    if as_json:
        terminal.print_json({"revoked": token["id"]})
    else:
        terminal.say(f"{token['name']} is revoked", "green")


def _find(which: str) -> dict[str, Any]:
    found = [t for t in terminal.all_items("/tokens", {}, None) if which in (t["id"], t["name"], t["prefix"])]
    if not found:
        raise ApiFailure(404, "token_not_found", f"There is no token {which}; `monjolo token list` lists them.")
    if len(found) > 1:
        raise typer.BadParameter(f"{len(found)} tokens are called {which}: name one by its id")
    return found[0]
