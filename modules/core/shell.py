"""Run a command. Values reach it through the environment, never by being pasted into its text."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monjolo_sdk import Context, InvalidInput, ModuleError, PermanentError

from .child import Ended, describe_exit, log_lines, run_child

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class CommandFailed(ModuleError):
    """The command ended with an exit code that is not allowed."""


class CommandNotFound(PermanentError):
    """There is no such program, or it may not be run."""


async def run_command(
    ctx: Context,
    argv: Sequence[str],
    *,
    variables: Mapping[str, Any],
    folder: str,
    stdin: str,
    keep_bytes: int,
    allowed: Sequence[int],
) -> Ended:
    """Run `argv` to its end. Raises CommandFailed for an exit code that is not in `allowed`."""
    cwd = _folder(folder, ctx)
    environment = {**os.environ, **_environment(variables)}
    try:
        ended = await run_child(
            argv,
            environment=environment,
            folder=cwd,
            stdin=stdin.encode("utf-8", "surrogateescape"),
            keep_bytes=keep_bytes,
            line=log_lines(ctx),
        )
    except OSError as error:
        raise CommandNotFound(f"{argv[0]!r} cannot be started: {error.strerror}") from None
    if ended.exit_code not in allowed:
        raise CommandFailed(_failure(ended), details={"exit_code": ended.exit_code, "stderr": ended.stderr[-4000:]})
    return ended


def argv_of(command: str, argv: Sequence[str]) -> list[str]:
    """The argument list: bash with its strict switches for a text, the list itself otherwise."""
    if bool(command.strip()) == bool(argv):
        raise InvalidInput("give either `command` (a text for bash) or `argv` (a list), and not both")
    for text in (command, *argv):
        if "\0" in text:
            raise InvalidInput("a command cannot hold a zero byte", "command" if command else "argv")
    if argv:
        return list(argv)
    bash = shutil.which("bash")
    if bash is None:
        raise CommandNotFound("bash is not installed on this worker; use `argv` instead of `command`")
    return [bash, "--noprofile", "--norc", "-euo", "pipefail", "-c", command]


def _environment(variables: Mapping[str, Any]) -> dict[str, str]:
    made = {}
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name):
            raise InvalidInput("a variable's name has letters, digits and _, no digit first", f"env.{name}")
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if "\0" in text:
            raise InvalidInput("a variable cannot hold a zero byte", f"env.{name}")
        made[name] = "" if value is None else text
    return made


def _folder(text: str, ctx: Context) -> Path:
    if not text:
        return ctx.tmp
    path = Path(text)
    if not path.is_absolute() or not path.is_dir():
        raise InvalidInput(f"{text!r} is not an absolute path of a folder", "cwd")
    return path


def _failure(ended: Ended) -> str:
    last = ended.stderr.strip().rpartition("\n")[2]
    return f"the command failed: {describe_exit(ended.exit_code)}" + (f": {last[:500]}" if last else "")


def shown(argv: Sequence[str]) -> str:
    """The command as one line for the log."""
    return shlex.join(argv)[:500]
