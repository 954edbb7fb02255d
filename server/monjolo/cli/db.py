"""`monjolo db …`: the database file itself. All but `backup` and `verify` work under the data folder's lock.

Exit codes: 0 well, 1 something is wrong (it says what), 2 wrong use.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from monjolo.bootstrap.archive import SETTINGS_ELSEWHERE
from monjolo.bootstrap.backup import Backup, back_up, keep_newest
from monjolo.bootstrap.restore import Restored, restore, verify
from monjolo.domains.connections.sealing import add_key, find_keys, open_ring, reseal
from monjolo.kit.errors import MonjoloError
from monjolo.kit.time import SystemClock, to_rfc3339
from monjolo.settings import Settings, format_size, load, settings_file
from monjolo.storage.inspect import inspect, transaction
from monjolo.storage.lock import DataLock
from monjolo.storage.migrate import prepare
from monjolo.storage.migrations import HEAD

app = typer.Typer(no_args_is_help=True, help="Back up and restore, upgrade and check, renew the key of the secrets.")
_err = Console(stderr=True, soft_wrap=True)
_RESEAL = 500

Data = Annotated[Path | None, typer.Option("--data", help="The data folder.", show_default=False)]
Config = Annotated[Path | None, typer.Option("--config", help="The settings file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="For programs: JSON on stdout.")]


@contextmanager
def _told() -> Iterator[None]:
    """An error becomes a line and exit code 1."""
    try:
        yield
    except MonjoloError as error:
        _err.print(error.detail, style="red", markup=False)
        raise typer.Exit(1) from None


@contextmanager
def _locked(data: Path | None, config: Path | None) -> Iterator[Settings]:
    """The settings, with the data folder held; an error becomes a line and exit code 1."""
    with _told():
        settings = load({"data": data}, config=config)
        with DataLock.acquire(settings.data):
            yield settings


def _say(text: str, found: dict[str, Any], *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(found, indent=2) if as_json else text) + "\n")


# --- backups ------------------------------------------------------------------------------------------------


@app.command("backup")
def backup(
    file: Annotated[
        Path | None, typer.Argument(help="The file to make, or a folder for one with a dated name; by default here.")
    ] = None,
    without_keys: Annotated[bool, typer.Option("--without-keys", help="Leave the keys out; keep them apart.")] = False,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Afterwards keep so many dated backups in the folder.", show_default=False)
    ] = None,
    data: Data = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Copy everything into one file, while the platform runs or while it is down.

    It holds every run accepted before this moment. With the keys in it, it is as secret as the data folder.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing half done stays behind
    with _told():
        settings = load({"data": data}, config=config)
        done = back_up(
            settings, file, SystemClock(), settings_file=settings_file(data, config), with_keys=not without_keys
        )
        gone = keep_newest(done.file.parent, keep) if keep else []
    _say("\n".join(_backup_lines(done, gone)), _backup_json(done, gone), as_json=as_json)


@app.command("restore")
def restore_backup(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    replace: Annotated[bool, typer.Option("--replace", help="Move aside what is in the data folder.")] = False,
    moved: Annotated[
        bool,
        typer.Option(
            "--moved",
            help="Nothing ran on the old place after the backup: at_most_once steps that had not begun may start.",
        ),
    ] = False,
    data: Data = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make a data folder out of a backup, from this or an earlier version. Then start the platform.

    Everybody signs in again. Of the runs that were under way, `at_most_once` steps end as `unknown`, since they may
    have run after the backup was made.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with _told():
        settings = load({"data": data}, config=config)
        done = restore(settings, file, SystemClock(), replace=replace, moved=moved)
    lines = list(_restored_lines(settings, config, done, moved=moved))
    found = {
        "data": str(settings.data), "instant": done.manifest.instant, "runs": done.manifest.runs,
        "under_way": done.under_way, "moved_aside": str(done.moved_aside) if done.moved_aside else None,
    }  # fmt: skip
    _say("\n".join(lines), found, as_json=as_json)


@app.command("verify")
def verify_backup(file: Annotated[Path, typer.Argument(help="The backup.")], as_json: Json = False) -> None:
    """Read a backup from end to end: every checksum, and the database in it."""
    with _told():
        found = verify(file)
    text = f"{file} is sound: {found.runs:,} runs, of {found.instant}, tables {found.tables}"
    said = {"file": str(file), "instant": found.instant, "runs": found.runs, "tables": found.tables, "keys": found.keys}
    _say(f"{text}, {'with' if found.keys else 'without'} keys.", said, as_json=as_json)


def _backup_lines(done: Backup, gone: list[Path]) -> Iterator[str]:
    size = format_size(done.bytes >> 10 << 10)
    yield f"{done.file}: {size}, {done.runs:,} runs, every run accepted before {to_rfc3339(done.instant)}. Checked."
    if done.key_elsewhere:
        yield "Secrets are sealed under a key that is no file of the key folder (MONJOLO_SECRET_KEY): keep it apart."
    yield "Keep it as secret as the data folder: the keys are in it." if done.keys else "The keys are not in it."
    if done.missing_blobs:
        yield f"{len(done.missing_blobs)} artifacts had no content any more: just pruned, or lost before."
    for left in done.left_out:
        yield f"Not taken: {left}."
    for path in gone:
        yield f"Deleted: {path}."


def _backup_json(done: Backup, gone: list[Path]) -> dict[str, Any]:
    return {
        "file": str(done.file), "instant": to_rfc3339(done.instant), "bytes": done.bytes, "runs": done.runs,
        "keys": done.keys, "key_elsewhere": done.key_elsewhere, "missing_blobs": list(done.missing_blobs),
        "left_out": done.left_out, "deleted": [str(path) for path in gone],
    }  # fmt: skip


def _restored_lines(settings: Settings, config: Path | None, done: Restored, *, moved: bool) -> Iterator[str]:
    yield f"Restored into {settings.data}: {done.manifest.runs:,} runs, as of {done.manifest.instant}."
    if done.under_way and not moved:
        yield f"{done.under_way:,} runs were under way: they go on, and their at_most_once steps end as unknown."
    elif done.under_way:
        yield f"{done.under_way:,} runs were under way: they go on."
    if done.moved_aside:
        yield f"What was there is in {done.moved_aside}; delete it when nothing of it is missed."
    if done.settings_elsewhere:
        yield f"The settings file was kept elsewhere: it is {SETTINGS_ELSEWHERE} now. Put it where it belongs."
    try:
        elsewhere = load({"data": settings.data}, config=config).modules_folder
    except MonjoloError as error:
        yield f"The settings do not fit this version; mend them before the start: {error.detail}"
    else:
        if elsewhere != settings.data / "modules":
            yield f"The module files are in {settings.data / 'modules'}; copy them to modules_dir, {elsewhere}."
    yield "Start it with `monjolo up`. Everybody signs in again; API tokens hold."


# --- the database -------------------------------------------------------------------------------------------


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
