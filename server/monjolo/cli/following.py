"""A run as it happens: steps and log lines from the platform's live stream, until the run has ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.status import Status
from rich.text import Text

from monjolo.cli import terminal
from monjolo.cli.client import ApiFailure, Event, api, stream
from monjolo.cli.exits import Exit

ENDED = frozenset({"succeeded", "failed", "cancelled", "skipped", "timed_out", "crashed"})
AWAY_SECONDS = 60.0  # how long the platform may be gone (a restart) before we give up looking
_ORDER = ("debug", "info", "warning", "error", "critical")
_QUIET = {"pending", "ready", "queued", "running"}


@dataclass(frozen=True, slots=True)
class View:
    """What of a run is shown: `steps` as they go, `logs` of one step or all, from a level on."""

    steps: bool = True
    logs: bool = False
    step: str | None = None
    level: str | None = None
    as_json: bool = False

    def wants(self, line: dict[str, Any]) -> bool:
        if self.step is not None and not _belongs(line["step"], self.step):
            return False
        return self.level is None or _ORDER.index(line["level"]) >= _ORDER.index(self.level)


@dataclass(slots=True)
class _Seen:
    """What was shown already, so that nothing comes twice after the stream broke off."""

    lines: set[tuple[str, int, int]] = field(default_factory=set)
    steps: dict[str, tuple[str, int]] = field(default_factory=dict)


def follow(run_id: str, view: View) -> dict[str, Any]:
    """Shows the run until it has ended and gives it whole. Raises ApiFailure when the platform stays away."""
    seen = _Seen()
    with _spinner(view) as spinner:
        for event in events(run_id):
            _show(event, view, seen, spinner)
            if event.kind == "run.finished":
                break
    run: dict[str, Any] = api("GET", f"/runs/{run_id}")
    return run


def events(run_id: str) -> Iterator[Event]:
    """The run's live events up to `run.finished`; a stream that breaks off is taken up again."""
    last_id: str | None = None
    gone_since: float | None = None
    while True:
        try:
            for event in stream(f"/runs/{run_id}/stream", last_id=last_id):
                gone_since, last_id = None, event.id or last_id
                yield event
                if event.kind == "run.finished":
                    return
        except ApiFailure as failure:
            if failure.status not in (0, 503):
                raise
            gone_since = gone_since or time.monotonic()
            if time.monotonic() - gone_since > AWAY_SECONDS:
                raise
        time.sleep(0.5)


def exit_code(run: dict[str, Any]) -> Exit:
    return Exit.OK if run["status"] in ("succeeded", "skipped") else Exit.FAILED


def show_end(run: dict[str, Any]) -> None:
    """How it ended on standard error; what it gave on standard output."""
    took = terminal.lasted(run["started_at"], run["finished_at"])
    line = Text.assemble(f"{run['flow']} #{run['number']} ", terminal.status(run["status"]))
    line.append(f" after {took}" if took else "")
    terminal.err.print(line)
    if run["error"]:
        at = f"step {run['error']['step']}: " if run["error"].get("step") else ""
        terminal.say(f"  {at}{run['error'].get('type') or 'error'}: {run['error']['message']}", "red")
        terminal.say(f"  monjolo run logs {run['flow']}#{run['number']}   tells more", "dim")
    elif run["reason"]:
        terminal.say(f"  {run['reason']}", "dim")
    if run["outputs"]:
        terminal.print_json(run["outputs"])


def show_line(line: dict[str, Any], *, to_stdout: bool = True) -> None:
    """One line of a log; control characters are not the terminal's to obey."""
    fields = " ".join(f"{name}={value}" for name, value in (line.get("fields") or {}).items())
    text = Text(f"{terminal.when(line['at'])[11:]} ", style="dim")
    text.append(f"{line['step']} ", style="cyan")
    text.append(f"{line['level']:8} ", style=terminal.LEVELS.get(line["level"], ""))
    text.append(printable(line["text"]), style=terminal.LEVELS.get(line["level"], ""))
    text.append(f" {printable(fields)}" if fields else "", style="dim")
    (terminal.out if to_stdout else terminal.err).print(text)


def printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)


def _belongs(key: str, step: str) -> bool:
    """Whether a key is the step's own or one of its items': `ask`, `ask[3]`, `group.ask`."""
    return key == step or key.startswith((f"{step}[", f"{step}."))


def _spinner(view: View) -> Status:
    status = terminal.err.status("waiting", spinner="dots")
    status._live.transient = True
    if view.as_json or not sys.stderr.isatty():
        status._live.auto_refresh = False
    return status


def _show(event: Event, view: View, seen: _Seen, spinner: Status) -> None:
    data = event.data
    if event.kind == "log" and view.logs:
        for line in data["lines"]:
            place = (line["step"], line["attempt"], line["line"])
            if place not in seen.lines and view.wants(line):
                _show_log(line, view)
            seen.lines.add(place)
    elif view.as_json:
        return
    elif event.kind == "step.updated" and view.steps:
        _show_step(data, seen, spinner)
    elif event.kind == "step.progress":
        spinner.update(Text(f"{data['step']} {data['done']}/{data['total'] or '?'} {data['text'] or ''}"))
    elif event.kind.startswith("run."):
        spinner.update(Text(f"{data['flow']} #{data['number']} {data['status']}"))


def _show_log(line: dict[str, Any], view: View) -> None:
    if view.as_json:
        terminal.print_json_line(line)
    else:
        show_line(line, to_stdout=not view.steps)


def _show_step(step: dict[str, Any], seen: _Seen, spinner: Status) -> None:
    now = (step["status"], step["attempt"])
    if seen.steps.get(step["step"]) == now:
        return
    seen.steps[step["step"]] = now
    spinner.update(Text(f"{step['step']} {step['status']}"))
    if step["status"] in _QUIET:
        return
    line = Text(f"  {step['step']} ").append_text(terminal.status(step["status"]))
    took = terminal.lasted(step["started_at"], step["finished_at"]) if step["finished_at"] else ""
    line.append(f" {took}" if took else "", style="dim")
    if step["error"] and step["status"] != "succeeded":
        line.append(f" {printable(step['error']['message'])}", style="red")
    terminal.err.print(line)
