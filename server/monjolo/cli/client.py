"""The way of the command line to the platform: its API, and nothing else.

It speaks HTTP with the standard library alone, so that a command starts quickly.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode, urlsplit

DEFAULT_PORT = 7700
LOCK_NAME = "monjolo.lock"  # written by the platform: {pid, url}
_LOCAL = {"127.0.0.1", "localhost", "::1"}
_CHUNK = 1 << 16
_SILENCE_SECONDS = 60.0  # a live stream says something every 15 s


class ApiFailure(Exception):
    """The API refused, or did not answer. `status` 0: nobody answered."""

    def __init__(self, status: int, code: str, detail: str, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.problem = dict(problem or {})


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    kind: str
    data: Any
    id: str | None


def api(
    method: str,
    path: str,
    *,
    body: Any = None,
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Any:
    """One request below /api/v1; the decoded answer (a flow's text as it is), None for an empty one.

    Raises ApiFailure.
    """
    with _asked(method, path, body=body, query=query, headers=headers, timeout=timeout) as answer:
        content = _read(answer)
    if not content:
        return None
    return content.decode() if "yaml" in answer.headers.get("Content-Type", "") else json.loads(content)


def download(path: str, into: IO[bytes], *, query: Mapping[str, Any] | None = None) -> int:
    """Writes the answer's body into a file as it comes; how many bytes there were. Raises ApiFailure."""
    size = 0
    with _asked("GET", path, query=query, timeout=300.0) as answer:
        while part := _read(answer, _CHUNK):
            into.write(part)
            size += len(part)
    return size


def stream(path: str, *, last_id: str | None = None) -> Iterator[Event]:
    """The events of a live stream until it ends. Raises ApiFailure, status 0 when it breaks off."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
    with _asked("GET", path, headers=headers, timeout=_SILENCE_SECONDS) as answer:
        fields: dict[str, str] = {}
        while raw := _read_line(answer):
            line = raw.decode().rstrip("\r\n")
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
                continue
            if "data" in fields:
                yield Event(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id"))
            fields = {}


def platform_url() -> str:
    """MONJOLO_URL; else where the platform of this data folder says that it answers; else the default port."""
    if url := os.environ.get("MONJOLO_URL"):
        return url.rstrip("/")
    announced = announcement(data_folder()).get("url")
    if isinstance(announced, str):
        return announced.rstrip("/")
    return f"http://127.0.0.1:{os.environ.get('MONJOLO_PORT') or DEFAULT_PORT}"


def announcement(folder: Path) -> dict[str, Any]:
    """What the last platform on a data folder wrote about itself: `{pid, url}`, or nothing."""
    try:
        found = json.loads((folder / LOCK_NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def find_token() -> str | None:
    """MONJOLO_TOKEN, the signed-in user's credentials, or, for this machine's own platform, its cli-token."""
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
    if urlsplit(platform_url()).hostname not in _LOCAL:
        return None  # the machine's own token is nobody else's business
    return _read_private(data_folder() / "cli-token")


def config_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "monjolo"


def data_folder() -> Path:
    """As the settings find it: MONJOLO_DATA, else $XDG_DATA_HOME/monjolo, else ~/.local/share/monjolo."""
    if data := os.environ.get("MONJOLO_DATA"):
        return Path(data).expanduser()
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home.expanduser() / "monjolo"


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


# --- the transport ------------------------------------------------------------------------------------------


@contextmanager
def _asked(
    method: str,
    path: str,
    *,
    body: Any = None,
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float,
) -> Iterator[http.client.HTTPResponse]:
    token = find_token()
    sent = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    content = None if body is None else json.dumps(body).encode()
    if content is not None:
        sent["Content-Type"] = "application/json"
    wanted = {name: _as_text(value) for name, value in (query or {}).items() if value is not None}
    target = f"/api/v1{path}" + (f"?{urlencode(wanted)}" if wanted else "")
    with closing(_connection(timeout)) as connection:
        try:
            connection.request(method, target, content, {**sent, **(headers or {})})
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(error) from error
        if not 200 <= answer.status < 300:
            raise _refusal(answer.status, _read(answer))
        yield answer


def _connection(timeout: float) -> http.client.HTTPConnection:
    base = urlsplit(platform_url())
    if base.scheme == "https":
        return http.client.HTTPSConnection(base.netloc, timeout=timeout, context=ssl.create_default_context())
    if base.scheme != "http" or not base.netloc:
        raise ApiFailure(0, "bad_url", f"{platform_url()!r} is no address. Write MONJOLO_URL like http://host:7700.")
    return http.client.HTTPConnection(base.netloc, timeout=timeout)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(answer: http.client.HTTPResponse, size: int | None = None) -> bytes:
    try:
        return answer.read(size)
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(error) from error


def _read_line(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.readline()
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(error) from error


def _unreachable(error: Exception) -> ApiFailure:
    detail = (
        f"Nobody answers at {platform_url()} ({error}). Start the platform with `monjolo up`, or say where it is "
        "with MONJOLO_URL, or with MONJOLO_DATA which data folder is its own."
    )
    return ApiFailure(0, "unreachable", detail)


def _refusal(status: int, content: bytes) -> ApiFailure:
    try:
        problem = json.loads(content)
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    detail = str(problem.get("detail") or f"The API answered {status}.")
    if status == 401 and find_token() is None:
        detail = (
            "There is no token to show. Set MONJOLO_TOKEN, or on the platform's own machine MONJOLO_DATA to its "
            "data folder, whose cli-token is then used."
        )
    return ApiFailure(status, str(problem.get("code", "http_error")), detail, problem)
