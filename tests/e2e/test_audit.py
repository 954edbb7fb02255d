"""Who came in, who was kept out, and what became of people and their tokens: all of it is in the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .conftest import Platform

PASSWORD, OTHER = "a long enough sentence 7", "another long sentence 8"


def entries(platform: Platform, *actions: str) -> list[tuple[str, str, str, dict[str, Any]]]:
    """(action, actor, object, detail), oldest first."""
    items = platform.get("/audit", limit=100)["items"]
    return [(e["action"], e["actor"], e["object"], e["detail"]) for e in reversed(items) if e["action"] in actions]


def test_sign_ins_and_changes_of_people_and_tokens_are_in_the_audit_log(another: Callable[..., Platform]) -> None:
    platform = another().start()
    key = platform.said.split("#setup=")[1].split()[0]
    ana = {"name": "Ana", "email": "Ana@example.org", "password": PASSWORD, "key": key}
    access = platform.post("/setup", ana, 201, token=None)["access_token"]
    me = platform.ask("GET", "/auth/me", token=access).json()["user"]["id"]
    rui = {"name": "Rui", "email": "rui@example.org", "password": PASSWORD, "role": "viewer"}
    made = platform.post("/users", rui, 201, token=access)
    for change in ({"role": "editor"}, {"password": OTHER}, {"disabled": True}):
        assert platform.ask("PATCH", f"/users/{made['id']}", json=change, token=access).status_code == 200
    for email, password in (("ana@example.org", "wrong"), ("nobody@example.org", PASSWORD), ("rui@example.org", OTHER)):
        refused = platform.ask("POST", "/auth/token", json={"email": email, "password": password}, token=None)
        assert refused.status_code == 401
    token = platform.post("/tokens", {"name": "robot", "scopes": ["runs:read"]}, 201, token=access)
    assert platform.ask("DELETE", f"/tokens/{token['id']}", token=access).status_code == 204
    again = platform.post("/auth/token", {"email": "ana@example.org", "password": PASSWORD}, 200, token=None)
    fresh = platform.post("/auth/refresh", {"refresh_token": again["refresh_token"]}, 200, token=None)
    reused = platform.ask("POST", "/auth/refresh", json={"refresh_token": again["refresh_token"]}, token=None)
    assert (reused.status_code, bool(fresh)) == (401, True)
    assert platform.ask("POST", "/auth/logout", token=access).status_code == 204

    people = entries(platform, "user.created", "user.changed")
    assert [(action, actor == me, whom) for action, actor, whom, _ in people] == [
        ("user.created", True, "user:ana@example.org"),
        ("user.created", True, "user:rui@example.org"),
        *[("user.changed", True, "user:rui@example.org")] * 3,
    ]
    assert [detail for *_, detail in people] == [
        {"role": "admin", "first": True},
        {"role": "viewer", "first": False},
        {"role": ["viewer", "editor"]},
        {"password": "changed"},
        {"disabled": [False, True]},
    ]
    doors = entries(platform, "session.opened", "session.refused", "session.ended")
    assert [(action, actor, whom, detail.get("reason")) for action, actor, whom, detail in doors] == [
        ("session.opened", me, "user:ana@example.org", None),
        ("session.refused", me, "user:ana@example.org", "wrong_password"),
        ("session.refused", "nobody", "user:unknown", "unknown_user"),  # what was typed may be a password
        ("session.refused", made["id"], "user:rui@example.org", "disabled"),
        ("session.opened", me, "user:ana@example.org", None),
        ("session.ended", me, "user:ana@example.org", "refresh_token_reused"),
        ("session.ended", me, "user:ana@example.org", "signed_out"),
    ]
    tokens = entries(platform, "token.created", "token.revoked")
    assert [(action, actor, whom) for action, actor, whom, _ in tokens] == [
        ("token.created", me, "token:robot"),
        ("token.revoked", me, "token:robot"),
    ]
    assert tokens[0][3]["scopes"] == ["runs:read"]
    everything = str(platform.get("/audit", limit=100))
    assert not any(secret in everything for secret in (PASSWORD, OTHER, token["token"], again["refresh_token"]))
