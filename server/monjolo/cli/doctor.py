"""`monjolo doctor`: what is well, what is not, and what to do about it; with the platform up or down."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from monjolo.bootstrap import condition, diagnosis
from monjolo.bootstrap.diagnosis import Finding
from monjolo.cli import terminal
from monjolo.cli.client import ApiFailure, announcement, api, platform_url
from monjolo.cli.exits import Exit
from monjolo.cli.terminal import Json
from monjolo.kit.errors import MonjoloError
from monjolo.kit.time import SystemClock
from monjolo.processes.api import bind
from monjolo.settings import Settings, load
from monjolo.storage.lock import holder, is_held

app = typer.Typer()

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "wrong": ("✗", "red")}

Data = Annotated[Path | None, typer.Option("--data", help="The data folder.", show_default=False)]
Config = Annotated[Path | None, typer.Option("--config", help="The settings file.", show_default=False)]


@app.command()
def doctor(data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """Look at everything the platform needs, and at how it fares. Exit code 1 when something is wrong."""
    findings = _look(data, config)
    wrong = any(finding.state == "wrong" for finding in findings)
    if as_json:
        terminal.print_json({"ok": not wrong, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            _show(finding)
    raise typer.Exit(Exit.FAILED if wrong else Exit.OK)


def _show(finding: Finding) -> None:
    mark, colour = _MARKS[finding.state]
    terminal.out.print(Text.assemble((f"{mark} ", colour), (f"{finding.name:12} ", "bold"), finding.detail))
    for text in (finding.why, finding.advice):
        if text:
            terminal.out.print(Text(f"{'':15}{text}", style=colour))


def _look(data: Path | None, config: Path | None) -> list[Finding]:
    try:
        settings = load({"data": data}, config=config)
    except MonjoloError as error:
        why = "The platform does not start with a setting that it would not follow."
        return [Finding("settings", "wrong", error.detail, "Mend or remove what is named.", why)]
    os.environ["MONJOLO_DATA"] = str(settings.data)  # where the platform's address and token are looked for
    found = condition.contradictions(settings) or [Finding("settings", "ok", "read, and without a fault")]
    if os.environ.get("MONJOLO_URL"):
        return found + _elsewhere()
    found += diagnosis.machine(settings)
    up = is_held(settings.data)
    found += _here(settings) if up else _down(settings)
    return found + condition.condition(settings, SystemClock().now(), up=up)


def _here(settings: Settings) -> list[Finding]:
    """Somebody holds the data folder."""
    try:
        api("GET", "/health/live", timeout=10)
    except ApiFailure as failure:
        pid = holder(settings.data).get("pid")
        advice = f"Wait, if it is just starting; otherwise look at process {pid} and end it."
        return [Finding("platform", "wrong", failure.detail, advice, "It holds the data folder and does not answer.")]
    return [*_up(), diagnosis.keys(settings)]


def _elsewhere() -> list[Finding]:
    try:
        api("GET", "/health/live", timeout=10)
    except ApiFailure as failure:
        advice = "Start it there, or take MONJOLO_URL away to look at this machine."
        return [Finding("platform", "wrong", failure.detail, advice, "Nothing can be asked of it.")]
    return _up()


# --- the platform is down -----------------------------------------------------------------------------------


def _down(settings: Settings) -> list[Finding]:
    return [
        Finding(
            "platform",
            "warning",
            f"none runs on {settings.data}",
            "`monjolo up` starts it.",
            "Nothing runs: schedules wait, webhooks are refused.",
        ),
        *diagnosis.data(settings),
        _port(settings),
    ]


def _port(settings: Settings) -> Finding:
    try:
        bind(settings.host, settings.port).close()
    except MonjoloError as error:
        return Finding("port", "wrong", error.detail, "Do what it says.", "The platform cannot start.")
    return Finding("port", "ok", f"{settings.host}:{settings.port} is free")


# --- the platform is up -------------------------------------------------------------------------------------


def _up() -> list[Finding]:
    pid = announcement(Path(os.environ["MONJOLO_DATA"])).get("pid")
    where = f"answers at {platform_url()}" + ("" if os.environ.get("MONJOLO_URL") else f", process {pid}")
    found = [Finding("platform", "ok", where), _ready()]
    try:
        return [*found, _workers(), *_modules(), _first_user()]
    except ApiFailure as failure:
        return [*found, Finding("token", "wrong", failure.detail, "Set MONJOLO_TOKEN to a token with system:read.")]


def _ready() -> Finding:
    try:
        api("GET", "/health/ready", timeout=15)
    except ApiFailure as failure:
        missing = failure.problem.get("missing") or {"platform": failure.detail}
        detail = "; ".join(f"{name}: {what}" for name, what in missing.items())
        return Finding("ready", "wrong", detail, "The log of the platform tells more.", "It refuses new runs.")
    return Finding("ready", "ok", "it takes and keeps runs")


def _workers() -> Finding:
    workers: list[dict[str, Any]] = api("GET", "/workers")["items"]
    alive = [worker for worker in workers if worker["alive"]]
    if not alive:
        return Finding("workers", "wrong", "no worker is alive", "Start the platform again.", "Every step waits.")
    return Finding("workers", "ok", f"{len(alive)} alive, {sum(w['held'] for w in alive)} steps at work")


def _modules() -> list[Finding]:
    answer = api("GET", "/modules")
    broken = [
        Finding(
            "module",
            "wrong",
            f"{fault['path']}: {fault['error'].splitlines()[0]}",
            "`monjolo module check` it.",
            condition.MODULE_BROKEN,
        )
        for fault in answer["faults"]
    ]
    return [Finding("modules", "ok", f"{answer['total']} live"), *broken]


def _first_user() -> Finding:
    if api("GET", "/setup/state")["needed"]:
        advice = "`monjolo setup-link` prints the link."
        return Finding("first user", "warning", "nobody is set up yet", advice, condition.NOBODY)
    return Finding("first user", "ok", "set up")
