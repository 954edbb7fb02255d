"""`monjolo module …`: write, judge, test and run a module here, without a server; list and describe it there.

Exit codes: 0 well, 1 the module (or its action, or a test) failed, 2 wrong use, 3 the API refused, 4 nobody
answers.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from monjolo.cli.client import ApiFailure, api, cache_folder
from monjolo.domains.modules.judging import Finding, judge
from monjolo.domains.modules.models import Broken
from monjolo.domains.modules.runner_process import Message, RunnerError
from monjolo.domains.modules.templates import new_module
from monjolo.domains.modules.workbench import Workbench, Workpiece, sdk_folder

app = typer.Typer(no_args_is_help=True, help="Write, judge, test, run and list modules.")
_out, _err = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
_STYLES = {"debug": "dim", "info": "", "warning": "yellow", "error": "red", "critical": "bold red"}

Json = Annotated[bool, typer.Option("--json", help="For programs: JSON on stdout.")]
ModulePath = Annotated[Path, typer.Argument(help="A module's file or folder.", show_default=False)]


def _say(text: str) -> None:
    _err.print(text, style="dim", markup=False)


def _workbench() -> Workbench:
    return Workbench(cache=cache_folder(), sdk=sdk_folder(), say=_say)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def _fail(text: str, code: int = 1, *, as_json: bool = False, more: dict[str, Any] | None = None) -> typer.Exit:
    if as_json:
        _print_json({"error": text, **(more or {})})
    else:
        _err.print(f"[red]{escape(text)}[/red]")
        if more and more.get("traceback"):
            _err.print(str(more["traceback"]).rstrip(), style="dim", markup=False)
    return typer.Exit(code)


def _load(path: Path, *, as_json: bool) -> Workpiece:
    try:
        return asyncio.run(_workbench().load(path))
    except Broken as error:
        raise _fail(f"{path}: {error.error}", as_json=as_json, more={"traceback": error.traceback}) from None


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="The module's id: lower-case letters, digits and _.")],
    folder: Annotated[bool, typer.Option("--folder", help="A folder, for a module that is to grow.")] = False,
    into: Annotated[Path, typer.Option("--into", help="Where to write it.")] = Path(),
    as_json: Json = False,
) -> None:
    """Write a module that works, with a test and a read-me."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
        raise _fail(f"{name!r} is no id: lower-case letters, digits and _, a letter first", 2, as_json=as_json)
    files = {into / file: text for file, text in new_module(name, folder=folder).items()}
    there = [str(path) for path in files if path.exists()]
    if there:
        raise _fail(f"{there[0]} exists already; nothing was written", as_json=as_json)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if as_json:
        _print_json({"written": [str(path) for path in files]})
        return
    for path in files:
        _out.print(f"wrote {path}", markup=False)
    target = into / name if folder else into / f"{name}.py"
    _out.print(f"next: monjolo module test {target}", markup=False)


@app.command("check")
def check(
    path: ModulePath,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    as_json: Json = False,
) -> None:
    """Judge a module: does it load, is it complete, does it say what it needs?"""
    piece = _load(path, as_json=as_json)
    findings = judge(piece.source, piece.content, piece.manifest)
    failed = any(strict or finding.severity == "error" for finding in findings)
    if as_json:
        shown = [{"severity": f.severity, "code": f.code, "where": f.where, "message": f.message} for f in findings]
        _print_json({"module": piece.manifest["id"], "ok": not failed, "findings": shown})
    else:
        _show_findings(piece, findings)
    raise typer.Exit(1 if failed else 0)


def _show_findings(piece: Workpiece, findings: list[Finding]) -> None:
    for finding in findings:
        colour = "red" if finding.severity == "error" else "yellow"
        _out.print(
            f"[{colour}]{finding.severity:8}[/{colour}] {escape(finding.where)}: {escape(finding.message)} "
            f"[dim]({finding.code})[/dim]"
        )
    actions = ", ".join(piece.manifest.get("actions", {}))
    errors = sum(finding.severity == "error" for finding in findings)
    verdict = "[red]not ready[/red]" if errors else "[green]good[/green]"
    _out.print(
        f"{verdict}: {piece.manifest['id']} {escape(piece.manifest['version'])} with {escape(actions)}; "
        f"{errors} errors, {len(findings) - errors} warnings"
    )


@app.command("test", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run_tests(context: typer.Context, path: ModulePath, as_json: Json = False) -> None:
    """Run a module's tests in its own environment; what follows the path goes to pytest."""
    try:
        quiet = ["-q", "--no-header"] if as_json else []
        code = asyncio.run(_workbench().test(path, [*quiet, *context.args]))
    except Broken as error:
        raise _fail(f"{path}: {error.error}", as_json=as_json, more={"traceback": error.traceback}) from None
    if as_json:
        _print_json({"ok": code == 0, "pytest_exit_code": code})
    raise typer.Exit(0 if code == 0 else 1)


@app.command("run")
def run(
    path: ModulePath,
    action: Annotated[str, typer.Argument(help="The name of the action.")],
    given: Annotated[list[str] | None, typer.Option("--with", help="An input, k=v; v is JSON or text.")] = None,
    inputs_file: Annotated[Path | None, typer.Option("--inputs", help="A JSON file with inputs.")] = None,
    keep: Annotated[Path, typer.Option("--artifacts", help="Where artifacts are left.")] = Path("artifacts"),
    as_json: Json = False,
) -> None:
    """Run one action here, without a server. Its log appears as it is written."""
    inputs = _inputs(given or [], inputs_file, as_json=as_json)
    lines: list[Message] = []

    def on_message(method: str, params: Message) -> None:
        lines.append({"method": method, **params})
        if not as_json:
            _show_message(method, params)

    try:
        output = asyncio.run(_workbench().run(path, action, inputs, on_message=on_message, keep=keep))
    except Broken as error:
        raise _fail(f"{path}: {error.error}", as_json=as_json, more={"traceback": error.traceback}) from None
    except RunnerError as error:
        raise _fail(
            f"{error.data.get('type') or 'error'}: {error.message}",
            as_json=as_json,
            more={**error.data, "messages": lines},
        ) from None
    if as_json:
        _print_json({"output": output, "messages": lines})
    else:
        _out.print_json(json.dumps(output))


def _inputs(given: list[str], file: Path | None, *, as_json: bool) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    if file is not None:
        try:
            inputs = dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise _fail(f"{file} cannot be read as a JSON object: {error}", 2, as_json=as_json) from None
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not name:
            raise _fail(f"--with {one!r}: write it as name=value", 2, as_json=as_json)
        try:
            inputs[name] = json.loads(text)
        except ValueError:
            inputs[name] = text
    return inputs


def _show_message(method: str, params: Message) -> None:
    if method == "progress":
        total = params.get("total") or "?"
        _err.print(f"… {params.get('done')}/{total} {params.get('text') or ''}", style="cyan", markup=False)
    elif method == "artifact":
        _err.print(f"artifact {params['name']}: {params['path']}", style="green", markup=False)
    elif method == "logs":
        for _, level, _, text, fields in params["lines"]:
            tail = " ".join(f"{name}={value}" for name, value in fields.items())
            _err.print(f"{level:8} {text} {tail}".rstrip(), style=_STYLES.get(level, ""), markup=False)


@app.command("list")
def list_(
    q: Annotated[str | None, typer.Option("--q", help="Words to search for.")] = None, as_json: Json = False
) -> None:
    """What is installed on the server, and what there cannot be taken."""
    answer = _ask("/modules", {"q": q}, as_json=as_json)
    if as_json:
        _print_json(answer)
        return
    table = Table("Module", "Version", "From", "Actions", box=None)
    for item in answer["items"]:
        actions = ", ".join(action["name"] for action in item["actions"])
        table.add_row(*map(escape, (item["id"], item["version"], item["source"], actions)))
    _out.print(table)
    for fault in answer["faults"]:
        _out.print(f"[red]broken[/red] {escape(fault['path'])}: {escape(fault['error'])}")


@app.command("describe")
def describe(
    what: Annotated[str, typer.Argument(help="A file or folder here, or the id of a module on the server.")],
    as_json: Json = False,
) -> None:
    """What a module offers: its actions, what they take and give, what it is permitted."""
    local = Path(what).exists()
    manifest = _load(Path(what), as_json=as_json).manifest if local else None
    if manifest is None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", what):
            raise _fail(f"there is no file {what}, and it is no module's id", 2, as_json=as_json)
        manifest = _ask(f"/modules/{what}", {}, as_json=as_json)["manifest"]
    if as_json:
        _print_json(manifest)
        return
    _out.print(f"[bold]{escape(manifest['id'])}[/bold] {escape(manifest['version'])}  {escape(manifest['title'])}")
    _out.print(manifest.get("description") or "", markup=False)
    for name, value in manifest.get("permissions", {}).items():
        if value:
            _out.print(f"permission {name}: {value}", markup=False)
    for name, action in manifest.get("actions", {}).items():
        _show_action(f"{manifest['id']}/{name}", action)


def _show_action(uses: str, action: dict[str, Any]) -> None:
    _out.print(f"\n[bold]{escape(uses)}[/bold]  {escape(action['title'])}  [dim]{action['effects']}[/dim]")
    _out.print(action.get("description") or "", markup=False)
    required = action["inputs"].get("required", [])
    table = Table("Input", "Type", "Default", "", box=None)
    for name, schema in action["inputs"].get("properties", {}).items():
        default = "required" if name in required else json.dumps(schema.get("default"))
        about = schema.get("description") or schema.get("title") or ""
        table.add_row(*map(escape, (name, str(schema.get("type", "any")), default, about)))
    _out.print(table)


def _ask(path: str, query: dict[str, Any], *, as_json: bool) -> Any:
    try:
        return api("GET", path, query=query)
    except ApiFailure as error:
        raise _fail(error.detail, 4 if error.status == 0 else 3, as_json=as_json, more=error.problem) from None
