from __future__ import annotations

import pytest

from monjolo.domains.users.roles import ROLES
from monjolo.http.auth import PUBLIC, SCOPES, Principal, require
from monjolo.http.etag import etag, if_match
from monjolo.http.sse import Event, encode_event
from monjolo.kit.errors import Forbidden, InvalidInput, PreconditionFailed


async def test_an_edit_goes_through_only_for_what_was_read() -> None:
    (await if_match(None)).check(3)
    (await if_match("*")).check(3)
    (await if_match('"2", "3"')).check(3)
    with pytest.raises(PreconditionFailed):
        (await if_match(etag(2))).check(3)
    for wrong in ("3", "", '"', 'W/"3"'):
        with pytest.raises(InvalidInput):
            await if_match(wrong)


def test_a_scope_that_does_not_exist_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="flows:wirte"):
        require("flows:wirte")


def test_a_lacking_scope_is_named() -> None:
    viewer = Principal("u", "w", "viewer", ROLES["viewer"])
    with pytest.raises(Forbidden, match="runs:write"):
        require("runs:write").check(viewer)
    assert require("runs:read").check(viewer) is viewer


def test_each_role_has_what_the_one_below_has_and_modules_are_the_admins() -> None:
    assert ROLES["viewer"] < ROLES["editor"] < ROLES["admin"] == SCOPES
    assert {"modules:write", "users:admin"} == ROLES["admin"] - ROLES["editor"]
    assert all(scope.endswith(":read") for scope in ROLES["viewer"])


def test_what_is_public_is_a_short_list() -> None:
    assert len(PUBLIC) <= 22
    assert not any(word in template for _, template in PUBLIC for word in ("runs", "users", "tokens", "secrets"))


def test_an_event_cannot_break_out_of_its_lines() -> None:
    assert encode_event(Event("a\n\ndata: b\r", id="1")) == b'id: 1\ndata: "a\\n\\ndata: b\\r"\n\n'
    for event in (Event(1, event="a\nb"), Event(1, id="1\r2"), Event(1, id="\0")):
        with pytest.raises(ValueError, match="one line"):
            encode_event(event)
