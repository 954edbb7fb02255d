"""`monjolo`: each command group is loaded when it is asked for, so that help is quick."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

GROUPS = {
    "up": ("monjolo.cli.up", "Start the platform: API, orchestrator and worker in one process."),
    "flow": ("monjolo.cli.flow", "List, apply, validate, diff, run, pause, resume, export flows."),
    "run": ("monjolo.cli.run", "List, show, follow, cancel and repeat runs."),
    "module": ("monjolo.cli.module", "Write, check, test, try and list modules."),
    "connection": ("monjolo.cli.connection", "Accounts that steps use; values are write-only."),
    "secret": ("monjolo.cli.secret", "Secrets that flows name; values are write-only."),
    "var": ("monjolo.cli.var", "Variables that flows name."),
    "user": ("monjolo.cli.user", "People who may sign in."),
    "token": ("monjolo.cli.token", "API tokens for programs."),
    "db": ("monjolo.cli.db", "The database file, while the platform is down."),
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
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in GROUPS.items()])

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Plain, and without loading the groups."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_commands(ctx, formatter)


def main() -> None:
    group = Groups(name="monjolo", help="Monjolo: flows that are never lost, modules that are one file.")
    sys.exit(group.main(prog_name="monjolo", standalone_mode=False) or 0)
