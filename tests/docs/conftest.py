"""A real platform for the examples of the documents, with a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import uv

ROOT = Path(__file__).parents[2]
CURL = Path(__file__).with_name("curl.py")
READY_SECONDS = 50


@dataclass(frozen=True)
class Platform:
    """`environment` is what a reader's shell would have; the examples' port is replaced by `url`."""

    url: str
    home: Path
    environment: dict[str, str]
    client: httpx2.Client


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("home")
    environment = _environment(home)
    said = home / "stdout"
    with said.open("wb") as out, (home / "stderr").open("wb") as err:
        process = subprocess.Popen(
            ["monjolo", "up", "--port", "0"], cwd=home, env=environment, stdout=out, stderr=err,
            executable=Path(sys.executable).parent / "monjolo",
        )  # fmt: skip
        try:
            url = _url(process, said, home / "stderr")
            token = (home / ".local/share/monjolo/cli-token").read_text().strip()
            with httpx2.Client(base_url=f"{url}/api/v1", timeout=60, trust_env=False) as client:
                client.headers["Authorization"] = f"Bearer {token}"
                yield Platform(url, home, environment | {"MONJOLO_URL": url}, client)
        finally:
            process.terminate()
            process.wait(20)


def _environment(home: Path) -> dict[str, str]:
    """Where this shell's package cache is, so that nothing is downloaded twice; else as after signing in."""
    tools = home / "bin"
    tools.mkdir()
    if shutil.which("curl") is None:  # a machine without it still proves that the requests are right
        (tools / "curl").write_text(f'#!/bin/sh\nexec {sys.executable} {CURL} "$@"\n')
        (tools / "curl").chmod(0o755)
    cache = subprocess.run([uv.find_uv_bin(), "cache", "dir"], capture_output=True, text=True, check=True, cwd=ROOT)
    path = f"{Path(sys.executable).parent}:{tools}:{os.environ.get('PATH', os.defpath)}"
    settings = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_", "SSL_"))}
    return {"HOME": str(home), "LANG": "C.UTF-8", **settings, "PATH": path, "UV_CACHE_DIR": cache.stdout.strip()}


def _url(process: subprocess.Popen[bytes], said: Path, log: Path) -> str:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if text := said.read_text():
            return next(word for word in text.split() if word.startswith("http")).partition("/#")[0]
        time.sleep(0.05)
    raise AssertionError(f"it did not start: {log.read_text()}")
