"""One platform for all attacks, as a process of its own: with a secret key in its environment, and a canary."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

START_SECONDS, PATIENCE_SECONDS = 30.0, 30.0
PASSWORD = "a long sentence to sign in with"
ENDED = {"succeeded", "failed", "cancelled", "skipped", "timed_out", "crashed"}
HOSTILE = Path(__file__).with_name("hostile.py")


@dataclass
class Victim:
    """The platform under attack. `canary` stands in its environment, `secret` is sealed under the name `bait`."""

    folder: Path
    process: subprocess.Popen[bytes]
    key: str
    canary: str
    secret: str
    said: str = ""
    client: httpx2.Client | None = None

    @property
    def url(self) -> str:
        return str(json.loads((self.folder / "monjolo.lock").read_bytes())["url"])

    @property
    def token(self) -> str:
        return (self.folder / "cli-token").read_text().strip()

    @property
    def log(self) -> str:
        return (self.folder.parent / "platform.log").read_text()

    def ask(self, method: str, path: str, token: str | None = "", **request: Any) -> httpx2.Response:
        """As the machine's own command line; with another `token`, or as a stranger with None."""
        headers = dict(request.pop("headers", {}))
        if token is not None:
            headers.setdefault("authorization", f"Bearer {token or self.token}")
        target = path if path.startswith(("/health", "/metrics", "/.well-known", "/docs")) else f"/api/v1{path}"
        if self.client is None:
            self.client = httpx2.Client(base_url=self.url, timeout=60, trust_env=False)
        return self.client.request(method, target, headers=headers, **request)

    def publish(self, source: str | dict[str, Any]) -> None:
        text = source if isinstance(source, str) else json.dumps(source)
        answer = self.ask("POST", "/flows", params={"replace": "true"}, json={"source": text})
        assert answer.status_code in (200, 201), answer.text

    def run(self, flow: str, inputs: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.ask("POST", f"/flows/{flow}/runs", params={"wait": "50s"}, json={"inputs": inputs or {}})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def hostile(self, action: str, **inputs: Any) -> dict[str, Any]:
        """The end of a run whose only step is an action of the hostile module."""
        flow = f"do-{action.replace('_', '-')}"
        step = {"id": "a", "uses": f"hostile/{action}", "with": inputs, "timeout": "20s"}
        self.publish(
            {"schema": "monjolo/flow/v1", "id": flow, "steps": [step], "outputs": {"it": "${{ steps.a.output }}"}}
        )
        return self.run(flow)

    def found(self, action: str, **inputs: Any) -> Any:
        ended = self.hostile(action, **inputs)
        assert ended["status"] == "succeeded", ended
        return ended["outputs"]["it"]

    def lines(self, run: str) -> str:
        return self.ask("GET", f"/runs/{run}/logs/download", params={"format": "ndjson"}).text

    def everything_told(self, run: str) -> str:
        """All that the API tells of a run."""
        parts = ("", "/steps", "/logs", "/artifacts", "/why")
        return "\n".join(self.ask("GET", f"/runs/{run}{part}").text for part in parts) + self.lines(run)


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"in {seconds:.0f} s there was no {what}")
        time.sleep(0.05)
    return found


@pytest.fixture(scope="session")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    folder = tmp_path_factory.mktemp("victim") / "data"
    key, canary = secrets.token_hex(32), f"canary-{secrets.token_hex(12)}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MONJOLO_")}
    started = [sys.executable, "-c", "from monjolo.cli.main import main; main()", "up", "--port", "0"]
    with (folder.parent / "platform.log").open("wb") as log:
        process = subprocess.Popen(
            started,
            env=clean | {"MONJOLO_DATA": str(folder), "MONJOLO_SECRET_KEY": key, "CANARY_OF_THE_SERVER": canary},
            stdout=subprocess.PIPE,
            stderr=log,
        )
    found = Victim(folder, process, key, canary, f's3cr3t!"/{secrets.token_hex(12)}')
    try:
        assert process.stdout is not None
        found.said = process.stdout.readline().decode()
        assert "Monjolo is up" in found.said, found.log
        _furnish(found)
        yield found
    finally:
        if found.client is not None:
            found.client.close()
        process.send_signal(signal.SIGTERM)
        process.wait(START_SECONDS)
        if process.stdout is not None:
            process.stdout.close()


def _furnish(victim: Victim) -> None:
    assert victim.ask("POST", "/secrets", json={"name": "bait", "value": victim.secret}).status_code == 201
    (victim.folder / "modules").mkdir(exist_ok=True)
    (victim.folder / "modules" / "hostile.py").write_bytes(HOSTILE.read_bytes())
    until(lambda: victim.ask("GET", "/modules/hostile").status_code == 200, "hostile module")


@pytest.fixture(scope="session")
def people(victim: Victim) -> dict[str, str]:
    """Access tokens of an admin, an editor and a viewer."""
    key = victim.said.partition("#setup=")[2].split()[0]
    first = {"key": key, "name": "admin", "email": "admin@example.org", "password": PASSWORD}
    answer = victim.ask("POST", "/setup", None, json=first | {"locale": "en", "timezone": "UTC"})
    assert answer.status_code == 201, answer.text
    tokens = {"admin": answer.json()["access_token"]}
    for role in ("editor", "viewer"):
        email = f"{role}@example.org"
        new = {"name": role, "email": email, "role": role, "password": PASSWORD, "locale": "en", "timezone": "UTC"}
        assert victim.ask("POST", "/users", tokens["admin"], json=new).status_code == 201
        answer = victim.ask("POST", "/auth/token", None, json={"email": email, "password": PASSWORD})
        tokens[role] = answer.json()["access_token"]
    return tokens
