"""`monjolo setup-link`: a new one-time link for the first user."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from monjolo.bootstrap.first_link import make_first_link
from monjolo.cli import terminal
from monjolo.cli.client import ApiFailure, api
from monjolo.cli.exits import Exit
from monjolo.cli.terminal import Json
from monjolo.kit.errors import MonjoloError
from monjolo.settings import load

app = typer.Typer()

Data = Annotated[Path | None, typer.Option("--data", help="The data folder.", show_default=False)]
Config = Annotated[Path | None, typer.Option("--config", help="The settings file.", show_default=False)]


@app.command()
def setup_link(data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """Print a link with which the first user is made. It holds for a day, and once."""
    if data is not None:
        os.environ["MONJOLO_DATA"] = str(data.absolute())
    try:
        link, up = api("POST", "/setup/link")["url"], True
    except ApiFailure as failure:
        if failure.status != 0 or os.environ.get("MONJOLO_URL"):
            raise
        link, up = _offline(data, config), False
    if as_json:
        terminal.print_json({"url": link, "up": up})
        return
    sys.stdout.write(f"{link}\n")
    if not up:
        terminal.say("The platform is down; the link works once `monjolo up` has started it.", "yellow")


def _offline(data: Path | None, config: Path | None) -> str:
    try:
        return asyncio.run(make_first_link(load({"data": data}, config=config)))
    except MonjoloError as error:
        terminal.say(error.detail, "red")
        raise typer.Exit(Exit.FAILED) from None
