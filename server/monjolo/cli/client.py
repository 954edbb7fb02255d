"""The way of the command line to the platform: its API, and nothing else."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

DEFAULT_URL = "http://127.0.0.1:7700"


class ApiFailure(Exception):
    """The API refused, or did not answer. `status` 0: nobody answered."""

    def __init__(self, status: int, code: str, detail: str, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.problem = dict(problem or {})


def api(
    method: str, path: str, *, body: Any = None, query: Mapping[str, Any] | None = None, timeout: float = 60.0
) -> Any:
    """One request below /api/v1; the decoded answer, None for an empty one. Raises ApiFailure."""
    base = os.environ.get("MONJOLO_URL", DEFAULT_URL).rstrip("/")
    token = find_token()
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    wanted = {name: value for name, value in (query or {}).items() if value is not None}
    try:
        with httpx2.Client(base_url=base, headers=headers, timeout=timeout, trust_env=False) as client:
            answer = client.request(method, f"/api/v1{path}", json=body, params=wanted)
    except httpx2.HTTPError as error:
        raise ApiFailure(
            0,
            "unreachable",
            f"Nobody answers at {base} ({error}). Start it with `monjolo up`, or set MONJOLO_URL.",
        ) from error
    if answer.is_success:
        return answer.json() if answer.content else None
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    raise ApiFailure(
        answer.status_code,
        str(problem.get("code", "http_error")),
        str(problem.get("detail") or f"The API answered {answer.status_code}."),
        problem,
    )


def find_token() -> str | None:
    """MONJOLO_TOKEN, the signed-in user's credentials, or, on the platform's own machine, its cli-token."""
    if token := os.environ.get("MONJOLO_TOKEN"):
        return token
    credentials = config_folder() / "credentials.json"
    if text := _read_private(credentials):
        try:
            found = json.loads(text).get("token")
        except (ValueError, AttributeError):
            found = None
        if isinstance(found, str):
            return found
    return _read_private(data_folder() / "cli-token")


def config_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "monjolo"


def data_folder() -> Path:
    return Path(os.environ.get("MONJOLO_DATA") or Path.home() / ".local" / "share" / "monjolo")


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "monjolo"


def _read_private(path: Path) -> str | None:
    """A file that others may read is no secret, and is not used."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            return None
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
