"""`monjolo run …`: what ran, what runs, why it waits; cancel it, repeat it, read its log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from monjolo.cli import following, many, terminal
from monjolo.cli.client import ApiFailure, api, download
from monjolo.cli.flow import started
from monjolo.cli.terminal import Json, Priority

app = typer.Typer(no_args_is_help=True, help="List, show, follow, cancel and repeat runs.")

Run = Annotated[str, typer.Argument(help="A run's id, or flow#number, or a flow for its newest.", show_default=False)]
OneRun = Annotated[str | None, typer.Argument(help="A run's id, or flow#number, or a flow for its newest.")]
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def run_id(name: str) -> str:
    """The id of a run named by id, by `flow#number`, or by its flow alone (the newest)."""
    if _ID.fullmatch(name):
        return name
    flow, sharp, number = name.partition("#")
    if sharp and not number.isdecimal():
        raise typer.BadParameter(f"{name!r} names no run: write its id, or flow#number")
    found = api("GET", "/runs", query={"flow": flow, "number": number or None, "limit": 1})["items"]
    if not found:
        raise ApiFailure(404, "run_not_found", f"There is no run {name}; `monjolo run list --flow {flow}` lists them.")
    return str(found[0]["id"])


@app.command("list")
def list_(
    flow: Annotated[str | None, typer.Option("--flow", help="Of one flow.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="Some, by commas: failed,running …")] = None,
    trigger: Annotated[str | None, typer.Option("--trigger", help="manual, schedule, webhook …")] = None,
    q: Annotated[str | None, typer.Option("--q", help="Text in flow, labels or error.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="An instant: 2026-01-31T12:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="An instant.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """Runs, the newest first."""
    query = {"flow": flow, "status": status, "trigger": trigger, "q": q, "from": since, "to": until}
    runs = terminal.all_items("/runs", query, limit)
    if as_json:
        terminal.print_json({"items": runs})
        return
    terminal.print_table(("Run", "Status", "Trigger", "Began", "Took", ""), [_row(run) for run in runs])


def _row(run: dict[str, Any]) -> tuple[Any, ...]:
    note = (run["error"] or {}).get("message") or run["reason"] or ""
    return (
        f"{run['flow']}#{run['number']}",
        terminal.status(run["status"]),
        run["trigger"]["type"],
        terminal.when(run["created_at"]),
        terminal.lasted(run["started_at"], run["finished_at"]),
        Text(following.printable(note)[:120], style="dim"),
    )


@app.command("show")
def show(run: Run, as_json: Json = False) -> None:
    """A run whole: its steps, what it was given, what it gave."""
    found = api("GET", f"/runs/{run_id(run)}")
    steps = terminal.all_items(f"/runs/{found['id']}/steps", {}, None)
    artifacts = api("GET", f"/runs/{found['id']}/artifacts")["items"]
    if as_json:
        terminal.print_json({**found, "steps": steps, "artifacts": artifacts})
        return
    facts = {
        "run": f"{found['flow']} #{found['number']}, version {found['version']}",
        "id": found["id"],
        "status": terminal.status(found["status"]),
        "reason": found["reason"],
        "priority": found["priority"],
        "error": (found["error"] or {}).get("message"),
        "trigger": found["trigger"]["type"],
        "began": terminal.when(found["created_at"]),
        "took": terminal.lasted(found["started_at"], found["finished_at"]),
        "repeat of": found["repeat_of"],
        "inputs": found["inputs"] or None,
        "outputs": found["outputs"] or None,
    }
    terminal.print_facts(facts)
    if steps:
        terminal.out.print()
        terminal.print_table(("Step", "Status", "Attempts", "Took", ""), [_step_row(step) for step in steps])
    if artifacts:
        terminal.out.print()
        rows = [(a["name"], a["step"], f"{a['size']:,}", a["sha256"]) for a in artifacts]
        terminal.print_table(("Artifact", "Step", "Bytes", "SHA-256"), rows)


def _step_row(step: dict[str, Any]) -> tuple[Any, ...]:
    note = (step["error"] or {}).get("message") or step["reason"] or ""
    items = step["items"]
    if items and items["loop"]:
        note = f"{items['begun']} of at most {items['total']} iterations {note}"
    elif items:
        note = f"{items['begun']} of {items['total']} items, {items['failed']} failed {note}"
    took = terminal.lasted(step["started_at"], step["finished_at"])
    shown = Text(following.printable(note), style="dim")
    return step["key"], terminal.status(step["status"]), str(step["attempt"] or ""), took, shown


@app.command("logs")
def logs(
    run: Run,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the run ends.")] = False,
    step: Annotated[str | None, typer.Option("--step", help="Of one step.")] = None,
    level: Annotated[str | None, typer.Option("--level", help="From this level on.")] = None,
    q: Annotated[str | None, typer.Option("--q", help="Only lines with this text.")] = None,
    to: Annotated[
        Path | None, typer.Option("--download", help="The whole log into a file: .txt, .ndjson, and .gz after it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What the run's steps said. With --json one object a line."""
    if level is not None and level not in terminal.LEVELS:
        raise typer.BadParameter(f"--level is one of {', '.join(terminal.LEVELS)}")
    if to is not None and (follow or level or q):
        raise typer.BadParameter("--download takes the whole log; --follow, --level and --q do not go with it")
    if follow and q:
        raise typer.BadParameter("--follow and --q do not go together")
    found = run_id(run)
    if to is not None:
        _download(found, to, step, as_json=as_json)
    elif follow:
        view = following.View(steps=False, logs=True, step=step, level=level, as_json=as_json)
        raise typer.Exit(following.exit_code(following.follow(found, view)))
    else:
        _print_lines(found, {"step": step, "level": level, "q": q}, as_json=as_json)


def _print_lines(run: str, query: dict[str, Any], *, as_json: bool) -> None:
    after: str | None = None
    while True:
        page = api("GET", f"/runs/{run}/logs", query={**query, "after": after, "limit": 1000})
        for line in page["items"]:
            if as_json:
                terminal.print_json_line(line)
            else:
                following.show_line(line)
        after = page["next"]
        if after is None:
            return


def _download(run: str, to: Path, step: str | None, *, as_json: bool) -> None:
    kinds = [suffix.lstrip(".") for suffix in to.suffixes]
    kind = "ndjson" if {"ndjson", "jsonl"} & set(kinds) else "txt"
    query = {"format": kind, "gzip": True if "gz" in kinds else None, "step": step}
    size = _save(f"/runs/{run}/logs/download", to, query)
    _told_saved(to, size, as_json=as_json)


def _save(path: str, to: Path, query: dict[str, Any]) -> int:
    """All of it, or no file at all."""
    partial = to.with_name(f".{to.name}.part")
    try:
        with partial.open("wb") as file:
            size = download(path, file, query=query)
        partial.replace(to)
    except OSError as error:
        raise typer.BadParameter(f"{to} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
    return size


def _told_saved(to: Path, size: int, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json({"file": str(to), "bytes": size})
    else:
        terminal.say(f"wrote {to}, {size:,} bytes", "green")


@app.command("artifact")
def artifact(
    run: Run,
    name: Annotated[str, typer.Argument(help="The artifact's name.")],
    to: Annotated[Path | None, typer.Option("--to", help="A file; else its own name, here.")] = None,
    step: Annotated[str | None, typer.Option("--step", help="When two steps gave one name.")] = None,
    as_json: Json = False,
) -> None:
    """Save a file that a step left; `monjolo run show` lists them."""
    target = to or Path(Path(name).name)
    quoted = name.replace("%", "%25").replace("/", "%2F").replace("?", "%3F").replace("#", "%23").replace(" ", "%20")
    size = _save(f"/runs/{run_id(run)}/artifacts/{quoted}", target, {"step": step})
    _told_saved(target, size, as_json=as_json)


@app.command("cancel")
def cancel(
    run: OneRun = None,
    filters: many.Filters = None,
    dry_run: many.DryRun = False,
    limit: many.Limit = None,
    force: Annotated[bool, typer.Option("--force", help="Without its handlers, without grace.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why, for others to read.")] = "cancelled",
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended.")] = False,
    as_json: Json = False,
) -> None:
    """End a run, or all that a filter finds, and everything below. One that has ended stays as it is."""
    if many.one_or_many(run, filters, dry_run=dry_run, limit=limit):
        if wait:
            raise typer.BadParameter("--wait is for one run")
        wish = {"force": force, "reason": reason}
        many.act("cancel", filters or [], wish, dry_run=dry_run, limit=limit, as_json=as_json)
        return
    found = run_id(run or "")
    answer = api("POST", f"/runs/{found}/cancel", body={"force": force, "reason": reason})
    if wait:
        answer = following.follow(found, following.View(as_json=as_json))
    if as_json:
        terminal.print_json(answer)
    else:
        terminal.say(f"{run} is {answer['status']}")


@app.command("repeat")
def repeat(
    run: OneRun = None,
    filters: many.Filters = None,
    dry_run: many.DryRun = False,
    limit: many.Limit = None,
    step: Annotated[str | None, typer.Option("--from", help="From this step; those before it are not run.")] = None,
    given: Annotated[list[str] | None, typer.Option("--with", help="Another input, name=value.")] = None,
    inputs: Annotated[Path | None, typer.Option("--inputs", help="A JSON file with all inputs.")] = None,
    newest: Annotated[bool, typer.Option("--newest", help="With the flow as it is today.")] = False,
    priority: Priority = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it ends; exit code 1 unless it went well.")] = False,
    logs: Annotated[bool, typer.Option("--follow", help="Wait, and show its log as it is written.")] = False,
    as_json: Json = False,
) -> None:
    """A new run like this one, or like each that a filter finds: from the start or from a step."""
    body: dict[str, Any] = {"from_step": step, "version": "newest" if newest else "same", "priority": priority}
    if many.one_or_many(run, filters, dry_run=dry_run, limit=limit):
        if given or inputs or wait or logs:
            raise typer.BadParameter("--with, --inputs, --wait and --follow are for one run")
        many.act("repeat", filters or [], body, dry_run=dry_run, limit=limit, as_json=as_json)
        return
    original = api("GET", f"/runs/{run_id(run or '')}")
    if given or inputs:
        base = original["inputs"] if inputs is None else terminal.json_object(inputs)
        body["inputs"] = {**base, **terminal.named_values(given or [])}
    accepted = api("POST", f"/runs/{original['id']}/repeat", body=body)
    started(original["flow"], accepted, wait=wait, logs=logs, as_json=as_json)


@app.command("why")
def why(run: Run, as_json: Json = False) -> None:
    """One sentence that says why the run is where it is."""
    answer = api("GET", f"/runs/{run_id(run)}/why")
    if as_json:
        terminal.print_json(answer)
    else:
        terminal.out.print(Text(answer["sentence"]))
