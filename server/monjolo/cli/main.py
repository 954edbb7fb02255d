"""`monjolo`: each command group is loaded when it is asked for, so that help is quick."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from monjolo.cli.client import ApiFailure
from monjolo.cli.exits import MEANINGS, Exit

_COMPLETION = {"install_completion", "show_completion"}  # belongs to the program, not to each group

GROUPS = {
    "up": ("monjolo.cli.up", "Start the platform: API, orchestrator and worker in one process."),
    "flow": (
        "monjolo.cli.flow",
        "List, apply, validate, test, diff, run, pause, resume, export flows; ticks, backfills; recipes.",
    ),
    "run": ("monjolo.cli.run", "List, show, follow, cancel and repeat runs; why one waits."),
    "module": ("monjolo.cli.module", "Write, check, test, try and list modules."),
    "connection": ("monjolo.cli.connection", "Accounts that steps use; values are write-only."),
    "secret": ("monjolo.cli.secret", "Secrets that flows name; values are write-only."),
    "var": ("monjolo.cli.var", "Variables that flows name."),
    "user": ("monjolo.cli.user", "People who may sign in."),
    "token": ("monjolo.cli.token", "API tokens for programs."),
    "db": ("monjolo.cli.db", "Back up and restore; upgrade and check the database file."),
    "doctor": ("monjolo.cli.doctor", "What is well, what is not, and what to do about it."),
    "setup-link": ("monjolo.cli.setup_link", "A new one-time link for the first user."),
}


class Groups(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(GROUPS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        known = GROUPS.get(cmd_name)
        if known is None:
            return None
        app: typer.Typer = importlib.import_module(known[0]).app
        command = get_command(app)
        command.name = cmd_name
        command.params = [param for param in command.params if param.name not in _COMPLETION]
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in GROUPS.items()])
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), text) for code, text in MEANINGS.items()])

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Plain, and without loading the groups."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_commands(ctx, formatter)


def main() -> None:
    group = Groups(name="monjolo", help="Monjolo: flows that are never lost, modules that are one file.")
    sys.exit(run(group, sys.argv[1:]))


def run(group: TyperGroup, arguments: list[str]) -> int:
    """The exit code; every fault that was foreseen has become a line on standard error."""
    as_json = "--json" in arguments
    try:
        code = group.main(args=arguments, prog_name="monjolo", standalone_mode=False) or Exit.OK
        sys.stdout.flush()
    except ApiFailure as failure:
        return _failed(failure, as_json=as_json)
    except TyperException as error:
        return _wrong_use(error)
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("Stopped.\n")
        return Exit.INTERRUPTED
    except BrokenPipeError:  # who reads us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    return int(code)


def _failed(failure: ApiFailure, *, as_json: bool) -> int:
    if as_json:
        told = {"error": failure.detail, "code": failure.code, "status": failure.status, **failure.problem}
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
    sys.stderr.write(f"{failure.detail}\n")
    for problem in failure.problem.get("errors") or []:
        place = ":".join(str(part) for part in (problem.get("line"), problem.get("column")) if part)
        where = " ".join(part for part in (place, problem.get("path")) if part)
        sys.stderr.write(f"  {where}: {problem.get('message')} ({problem.get('code')})\n")
    return Exit.UNREACHABLE if failure.status == 0 else Exit.REFUSED


def _wrong_use(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    if context is not None:
        sys.stderr.write(f"{context.get_usage()}\n")
    sys.stderr.write(f"{error.format_message()}\n")
    if context is not None:
        sys.stderr.write(f"`{context.command_path} --help` tells more.\n")
    return Exit.WRONG_USE
