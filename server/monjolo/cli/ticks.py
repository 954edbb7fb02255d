"""`monjolo flow ticks|catch-up|backfill …`: what became of a schedule's instants, and running those of the past."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn

from monjolo.cli import terminal
from monjolo.cli.client import api
from monjolo.cli.exits import Exit
from monjolo.cli.terminal import Json

Slug = Annotated[str, typer.Argument(help="The flow's id.", show_default=False)]
Trigger = Annotated[str | None, typer.Option("--trigger", help="One schedule or interval of the flow.")]
BackfillId = Annotated[str, typer.Argument(metavar="BACKFILL", help="Its id.", show_default=False)]
_LOOK_SECONDS = 1.0


def add_to(app: typer.Typer) -> None:
    app.command("ticks")(ticks)
    app.command("catch-up")(catch_up)
    app.command("backfill")(backfill)
    app.command("backfills")(backfills)
    app.command("cancel-backfill")(cancel_backfill)


def ticks(
    slug: Slug,
    status: Annotated[str | None, typer.Option("--status", help="ran, missed, coalesced or skipped.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """What became of each instant of the flow's schedules, the newest first."""
    found = terminal.all_items(f"/flows/{slug}/ticks", {"status": status}, limit)
    if as_json:
        terminal.print_json({"items": found})
        return
    _print_ticks(found)


def _print_ticks(found: list[dict[str, Any]]) -> None:
    rows = [
        (each["trigger"], terminal.when(each["instant"]), each["status"], each["reason"] or "", each["run_id"] or "")
        for each in found
    ]
    terminal.print_table(("Trigger", "Instant", "Status", "Reason", "Run"), rows)


def catch_up(
    slug: Slug,
    trigger: Trigger = None,
    since: Annotated[str | None, typer.Option("--from", help="An instant: 2026-01-31T12:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="An instant; not part of the span.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="Some, by commas: missed,coalesced,skipped.")] = None,
    tick: Annotated[
        list[str] | None, typer.Option("--tick", help="One tick, TRIGGER@INSTANT; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.", min=1)] = 1_000,
    as_json: Json = False,
) -> None:
    """Run the ticks that made no run: each once, the oldest first, however often it is said."""
    if tick and (trigger or since or until or status):
        raise typer.BadParameter("--tick names each one: no --trigger, --from, --to or --status goes with it")
    body: dict[str, Any] = {"ticks": [_named(each) for each in tick]} if tick else {}
    if not tick:
        body = {"trigger": trigger, "from": since, "to": until} | ({"status": status.split(",")} if status else {})
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = {"limit": min(100, limit - len(found)), "after": after} if not tick else {}
        answer = api("POST", f"/flows/{slug}/ticks/catch-up", body={**body, **page})
        found += answer["items"]
        after = answer["next"]
        if after is None or len(found) >= limit:
            break
        if not as_json:
            terminal.say(f"{len(found)} so far", "dim")
    if as_json:
        terminal.print_json({"items": found, "more": after is not None})
        return
    if found:
        _print_ticks(found)
    new = sum(each["new"] for each in found)
    terminal.say(f"{new} run{'' if new == 1 else 's'} started" + ("; there are more ticks" if after else ""), "green")


def _named(text: str) -> dict[str, str]:
    trigger, at, instant = text.partition("@")
    if not at:
        raise typer.BadParameter(f"--tick {text!r}: write it as TRIGGER@INSTANT")
    return {"trigger": trigger, "instant": instant}


def backfill(
    slug: Slug,
    since: Annotated[str, typer.Option("--from", help="An instant: 2026-01-31T12:00:00Z.", show_default=False)],
    until: Annotated[
        str, typer.Option("--to", help="An instant of the past; not part of the span.", show_default=False)
    ],
    trigger: Trigger = None,
    reprocess: Annotated[str, typer.Option("--reprocess", help="Instants with a run: none, failed or all.")] = "none",
    max_active: Annotated[int, typer.Option("--max-active", help="How many of its runs at once.", min=1)] = 10,
    order: Annotated[str, typer.Option("--order", help="asc or desc.")] = "asc",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell how many runs that would be.")] = False,
    key: Annotated[str | None, typer.Option("--idempotency-key", help="Said twice, it starts one backfill.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is done; exit code 1 unless all went well.")] = False,
    as_json: Json = False,
) -> None:
    """Run every instant of a schedule in a span of the past, whether or not it was live then."""
    body = {
        "from": since, "to": until, "trigger": trigger, "reprocess": reprocess, "max_active": max_active,
        "order": order, "dry_run": dry_run,
    }  # fmt: skip
    answer = api("POST", f"/flows/{slug}/backfill", body=body, headers={"Idempotency-Key": key} if key else {})
    if dry_run:
        if as_json:
            terminal.print_json(answer)
        else:
            span = f", {answer['first']} to {answer['last']}" if answer["instants"] else ""
            terminal.out.print(f"{answer['instants']} instants{span}: {answer['runs']} runs", markup=False)
        return
    if wait:
        answer = _followed(answer, as_json=as_json)
    if as_json:
        terminal.print_json(answer)
    else:
        _print_backfills([answer])
    if wait:
        well = answer["state"] == "done" and not answer["failed"] and not answer["declined"]
        raise typer.Exit(Exit.OK if well else Exit.FAILED)


def _followed(answer: dict[str, Any], *, as_json: bool) -> dict[str, Any]:
    """Shows its progress until it is finished."""
    words = TextColumn("{task.description} {task.completed:.0f}/{task.total:.0f}")
    with Progress(words, BarColumn(), console=terminal.err, transient=True, disable=as_json) as bar:
        task = bar.add_task(f"backfill of {answer['flow']}", total=answer["instants"])
        while answer["state"] == "running":
            bar.update(task, completed=answer["instants"] - answer["left"])
            time.sleep(_LOOK_SECONDS)
            answer = api("GET", f"/flows/{answer['flow']}/backfills/{answer['id']}")
    return answer


def backfills(
    slug: Slug,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """The flow's backfills and how far each has come, the newest first."""
    found = terminal.all_items(f"/flows/{slug}/backfills", {}, limit)
    if as_json:
        terminal.print_json({"items": found})
    else:
        _print_backfills(found)


def _print_backfills(found: list[dict[str, Any]]) -> None:
    columns = ("Backfill", "Trigger", "State", "Instants", "Started", "Passed", "Declined", "Succeeded", "Failed")
    counted = ("instants", "started", "passed", "declined", "succeeded", "failed")
    rows = [(each["id"], each["trigger"], each["state"], *(str(each[name]) for name in counted)) for each in found]
    terminal.print_table(columns, rows)


def cancel_backfill(slug: Slug, backfill: BackfillId, as_json: Json = False) -> None:
    """It starts no further run; those that are live go on."""
    answer = api("POST", f"/flows/{slug}/backfills/{backfill}/cancel")
    if as_json:
        terminal.print_json(answer)
    else:
        terminal.say(f"backfill {answer['id']} is {answer['state']}, {answer['started']} runs were started", "green")
