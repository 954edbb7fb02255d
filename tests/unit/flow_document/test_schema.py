"""The JSON Schema and the reference page say what the code does."""

from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import pytest

from monjolo.flow_document import json_schema
from monjolo.flow_document.schema import reference_page

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "flow-format.md"
STEP = {"id": "a", "uses": "core/log"}
FLOW = {"schema": "monjolo/flow/v1", "id": "x", "steps": [STEP]}


def test_the_schema_is_a_json_schema():
    jsonschema_rs.meta.validate(json_schema())


@pytest.mark.parametrize(
    "change",
    [
        {},
        {
            "triggers": [
                {"id": "a", "type": "schedule", "cron": "@daily"},
                {"id": "w", "type": "webhook", "auth": "none"},
            ]
        },
        {"steps": [STEP | {"timeout": "1h30m", "retry": {"max_attempts": 2, "if": "true"}}]},
        {"steps": [{"id": "a", "sleep": 3}, {"id": "b", "fail": {"message": "x"}}]},
    ],
)
def test_the_schema_takes_a_right_document(change):
    jsonschema_rs.validate(json_schema(), FLOW | change)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": []},
        {"steps": [{"uses": "core/log"}]},
        {"steps": [STEP | {"while": {}}]},
        {"priority": 101},
        {"timeout": 30},
        {"schema": "v2"},
        {"triggers": [{"id": "a", "type": "poll"}]},
        {"triggers": [{"id": "a", "type": "interval", "every": "1m", "cron": "x"}]},
    ],
)
def test_the_schema_refuses_a_wrong_document(change):
    assert not jsonschema_rs.is_valid(json_schema(), FLOW | change)


def test_every_key_says_what_it_does():
    for name, definition in json_schema()["$defs"].items():
        assert definition["description"], name
        for key, value in definition["properties"].items():
            assert value["description"].endswith("."), f"{name}.{key}"


def test_the_reference_page_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == reference_page(), "run `make docs`"
