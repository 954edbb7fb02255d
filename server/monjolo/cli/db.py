"""`monjolo db …`: the database file itself, while the platform is down. It works under the data folder's lock.

Exit codes: 0 well, 1 something is wrong (it says what), 2 wrong use.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from monjolo.domains.connections.sealing import add_key, find_keys, open_ring, reseal
from monjolo.kit.errors import MonjoloError
from monjolo.kit.time import SystemClock
from monjolo.settings import Settings, format_size, load
from monjolo.storage.inspect import inspect, transaction
from monjolo.storage.lock import DataLock
from monjolo.storage.migrate import prepare
from monjolo.storage.migrations import HEAD

app = typer.Typer(no_args_is_help=True, help="Upgrade and check the database, renew the key of the secrets.")
_err = Console(stderr=True, soft_wrap=True)
_RESEAL = 500

Data = Annotated[Path | None, typer.Option("--data", help="The data folder.", show_default=False)]
Config = Annotated[Path | None, typer.Option("--config", help="The settings file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="For programs: JSON on stdout.")]


@contextmanager
def _locked(data: Path | None, config: Path | None) -> Iterator[Settings]:
    """The settings, with the data folder held; an error becomes a line and exit code 1."""
    try:
        settings = load({"data": data}, config=config)
        with DataLock.acquire(settings.data):
            yield settings
    except MonjoloError as error:
        _err.print(error.detail, style="red", markup=False)
        raise typer.Exit(1) from None


def _say(text: str, found: dict[str, Any], *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(found, indent=2) if as_json else text) + "\n")


@app.command("upgrade")
def upgrade(data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """Make the database, or bring it to the tables of this version. `monjolo up` does the same by itself."""
    with _locked(data, config) as settings:
        changed = prepare(settings.database_file, SystemClock().now())
    text = f"Upgraded to {HEAD}." if changed else f"Nothing to do: it is at {HEAD}."
    _say(text, {"version": HEAD, "changed": changed}, as_json=as_json)


@app.command("check")
def check(data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """Read the whole database and say whether it is sound, how large it is, and whether its keys are there."""
    with _locked(data, config) as settings:
        findings = inspect(settings.database_file)
        problems = list(findings.problems)
        if findings.version == HEAD:
            try:
                with transaction(settings.database_file) as connection:
                    find_keys(connection, settings.keys_folder, _secret_key(settings))
            except MonjoloError as error:
                problems.append(error.detail)
        else:
            problems.append(f"its tables are at {findings.version}, not {HEAD}: run `monjolo db upgrade`")
    lines = [
        f"{settings.database_file}: tables {findings.version}, {findings.runs:,} runs,"
        f" {format_size(findings.bytes)}, of which {format_size(findings.free_bytes)} free",
        *(f"wrong: {problem}" for problem in problems),
    ]
    found = {
        "file": str(settings.database_file), "version": findings.version, "runs": findings.runs,
        "bytes": findings.bytes, "free_bytes": findings.free_bytes, "problems": problems,
    }  # fmt: skip
    _say("\n".join(lines), found, as_json=as_json)
    if problems:
        raise typer.Exit(1)


@app.command("renew-key")
def renew_key(data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """Make a new key and seal every secret under it again. Afterwards the older key files may go.

    When MONJOLO_SECRET_KEY is set no file is made: put the new key first in it, the old one behind a comma.
    """
    with _locked(data, config) as settings:
        secret_key = _secret_key(settings)
        prepare(settings.database_file, SystemClock().now())
        with transaction(settings.database_file) as connection:
            find_keys(connection, settings.keys_folder, secret_key)  # first: what there is must open
            if secret_key is None:
                add_key(settings.keys_folder)
            ring = open_ring(connection, settings.keys_folder, secret_key)
            count = 0
            while step := reseal(connection, ring, _RESEAL):
                count += step
    text = f"{count} sealed under the key {ring.current}."
    _say(text, {"key": ring.current, "sealed_again": count}, as_json=as_json)


def _secret_key(settings: Settings) -> str | None:
    return settings.secret_key.get_secret_value() if settings.secret_key else None
