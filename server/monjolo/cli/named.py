"""What `secret`, `var` and `connection` share: one named thing is changed when it is there, else made."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from monjolo.cli import terminal
from monjolo.cli.client import ApiFailure, api


def put(kind: str, name: str, change: dict[str, Any], new: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """(what the API shows of it, whether it is new)."""
    try:
        return api("PATCH", f"/{kind}/{quote(name, safe='')}", body=change), False
    except ApiFailure as failure:
        if failure.status != 404:
            raise
    return api("POST", f"/{kind}", body=new), True


def told(what: str, shown: dict[str, Any], *, made: bool, as_json: bool) -> None:
    if as_json:
        terminal.print_json(shown)
    else:
        terminal.say(f"{what} {shown['name']} {'stored' if made else 'changed'}", "green")


def delete(kind: str, what: str, name: str, *, yes: bool, as_json: bool) -> None:
    terminal.sure(f"Delete the {what} {name}? Steps that name it fail from then on.", yes=yes)
    api("DELETE", f"/{kind}/{quote(name, safe='')}")
    if as_json:
        terminal.print_json({"deleted": name})
    else:
        terminal.say(f"{what} {name} is gone", "green")
