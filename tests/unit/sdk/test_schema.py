"""Types become JSON Schema, inputs become values, and errors name the input."""

from __future__ import annotations

import datetime
import decimal
import uuid
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, TypedDict

import jsonschema_rs
import pytest
from pydantic import BaseModel

from monjolo_sdk import Connection, Context, Field, InvalidInput, InvalidOutput, Module, Secret
from monjolo_sdk.inputs import Inputs, converter
from monjolo_sdk.manifest import manifest
from monjolo_sdk.outputs import to_json
from monjolo_sdk.schema import SchemaBuilder, inputs_schema, outputs_schema
from monjolo_sdk.signature import Signature, help_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Node:
    name: str
    children: list[Node] = field(default_factory=list)
    weight: float = 1.0


class Row(TypedDict):
    id: int
    note: NotRequired[str]


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Person(BaseModel):
    name: str
    age: int = 0


Score = NewType("Score", int)
CASES: list[tuple[Any, Any, Any]] = [
    (str, "é", "é"),
    (int, 3, 3),
    (float, 3, 3.0),
    (bool, True, True),
    (None, None, None),
    (Any, {"a": [1]}, {"a": [1]}),
    (str | None, None, None),
    (int | str, "5", "5"),
    (float | int, 5, 5),
    (list[int], [1, 2], [1, 2]),
    (tuple[int, str], [1, "a"], (1, "a")),
    (tuple[int, ...], [1, 2, 3], (1, 2, 3)),
    (set[str], ["a"], {"a"}),
    (dict[str, float], {"a": 1}, {"a": 1.0}),
    (dict[Colour, int], {"red": 1}, {Colour.RED: 1}),
    (Literal["a", 1], 1, 1),
    (Colour, "blue", Colour.BLUE),
    (Level, 2, Level.HIGH),
    (Score, 7, 7),
    (Row, {"id": 1}, {"id": 1}),
    (Point, {"x": 1}, Point(1.0, 0.0)),
    (Node, {"name": "a", "children": [{"name": "b"}]}, Node("a", [Node("b")])),
    (Person, {"name": "Ana"}, Person(name="Ana")),
    (list[Node | None], [None, {"name": "a"}], [None, Node("a")]),
    (datetime.datetime, "2026-11-22T18:00:00Z", datetime.datetime(2026, 11, 22, 18, tzinfo=datetime.UTC)),
    (datetime.date, "2026-11-22", datetime.date(2026, 11, 22)),
    (decimal.Decimal, "1.10", decimal.Decimal("1.10")),
    (uuid.UUID, "0192b3c4-0000-7000-8000-000000000000", uuid.UUID("0192b3c4-0000-7000-8000-000000000000")),
    (Path, "/tmp/x", Path("/tmp/x")),
    (Annotated[str, Field(pattern="^a", min_length=2)], "ab", "ab"),
]


@pytest.mark.parametrize(("kind", "plain", "value"), CASES, ids=lambda case: str(case)[:40])
def test_a_value_fits_its_schema_and_becomes_the_type(kind: Any, plain: Any, value: Any) -> None:
    builder = SchemaBuilder()
    schema = {**builder.of(kind), "$defs": builder.definitions}
    assert jsonschema_rs.validator_for(schema).is_valid(plain)
    made = converter(kind)(plain, "x")
    assert made == value
    assert type(made) is type(value)
    assert jsonschema_rs.validator_for(schema).is_valid(to_json(made))


@pytest.mark.parametrize(
    ("kind", "bad", "said"),
    [
        (str, 5, "x: must be a text, not a whole number"),
        (int, True, "x: must be a whole number, not true or false"),
        (int, 1.5, "x: must be a whole number, not a number"),
        (int, float("inf"), "x: must be a whole number"),
        (float, "1", "x: must be a number, not a text"),
        (bool, 0, "x: must be true or false"),
        (str | None, [], "x: must be a text, not a list"),
        (int | str, [], "x: must be a whole number, not a list; or must be a text, not a list"),
        (list[int], [1, "a"], "x[1]: must be a whole number, not a text"),
        (tuple[int, str], [1], "x: must have 2 items, not 1"),
        (dict[str, int], {"a": None}, "x.a: must be a whole number, not null"),
        (Literal["a", 1], True, "x: must be one of 'a', 1"),
        (Colour, "green", "x: must be one of 'red', 'blue'"),
        (Node, {"name": "a", "children": [{}]}, "x.children[0].name: is required"),
        (Node, {"name": "a", "size": 1}, "x.size: there is no such field"),
        (Row, {"note": "n"}, "x.id: is required"),
        (Person, {"name": 5}, "x.name: "),
        (datetime.datetime, "soon", "x: must be a date and time such as"),
        (decimal.Decimal, "one", "x: must be a decimal number"),
        (Annotated[int, Field(minimum=1, maximum=5)], 6, "x: must be 5 or less"),
        (Annotated[str, Field(pattern="^a")], "b", "x: must match ^a"),
        (Annotated[str, Field(max_length=1)], "bb", "x: must be 1 characters or less"),
        (Annotated[list[int], Field(min_items=1)], [], "x: must be 1 items or more"),
        (Annotated[str, Field(enum=["a", "b"])], "c", "x: must be one of 'a', 'b'"),
    ],
)
def test_an_error_names_the_input_and_what_it_must_be(kind: Any, bad: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        converter(kind)(bad, "x")
    assert str(refused.value).startswith(said)


def test_an_error_about_a_secret_does_not_tell_it() -> None:
    for kind in (
        Secret,
        Annotated[str, Field(secret=True, pattern="^x$")],
        Annotated[str, Secret, Field(max_length=1)],
    ):
        with pytest.raises(InvalidInput) as refused:
            converter(Annotated[kind, Field(max_length=3)])("hunter2", "password")
        assert "hunter2" not in str(refused.value)


def test_a_secret_is_masked_where_it_is_shown_and_plain_where_it_is_used() -> None:
    secret = converter(Annotated[str, Field(secret=True)])("hunter2", "p")
    assert "hunter2" not in repr({"p": secret})
    assert secret == "hunter2"
    assert secret.reveal() == f"{secret}" == "hunter2"
    connection = Connection("c", "vault", {"token": "hunter2"}, secrets=["token"])
    assert "hunter2" not in repr(connection)
    assert connection.token == connection["token"] == "hunter2"
    with pytest.raises(AttributeError, match="no field 'other'"):
        _ = connection.other


def test_a_type_without_a_json_form_is_refused_by_name() -> None:
    for kind in (object(), complex, bytes, type):
        with pytest.raises(TypeError, match="no JSON form"):
            SchemaBuilder().of(kind)
        with pytest.raises(TypeError, match="no JSON form"):
            converter(kind)


async def act(
    ctx: Context,
    url: Annotated[str, Field("Address", format="uri", examples=["https://example.org"])],
    vault: Annotated[Connection, "vault"],
    spare: Annotated[Connection, "vault"] | None = None,
    *,
    text: Annotated[str, Field(multiline=True)] = "",
    key: Secret | None = None,
    colour: Colour = Colour.RED,
    rows: list[Row] | None = None,
) -> Node:
    """Do it.

    At length.

    Args:
        url: where
            to look
        text (str): what to say
    """
    return Node("x")


def test_the_form_comes_from_the_signature_and_the_help_from_the_docstring() -> None:
    text, about = help_of(act)
    schema = inputs_schema(Signature(act), about)
    assert text == "Do it.\n\nAt length."
    assert schema["required"] == ["url", "vault"]
    properties = schema["properties"]
    assert properties["url"] == {
        "type": "string",
        "title": "Address",
        "format": "uri",
        "examples": ["https://example.org"],
        "description": "where to look",
    }
    assert properties["vault"]["x-monjolo-connection"] == "vault"
    assert properties["spare"]["type"] == ["string", "null"]
    assert properties["text"]["x-monjolo-multiline"] is True
    assert properties["text"]["description"] == "what to say"
    assert properties["colour"] == {"type": "string", "enum": ["red", "blue"], "default": "red", "title": "Colour"}
    assert outputs_schema(Signature(act))["$ref"] == "#/$defs/Node"
    jsonschema_rs.meta.validate(schema)


def test_defaults_fill_in_and_unknown_inputs_are_refused() -> None:
    inputs = Inputs(Signature(act))
    vault = {"vault": Connection("main", "vault", {})}
    arguments = inputs.arguments({"url": "u", "vault": "main"}, vault)
    assert arguments["colour"] is Colour.RED
    assert arguments["spare"] is None
    assert arguments["vault"] is vault["vault"]
    for given, said in (({}, "url: is required"), ({"url": "u", "x": 1}, "x: there is no such input")):
        with pytest.raises(InvalidInput, match=said):
            inputs.arguments({"vault": "main", **given}, vault)
    with pytest.raises(InvalidInput, match="must be a connection of type vault, not other"):
        inputs.arguments({"url": "u"}, {"vault": Connection("o", "other", {})})


def test_results_become_plain_json() -> None:
    now = datetime.datetime(2026, 11, 22, 18, tzinfo=datetime.UTC)
    told = to_json({"n": Node("a"), "p": Point(1.0), "c": Colour.RED, "t": now, "f": Path("/x"), 3: {"b", "a"},
                    "m": Person(name="Ana"), "d": datetime.timedelta(seconds=90), "s": Secret("v")})  # fmt: skip
    assert told == {
        "n": {"name": "a", "children": [], "weight": 1.0},
        "p": {"x": 1.0, "y": 0.0},
        "c": "red",
        "t": "2026-11-22T18:00:00Z",
        "f": "/x",
        "3": ["a", "b"],
        "m": {"name": "Ana", "age": 0},
        "d": 90.0,
        "s": "v",
    }


def test_results_that_json_cannot_tell_are_named() -> None:
    loop: list[Any] = []
    loop.append(loop)
    for value, said in (
        ({"a": [1, float("nan")]}, "a.*nan"),
        ({"a": {"b": object()}}, r"a\.b is of type object"),
        ({(1, 2): 3}, "key of type tuple"),
        (loop, "contains itself"),
        (b"x", "bytes"),
    ):
        with pytest.raises(InvalidOutput, match=said):
            to_json(value)


def test_a_manifest_tells_everything_about_a_module() -> None:
    module = Module("demo", version="2.0.0", permissions={"net": ["a.example"], "platform": ["runs:read"]})
    module.connection_type("vault", fields={"token": Field("T", secret=True), "port": Annotated[int, Field(default=1)]})
    module.action(title="Act", effects="notify", timeout="5m", examples=[{"url": "https://a.example"}])(act)
    told = manifest(module, description="The docstring.")
    action = told["actions"]["act"]
    assert (told["id"], told["version"], told["title"]) == ("demo", "2.0.0", "Demo")
    assert told["description"] == "The docstring."
    assert told["permissions"] == {"net": ["a.example"], "platform": ["runs:read"]}
    assert (action["effects"], action["async"], action["timeout_seconds"]) == ("notify", True, 300.0)
    assert action["examples"] == [{"with": {"url": "https://a.example"}}]
    assert action["connections"] == {"vault": "vault", "spare": "vault"}
    assert told["connection_types"]["vault"]["secrets"] == ["token"]
    assert told["connection_types"]["vault"]["fields"]["required"] == ["token"]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Module("Bad-Id", version="1"), "module id"),
        (lambda: Module("a", version="1", permissions={"nets": []}), "unknown permission 'nets'"),
        (lambda: Module("a", version="1", permissions={"net": "x"}), "list of texts"),
        (lambda: Module("a", version="1").action(effects="delete")(act), "effects is"),  # type: ignore[arg-type]
        (lambda: Module("a", version="1").action(timeout="soon")(act), "not a duration"),
        (lambda: Module("a", version="1").action(name="Act!")(act), "action name"),
    ],
)
def test_a_wrong_declaration_is_refused_where_it_stands(build: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build()


def test_a_signature_without_a_form_is_refused() -> None:
    def star(*values: int) -> None: ...

    def positional(a: int, /) -> None: ...

    for function in (star, positional):
        with pytest.raises(TypeError, match="action"):
            Signature(function)
