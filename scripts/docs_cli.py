"""docs/reference/cli.md, from the commands themselves."""

from __future__ import annotations

from typing import Any

from docs_table import code, table

from monjolo.cli.exits import MEANINGS
from monjolo.cli.main import GROUPS, Groups

_HEAD = """# Command line

Made from the code by `make docs`.

`up`, `db`, `doctor`, `setup-link` and the commands that work on a module's files run on the machine itself. All others
use the API alone. They find it at `MONJOLO_URL` (`http://127.0.0.1:7700`). They show who they are by `MONJOLO_TOKEN`,
else by the token in `~/.config/monjolo/credentials.json`, else, on the machine of the platform, by the file `cli-token`
in its data folder (`MONJOLO_DATA`).

`--json` prints what programs can read, on standard output. News and errors go to standard error.

## Exit codes
"""


def page() -> str:
    group = Groups(name="monjolo")
    parts = [_HEAD, "\n", table(("Code", "Meaning"), [(str(int(at)), text) for at, text in MEANINGS.items()])]
    for name, (_, about) in GROUPS.items():
        command = group.get_command(None, name)
        parts.append(f"\n## monjolo {name}\n\n{about}\n")
        below = getattr(command, "commands", None)
        for full, one in [(f"{name} {key}", inner) for key, inner in below.items()] if below else [(name, command)]:
            parts.append(_command(full, one, titled=bool(below)))
    return "".join(parts)


def _command(name: str, command: Any, *, titled: bool) -> str:
    shown = [param for param in command.params if not getattr(param, "hidden", False) and param.name != "help"]
    arguments = [param for param in shown if param.param_type_name == "argument"]
    options = [param for param in shown if param.param_type_name == "option"]
    usage = " ".join([f"monjolo {name}", *map(_argument, arguments), *(["[OPTIONS]"] if options else [])])
    text = f"\n### {name}\n\n{' '.join((command.help or '').split())}\n" if titled else ""
    text += f"\n```text\n{usage}\n```\n"
    rows = [(code(param.name.upper()), param.help or "", "") for param in arguments]
    rows += [(code(", ".join(param.opts)), param.help or "", _default(param)) for param in options]
    return text + ("\n" + table(("", "What it is", "Default"), rows) if rows else "")


def _argument(param: Any) -> str:
    name = param.name.upper() + ("..." if param.nargs == -1 else "")
    return name if param.required else f"[{name}]"


def _default(param: Any) -> str:
    if isinstance(param.show_default, str):
        return param.show_default
    if param.required:
        return "required"
    return "" if param.default in (None, False, (), []) or callable(param.default) else code(param.default)
