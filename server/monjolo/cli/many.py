"""`monjolo run cancel|repeat --filter …`: all runs that a filter finds, page by page until there are no more."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import typer

from monjolo.cli import terminal
from monjolo.cli.client import api

NAMES = ("flow", "number", "status", "trigger", "q", "from", "to", "parent")
Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", help=f"All runs that fit, instead of one: name=value, of {', '.join(NAMES)}."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="With --filter: how many there are, and some of them.")]
Limit = Annotated[int | None, typer.Option("--limit", help="With --filter: this many at most.", min=1)]


def one_or_many(run: str | None, filters: list[str] | None, *, dry_run: bool, limit: int | None) -> bool:
    """True for many. Raises BadParameter for both, or neither."""
    if (run is None) == (not filters):
        raise typer.BadParameter("name one run, or say which with --filter")
    if run is not None and (dry_run or limit):
        raise typer.BadParameter("--dry-run and --limit stand beside --filter")
    return run is None


def act(
    action: str, filters: list[str], wish: dict[str, Any], *, dry_run: bool, limit: int | None, as_json: bool
) -> None:
    body: dict[str, Any] = {"action": action, "filter": _filter(filters), **wish}
    if dry_run:
        _show(action, api("POST", "/runs/bulk", body={**body, "dry_run": True}), as_json=as_json)
        return
    headers = {"Idempotency-Key": str(uuid.uuid4())}  # the same for every page: what is sent twice is done once
    items: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        room = 1_000 if limit is None else min(1_000, limit - len(items) - len(refused))
        page = api("POST", "/runs/bulk", body={**body, "after": after, "limit": room}, headers=headers)
        items += page["items"]
        refused += page["refused"]
        after = page["next"]
        if after is None or len(items) + len(refused) == limit:
            break
    _told(action, items, refused, as_json=as_json)


def _filter(given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or name not in NAMES:
            raise typer.BadParameter(f"--filter {text!r}: write name=value, where the name is {', '.join(NAMES)}")
        found[name] = int(value) if name == "number" and value.isdecimal() else value
    return found


def _show(action: str, shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(shown)
        return
    total = shown.get("total", f"more than {shown.get('total_at_least', 0):,}")
    terminal.say(f"{total} runs would be {_done(action)}; nothing was done")
    rows = [(f"{run['flow']}#{run['number']}", terminal.status(run["status"])) for run in shown["sample"]]
    terminal.print_table(("Run", "Status"), rows)


def _told(action: str, items: list[dict[str, Any]], refused: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        terminal.print_json({"action": action, "items": items, "refused": refused})
    else:
        terminal.say(f"{len(items):,} runs {_done(action)}", "green")
        for run in refused[:20]:
            terminal.say(f"{run['flow']}#{run['number']} not: {run['detail']}", "yellow")
        if len(refused) > 20:
            terminal.say(f"and {len(refused) - 20:,} more were not", "yellow")
    if refused:
        raise typer.Exit(1)


def _done(action: str) -> str:
    return {"cancel": "cancelled", "repeat": "repeated"}[action]
