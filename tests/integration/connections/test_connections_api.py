"""/secrets, /connections, /vars and /audit by their HTTP door."""

from __future__ import annotations

import asyncio
import base64

import pytest

from monjolo.domains.connections.models import ConnectionMissing, SecretMissing
from monjolo.domains.connections.placeholders import resolve_secrets, secret_names
from monjolo.kit.errors import Unavailable
from monjolo.storage.sqlite import connect

from .conftest import NOW, House

CANARY = "canary-4f0b-of-a-secret"


async def test_a_secret_goes_in_and_never_comes_back(house: House) -> None:
    made = await house.call("POST", "/secrets", {"name": "API_KEY", "value": CANARY, "title": "The shop"})
    assert made.status_code == 201
    assert made.headers["etag"] == '"1"'
    texts = [made.text]
    for path in ("/secrets", "/secrets/API_KEY", f"/secrets/{made.json()['id']}", "/audit"):
        answer = await house.call("GET", path)
        assert answer.status_code == 200
        texts.append(answer.text)
    assert all(CANARY not in text for text in texts)
    assert (await house.connections.open(house.workspace, ["API_KEY"])).secrets == {"API_KEY": CANARY}


async def test_no_file_of_the_data_folder_holds_the_secret(house: House) -> None:
    await house.call("POST", "/secrets", {"name": "a", "value": CANARY})
    fields = {"username": "ana", "password": CANARY}
    await house.call("POST", "/connections", {"name": "shop", "type": "http_basic", "fields": fields})
    await house.call("PATCH", "/secrets/a", {"value": CANARY + "-2"})
    await house.call("DELETE", "/secrets/a")
    forms = [CANARY.encode(), base64.b64encode(CANARY.encode())[:-4], CANARY.encode().hex().encode()]
    for _ in range(2):
        for file in house.path.parent.rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            assert not any(form in content for form in forms), file
        await house.database.checkpoint()


async def test_a_refused_value_is_not_repeated_in_the_answer(house: House) -> None:
    bodies = [
        ("/secrets", {"name": "x", "value": [CANARY]}),
        ("/secrets", {"name": "not a name", "value": CANARY}),
        ("/secrets", {"name": "x", "valu": CANARY}),
        ("/connections", {"name": "c", "type": "shop", "fields": {"account": "a", "api_key": {"k": CANARY}}}),
        ("/connections", {"name": "c", "type": "http_bearer", "fields": {"token": CANARY, "port": 1}}),
        ("/connections", {"name": "c", "type": "smtp", "fields": {"host": "h", "port": 1, "security": CANARY}}),
    ]
    for path, body in bodies:
        answer = await house.call("POST", path, body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"] or answer.json()["code"] == "bad_name"
        assert CANARY not in answer.text
    assert (await house.call("GET", "/connections")).json()["total"] == 0


async def test_edits_take_the_etag_and_refuse_an_old_one(house: House) -> None:
    await house.call("POST", "/secrets", {"name": "a", "value": "one"})
    changed = await house.call("PATCH", "/secrets/a", {"value": "two"}, **{"if-match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    late = await house.call("PATCH", "/secrets/a", {"value": "three"}, **{"if-match": '"1"'})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert (await house.call("DELETE", "/secrets/a", **{"if-match": '"1"'})).status_code == 412
    assert (await house.connections.open(house.workspace, ["a"])).secrets == {"a": "two"}
    assert (await house.call("DELETE", "/secrets/a", **{"if-match": '"2"'})).status_code == 204
    assert (await house.call("GET", "/secrets/a")).status_code == 404


async def test_a_name_is_taken_once(house: House) -> None:
    bodies = [{"name": "same", "value": str(n)} for n in range(20)]
    answers = await asyncio.gather(*[house.call("POST", "/secrets", body) for body in bodies])
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert (await house.call("POST", "/vars", {"name": "v", "value": 1})).status_code == 201
    assert (await house.call("POST", "/vars", {"name": "v", "value": 2})).json()["code"] == "variable_exists"


async def test_a_connection_shows_its_plain_fields_alone(house: House) -> None:
    body = {"name": "loja", "type": "shop", "fields": {"account": "ana", "api_key": CANARY}}
    made = (await house.call("POST", "/connections", body)).json()
    assert made["fields"] == {"account": "ana"}
    assert made["hosts"] == ["*.shop.example"]
    changed = await house.call("PATCH", "/connections/loja", {"fields": {"account": "bia"}})
    assert changed.json()["fields"] == {"account": "bia"}
    opened = await house.connections.open(house.workspace, connections=["loja"])
    assert opened.connections["loja"] == {
        "name": "loja",
        "type": "shop",
        "hosts": ["*.shop.example"],
        "secrets": ["api_key"],
        "fields": {"account": "bia", "api_key": CANARY},
    }
    assert opened.values() == (CANARY,)
    gone = await house.call("PATCH", "/connections/loja", {"fields": {"api_key": None}})
    assert gone.status_code == 422


async def test_every_field_of_a_generic_connection_is_secret(house: House) -> None:
    body = {"name": "any", "type": "generic", "fields": {"one": "1-one", "two": "2-two"}}
    made = (await house.call("POST", "/connections", body)).json()
    assert made["fields"] == {}
    opened = await house.connections.open(house.workspace, connections=["any"])
    assert opened.connections["any"]["secrets"] == ["one", "two"]
    assert set(opened.values()) == {"1-one", "2-two"}


async def test_types_are_the_built_in_ones_and_those_of_modules(house: House) -> None:
    items = (await house.call("GET", "/connection-types")).json()["items"]
    assert [item["id"] for item in items] == ["generic", "http_basic", "http_bearer", "shop", "smtp"]
    unknown = await house.call("POST", "/connections", {"name": "c", "type": "fax", "fields": {}})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "connection_type_missing")


async def test_variables_are_plain_and_readable(house: House) -> None:
    value = {"hosts": ["a", "b"], "n": 3}
    assert (await house.call("POST", "/vars", {"name": "conf", "value": value})).json()["value"] == value
    changed = await house.call("PATCH", "/vars/conf", {"value": None}, **{"if-match": '"1"'})
    assert (changed.json()["value"], changed.headers["etag"]) == (None, '"2"')
    too_large = await house.call("POST", "/vars", {"name": "large", "value": "x" * 70_000})
    assert too_large.status_code == 413
    assert (await house.call("DELETE", "/vars/conf")).status_code == 204


async def test_lists_go_on_where_the_page_ended(house: House) -> None:
    for n in range(7):
        await house.call("POST", "/secrets", {"name": f"s{n}", "value": "x"})
    first = (await house.call("GET", "/secrets?limit=5")).json()
    rest = (await house.call("GET", f"/secrets?limit=5&after={first['next']}")).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == [f"s{n}" for n in range(7)]
    assert (rest["next"], rest["total"]) == (None, 7)


async def test_another_workspace_sees_and_changes_nothing(house: House) -> None:
    await house.call("POST", "/secrets", {"name": "a", "value": CANARY})
    other = {"token": "other:admin"}
    assert (await house.call("GET", "/secrets", **other)).json()["items"] == []
    for method, body in (("GET", None), ("PATCH", {"value": "x"}), ("DELETE", None)):
        assert (await house.call(method, "/secrets/a", body, **other)).status_code == 404
    assert (await house.call("GET", "/audit", **other)).json()["items"] == []
    with pytest.raises(SecretMissing):
        await house.connections.open("other", ["a"])


async def test_who_may_only_read_changes_nothing(house: House) -> None:
    reader = {"token": f"{house.workspace}:viewer"}
    assert (await house.call("GET", "/secrets", **reader)).status_code == 200
    assert (await house.call("POST", "/secrets", {"name": "a", "value": "x"}, **reader)).status_code == 403
    assert (await house.call("GET", "/audit", **reader)).status_code == 403


async def test_every_change_is_in_the_audit_log(house: House) -> None:
    await house.call("POST", "/secrets", {"name": "a", "value": "one"})
    await house.call("PATCH", "/secrets/a", {"value": "two"})
    await house.call("DELETE", "/secrets/a")
    await house.call("POST", "/vars", {"name": "v", "value": 1})
    items = (await house.call("GET", "/audit")).json()["items"]
    assert [(item["action"], item["object"]) for item in items] == [
        ("variable.created", "variable:v"),
        ("secret.deleted", "secret:a"),
        ("secret.changed", "secret:a"),
        ("secret.created", "secret:a"),
    ]
    assert {item["actor"] for item in items} == {"user-1"}
    filtered = (await house.call("GET", "/audit?action=secret.changed")).json()["items"]
    assert filtered[0]["detail"] == {"changed": ["value"]}
    page = (await house.call("GET", "/audit?limit=3")).json()
    assert len((await house.call("GET", f"/audit?after={page['next']}")).json()["items"]) == 1


async def test_the_last_use_is_written_at_most_once_a_minute(house: House) -> None:
    await house.call("POST", "/secrets", {"name": "a", "value": "x"})
    await house.connections.open(house.workspace, ["a"])
    first = (await house.call("GET", "/secrets/a")).json()["last_used_at"]
    house.clock.at = NOW + 30_000_000
    await house.connections.open(house.workspace, ["a"])
    assert (await house.call("GET", "/secrets/a")).json()["last_used_at"] == first
    house.clock.at = NOW + 61_000_000
    await house.connections.open(house.workspace, ["a"])
    assert (await house.call("GET", "/secrets/a")).json()["last_used_at"] > first


async def test_a_row_moved_to_another_name_does_not_open(house: House) -> None:
    for name in ("a", "b"):
        await house.call("POST", "/secrets", {"name": name, "value": f"value of {name}"})
    connection = connect(house.path)
    connection.execute("UPDATE sealed SET value = (SELECT value FROM sealed WHERE name = 'a') WHERE name = 'b'")
    connection.close()
    with pytest.raises(Unavailable) as refused:
        await house.connections.open(house.workspace, ["b"])
    assert refused.value.code == "seal_broken"


async def test_what_is_missing_is_named(house: House) -> None:
    with pytest.raises(SecretMissing, match="nothing_here"):
        await house.connections.open(house.workspace, ["nothing_here"])
    with pytest.raises(ConnectionMissing, match="nobody"):
        await house.connections.open(house.workspace, connections=["nobody"])


def test_placeholders_are_filled_once_and_their_values_told() -> None:
    inputs = {
        "token": {"$secret": "a"},
        "header": {"$secret_text": ["Bearer ", {"$secret": "b"}, "!"]},
        "deep": [{"x": {"$secret": "a"}}],
        "plain": {"$secret": "a", "other": 1},
    }
    assert secret_names(inputs) == {"a", "b"}
    values = {"a": '{"$secret": "b"}', "b": "bbb"}
    resolved, masks = resolve_secrets(inputs, values.__getitem__)
    assert resolved == {
        "token": '{"$secret": "b"}',
        "header": "Bearer bbb!",
        "deep": [{"x": '{"$secret": "b"}'}],
        "plain": {"$secret": "a", "other": 1},
    }
    assert set(masks) == set(values.values())
    assert inputs["token"] == {"$secret": "a"}
