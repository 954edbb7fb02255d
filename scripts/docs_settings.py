"""docs/reference/settings.md, from the settings' own descriptions."""

from __future__ import annotations

from itertools import groupby

from docs_table import code, table

from monjolo.settings import describe

_HEAD = """# Settings

Made from the code by `make docs`.

A setting comes from a flag of `monjolo up` (`--host`, `--port`, `--data`, `--config`), else from the environment, else
from a TOML file, else it has its default. The file is the one that `--config` or `MONJOLO_CONFIG` names, else
`monjolo.toml` in the data folder, if there is one. In the file `log.level` is `level` under `[log]`. A name that is not
a setting is refused, and the nearest one is named.

Durations are written like `90s`, `10m`, `6h`, `7d`. Sizes are written like `64KiB`, `10MB`, `1GiB`.

`MONJOLO_URL` and `MONJOLO_TOKEN` are read by the command line alone: where the platform is, and with which token.
"""


def page() -> str:
    parts = [_HEAD]
    for group, settings in groupby(describe(), key=lambda setting: (setting.name.rpartition(".")[0], setting.group)):
        name, about = group
        parts.append(f"\n## {name or 'The platform'}\n\n" + (f"{about}\n\n" if about else ""))
        parts.append(
            table(
                ("Setting", "Variable", "Default", "What it does"),
                [(code(s.name), code(s.variable), code(s.default), s.description) for s in settings],
            )
        )
    return "".join(parts)
