"""`monjolo up`: the platform in this terminal, until Ctrl C."""

from __future__ import annotations

import asyncio
import errno
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from monjolo.cli.exits import Exit
from monjolo.kit.disk import disk_error
from monjolo.kit.errors import MonjoloError
from monjolo.processes.all_in_one import run
from monjolo.settings import Settings, load

app = typer.Typer()

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}

Host = Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(help="The port; 0 takes a free one.", show_default="7700")]
Data = Annotated[Path | None, typer.Option(help="The data folder.", show_default="~/.local/share/monjolo")]
Config = Annotated[Path | None, typer.Option(help="The settings file.", show_default="monjolo.toml in the data folder")]


@app.command()
def up(host: Host = None, port: Port = None, data: Data = None, config: Config = None) -> None:
    """Start the platform and print one line: where it is, and how the first user gets in."""
    try:
        settings = load({"host": host, "port": port, "data": data}, config=config)
        _run(settings)
    except MonjoloError as error:
        sys.stderr.write(f"{error.detail}\n")
        raise typer.Exit(Exit.FAILED) from None


def _run(settings: Settings) -> None:
    """Raises MonjoloError for all that was foreseen, disks that fail in the middle included."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings, _say))
    except ExceptionGroup as group:
        foreseen = group.subgroup(MonjoloError)
        if foreseen is None:
            raise
        raise foreseen.exceptions[0] from None
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise disk_error(error, Path(error.filename or settings.data)) from None


def _say(url: str, link: str | None) -> None:
    where = link or url
    sys.stdout.write(f"Monjolo is up at {where}   (Ctrl C stops it)\n")
    sys.stdout.flush()
