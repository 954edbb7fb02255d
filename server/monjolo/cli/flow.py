"""`monjolo flow …`: what is published, what would be, and starting it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.syntax import Syntax

from monjolo.cli import flow_test, following, terminal, ticks
from monjolo.cli.client import ApiFailure, api
from monjolo.cli.exits import Exit
from monjolo.cli.recipes import list_recipes, recipe_text
from monjolo.cli.terminal import Json, Priority, Yes

app = typer.Typer(no_args_is_help=True, help="List, apply, validate, test, diff, run, pause and export flows.")
app.command("test")(flow_test.run_flow_tests)

Slug = Annotated[str, typer.Argument(help="The flow's id.", show_default=False)]
Sources = Annotated[
    list[str], typer.Argument(help="Files, folders of .yaml files, recipe:ID, or - for standard input.")
]


@app.command("list")
def list_(
    q: Annotated[str | None, typer.Option("--q", help="Words in its name.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="active, paused or draft.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="key or key:value.")] = None,
    as_json: Json = False,
) -> None:
    """What is published here."""
    flows = terminal.all_items("/flows", {"q": q, "state": state, "label": label}, None)
    if as_json:
        terminal.print_json({"items": flows})
        return
    rows = [
        (f["slug"], f["name"], terminal.status(f["state"]), str(f["version"]), terminal.when(f["updated_at"]))
        for f in flows
    ]
    terminal.print_table(("Flow", "Name", "State", "Version", "Changed"), rows)
    if not flows:
        terminal.say("None yet. `monjolo flow recipes` lists some that are ready.", "dim")


@app.command("recipes")
def recipes(as_json: Json = False) -> None:
    """Ready flows that come with the platform; `monjolo flow apply recipe:ID` publishes one."""
    found = list_recipes()
    if as_json:
        terminal.print_json({"items": found})
        return
    terminal.print_table(("Recipe", "Does"), [(f"recipe:{r['id']}", r["description"]) for r in found])


@app.command("apply")
def apply(
    sources: Sources,
    message: Annotated[str | None, typer.Option("--message", "-m", help="What changed, for the history.")] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Keep it as a draft that runs on demand only.")] = False,
    as_json: Json = False,
) -> None:
    """Publish flows: new ones, or the next version of those that are there. The same text makes no new one."""
    results, code = [], Exit.OK
    for name, text in _texts(sources):
        try:
            body = {"source": text, "message": message}
            made = api("POST", "/flows", body=body, query={"replace": True, "draft": draft or None})
        except ApiFailure as failure:
            if failure.status == 0:
                raise
            code = Exit.REFUSED
            results.append({"source": name, "ok": False, **failure.problem})
            _show_refusal(name, failure)
            continue
        results.append({"source": name, "ok": True, "flow": made})
        if not as_json:
            what = "unchanged, version" if made["unchanged"] else "published, version" if not draft else "draft"
            terminal.say(f"{made['slug']}: {what} {made['published']}", "green")
    if as_json:
        terminal.print_json({"items": results})
    raise typer.Exit(code)


def _show_refusal(name: str, failure: ApiFailure) -> None:
    terminal.say(f"{name}: {failure.detail}", "red")
    terminal.show_problems(failure.problem.get("errors") or [], name)


@app.command("validate")
def validate(sources: Sources, as_json: Json = False) -> None:
    """What is wrong with flows, with line and column; nothing is stored."""
    results, good = [], True
    for name, text in _texts(sources):
        problems = api("POST", "/flows/validate", body={"source": text})["problems"]
        valid = all(problem["severity"] == "warning" for problem in problems)
        good = good and valid
        results.append({"source": name, "valid": valid, "problems": problems})
        if not as_json:
            terminal.show_problems(problems, name)
            terminal.say(f"{name}: {'valid' if valid else 'not valid'}", "green" if valid else "red")
    if as_json:
        terminal.print_json({"items": results})
    raise typer.Exit(Exit.OK if good else Exit.FAILED)


@app.command("diff")
def diff(
    what: Annotated[str, typer.Argument(help="A file (or recipe:ID, -) to hold against what is published, or a flow.")],
    a: Annotated[int | None, typer.Option("--a", help="The older version of a flow.", min=1)] = None,
    b: Annotated[int | None, typer.Option("--b", help="The newer version of a flow.", min=1)] = None,
    as_json: Json = False,
) -> None:
    """What applying a file would change; or, with --a and --b, what one version of a flow changed of another."""
    if a is None and b is None:
        [(_, text)] = _texts([what])
        found = api("POST", "/flows/diff", body={"source": text})
    elif a is None or b is None:
        raise typer.BadParameter("--a and --b go together")
    else:
        found = api("GET", f"/flows/{what}/versions/diff", query={"a": a, "b": b})
    if as_json:
        terminal.print_json(found)
    elif not found["text"]:
        terminal.say("no difference", "dim")
    elif sys.stdout.isatty():
        terminal.out.print(Syntax(found["text"], "diff", background_color="default"))
    else:
        sys.stdout.write(found["text"])


@app.command("run")
def run(
    slug: Slug,
    given: Annotated[list[str] | None, typer.Option("--with", help="An input, name=value; JSON or text.")] = None,
    inputs: Annotated[Path | None, typer.Option("--inputs", help="A JSON file with inputs; - is stdin.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="A label of the run, name=value.")] = None,
    version: Annotated[int | None, typer.Option("--version", help="Not the published version.", min=1)] = None,
    priority: Priority = None,
    key: Annotated[str | None, typer.Option("--idempotency-key", help="Said twice, it starts one run.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it ends; exit code 1 unless it went well.")] = False,
    logs: Annotated[bool, typer.Option("--follow", help="Wait, and show its log as it is written.")] = False,
    as_json: Json = False,
) -> None:
    """Start a flow. Its outputs go to standard output when waited for."""
    labels = {name: str(value) for name, value in terminal.named_values(label or [], "--label").items()}
    body: dict[str, Any] = {"inputs": {**terminal.json_object(inputs), **terminal.named_values(given or [])}}
    body |= ({"labels": labels} if labels else {}) | ({"version": version} if version else {})
    body |= {} if priority is None else {"priority": priority}
    headers = {"Idempotency-Key": key} if key else {}
    accepted = api("POST", f"/flows/{slug}/runs", body=body, headers=headers)
    started(slug, accepted, wait=wait, logs=logs, as_json=as_json)


def started(flow: str, accepted: dict[str, Any], *, wait: bool, logs: bool, as_json: bool) -> None:
    """Tells of an accepted run, or stays with it until its end and takes over its exit code."""
    if not wait and not logs:
        if as_json:
            terminal.print_json(accepted)
        else:
            terminal.say(f"{flow} #{accepted['number']} {accepted['status']}   {accepted['id']}")
        return
    if not as_json:
        terminal.say(f"{flow} #{accepted['number']}   {accepted['id']}", "bold")
    ended = following.follow(accepted["id"], following.View(logs=logs and not as_json, as_json=as_json))
    if as_json:
        terminal.print_json(ended)
    else:
        following.show_end(ended)
    raise typer.Exit(following.exit_code(ended))


@app.command("pause")
def pause(
    slug: Slug,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for others to read.")] = None,
    as_json: Json = False,
) -> None:
    """Nothing starts it any more until it is resumed; accepted runs go on."""
    _told(api("POST", f"/flows/{slug}/pause", body={"reason": reason}), as_json=as_json)


@app.command("resume")
def resume(slug: Slug, as_json: Json = False) -> None:
    """Its triggers count from now; nothing of the pause is caught up."""
    _told(api("POST", f"/flows/{slug}/resume"), as_json=as_json)


def _told(flow: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(flow)
    else:
        terminal.say(f"{flow['slug']} is {flow['state']}", "green")


ticks.add_to(app)


@app.command("export")
def export(
    slug: Slug,
    version: Annotated[int | None, typer.Option("--version", help="Not the newest.", min=1)] = None,
    to: Annotated[Path | None, typer.Option("--to", help="A file; else standard output.")] = None,
    as_json: Json = False,
) -> None:
    """The flow's text, as it was written."""
    text = api("GET", f"/flows/{slug}/export", query={"version": version})
    if to is not None:
        _written(lambda: to.write_text(text, "utf-8"), to)
        terminal.say(f"wrote {to}", "green")
    elif as_json:
        terminal.print_json({"flow": slug, "source": text})
    else:
        sys.stdout.write(text)


def _written(write: Callable[[], object], file: Path) -> None:
    try:
        write()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}") from None


@app.command("delete")
def delete(
    slug: Slug,
    force: Annotated[bool, typer.Option("--force", help="Even while runs of it are live; they go on.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take the flow away; the history of its runs stays."""
    terminal.sure(f"Delete the flow {slug}?", yes=yes)
    api("DELETE", f"/flows/{slug}", query={"force": force or None})
    if as_json:
        terminal.print_json({"deleted": slug})
    else:
        terminal.say(f"{slug} is gone", "green")


def _texts(sources: list[str]) -> list[tuple[str, str]]:
    """(name, text) of all that was named, read before anything is sent."""
    return [(name, text) for source in sources for name, text in _read(source)]


def _read(source: str) -> list[tuple[str, str]]:
    if source == "-":
        return [("standard input", sys.stdin.read())]
    if source.startswith("recipe:"):
        return [(source, recipe_text(source.removeprefix("recipe:")))]
    path = Path(source)
    try:
        if path.is_dir():
            files = (file for file in path.iterdir() if file.suffix in (".yaml", ".yml", ".json"))
            found = sorted(file for file in files if not flow_test.is_test_file(file))
            if not found:
                raise typer.BadParameter(f"{path} holds no .yaml, .yml or .json")
            return [(str(file), file.read_text("utf-8")) for file in found]
        return [(source, path.read_text("utf-8"))]
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{source} cannot be read: {error}") from None
