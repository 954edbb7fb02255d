"""What each role may do, in scopes."""

from __future__ import annotations

from monjolo.http.auth import SCOPES

_VIEWER = frozenset({"flows:read", "runs:read", "modules:read", "connections:read", "system:read"})
_EDITOR = _VIEWER | {"flows:write", "runs:write", "connections:write", "events:write"}

# A module is code that the platform will run, and people decide who else comes in: both are the admin's.
ROLES: dict[str, frozenset[str]] = {"admin": SCOPES, "editor": _EDITOR, "viewer": _VIEWER}
