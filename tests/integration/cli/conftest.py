"""A small HTTP server that answers as it was told, in place of a platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class FakePlatform:
    """`answers` maps `METHOD /path` (below /api/v1, without query) to (status, JSON) or to raw bytes of a stream."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)


@pytest.fixture
def fake() -> Iterator[FakePlatform]:
    platform = FakePlatform()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            path = self.path.partition("?")[0].removeprefix("/api/v1")
            headers = {name.lower(): value for name, value in self.headers.items()}
            platform.asked.append(Asked(self.command, path, headers, body))
            found = platform.answers.get(f"{self.command} {path}", (404, {"code": "not_found", "detail": "no such"}))
            if callable(found):
                found = found(headers)
            status, content = (200, found) if isinstance(found, bytes) else (found[0], json.dumps(found[1]).encode())
            self.send_response(status)
            self.send_header("content-type", "text/event-stream" if isinstance(found, bytes) else "application/json")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        platform.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield platform
        server.shutdown()
        thread.join()


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`monjolo …` in a process of its own, on an empty data folder."""

    def run(*arguments: str, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MONJOLO_", "XDG_"))}
        folders = {"MONJOLO_DATA": str(tmp_path / "data"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        return subprocess.run(
            [sys.executable, "-c", "from monjolo.cli.main import main; main()", *arguments],
            env=clean | folders | variables,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run
