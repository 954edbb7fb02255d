"""JSON Schema (2020-12) from types: what the form, the API and the expression checker know of an action."""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import enum
import pathlib
import types
import typing
import uuid
from typing import Any

from monjolo_sdk.fields import MISSING, Connection, Field, Secret
from monjolo_sdk.outputs import to_json
from monjolo_sdk.signature import Parameter, Signature, field_in, is_secret, strip

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    None: {"type": "null"},
    type(None): {"type": "null"},
    Any: {},
    object: {},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    decimal.Decimal: {"type": "string", "format": "decimal"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    pathlib.Path: {"type": "string", "format": "path"},
    pathlib.PurePath: {"type": "string", "format": "path"},
    Secret: {"type": "string", "format": "password", "writeOnly": True, "x-monjolo-secret": True},
    Connection: {"type": "string", "format": "connection"},
    dict: {"type": "object"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    set: {"type": "array", "uniqueItems": True},
}
SEQUENCES = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
SETS = (set, frozenset, collections.abc.Set)
MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


class SchemaBuilder:
    """Schemas of one document. Types that contain themselves go to `$defs`, all others stand in place."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._open: list[Any] = []
        self._recursive: set[Any] = set()

    def of(self, annotation: Any) -> Schema:
        """The schema of a type, with what its Field adds."""
        base, _ = strip(annotation)
        schema = dict(self._of_base(base))
        if is_secret(annotation):
            schema |= _SCALARS[Secret]
        field = field_in(annotation)
        return schema | field_schema(field) if field is not None else schema

    def _of_base(self, base: Any) -> Schema:
        try:
            if base in _SCALARS:
                return _SCALARS[base]
        except TypeError:  # unhashable, such as Annotated[..., []]
            pass
        origin, arguments = typing.get_origin(base), typing.get_args(base)
        if origin in (typing.Union, types.UnionType):
            return self._union(arguments)
        if origin is typing.Literal:
            return _choices([to_json(value) for value in arguments])
        if origin in SEQUENCES:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin in SETS:
            return {"type": "array", "items": self.of(arguments[0]), "uniqueItems": True}
        if origin is tuple:
            return self._tuple(arguments)
        if origin in MAPPINGS:
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if isinstance(base, type):
            return self._of_class(base)
        raise TypeError(f"the type {base!r} has no JSON form")

    def _of_class(self, kind: type) -> Schema:
        if issubclass(kind, enum.Enum):
            return _choices([to_json(member.value) for member in kind])
        if not is_record(kind):
            if issubclass(kind, pathlib.PurePath):
                return _SCALARS[pathlib.Path]
            known = next((scalar for scalar in (str, int, float) if issubclass(kind, scalar)), None)
            if known is None:
                raise TypeError(f"the type {kind.__qualname__!r} has no JSON form; use a dataclass or a TypedDict")
            return _SCALARS[known]
        if kind in self._open:
            self._recursive.add(kind)
            return {"$ref": f"#/$defs/{kind.__name__}"}
        self._open.append(kind)
        try:
            schema = self._pydantic(kind) if hasattr(kind, "model_json_schema") else self._record(kind)
        finally:
            self._open.pop()
        if kind in self._recursive:
            self.definitions[kind.__name__] = schema
            return {"$ref": f"#/$defs/{kind.__name__}"}
        return schema

    def _pydantic(self, kind: Any) -> Schema:
        schema: Schema = dict(kind.model_json_schema())
        self.definitions.update(schema.pop("$defs", {}))
        return schema

    def _record(self, kind: type) -> Schema:
        properties, required = {}, []
        for parameter in record_fields(kind):
            properties[parameter.name] = self.parameter(parameter)
            if parameter.required:
                required.append(parameter.name)
        schema: Schema = {"type": "object", "title": kind.__name__, "properties": properties}
        if required:
            schema["required"] = required
        return schema | {"additionalProperties": False}

    def _union(self, members: tuple[Any, ...]) -> Schema:
        schemas = [self.of(member) for member in members]
        if all(set(schema) == {"type"} and isinstance(schema["type"], str) for schema in schemas):
            return {"type": [schema["type"] for schema in schemas]}
        if not all(schemas):
            return {}
        return {"anyOf": schemas}

    def _tuple(self, members: tuple[Any, ...]) -> Schema:
        if len(members) == 2 and members[1] is Ellipsis:
            return {"type": "array", "items": self.of(members[0])}
        items = [self.of(member) for member in members]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}

    def parameter(self, parameter: Parameter) -> Schema:
        """The schema of one input or of one field of a record, with its default."""
        wanted = parameter.connection_type
        schema = self.of(parameter.annotation) if wanted is None else dict(_SCALARS[Connection])
        if parameter.field is not None:
            schema |= field_schema(parameter.field)
        if wanted:
            schema["x-monjolo-connection"] = wanted
        if wanted is not None and parameter.default is None:
            schema["type"] = ["string", "null"]
        if parameter.default is not MISSING and parameter.default is not UNTOLD:
            schema["default"] = to_json(parameter.default)
        return schema


UNTOLD = object()  # there is a default, but it is made anew each time (default_factory, NotRequired)


def is_record(kind: Any) -> bool:
    """A dataclass, TypedDict, NamedTuple or pydantic model: something with named fields."""
    return (
        hasattr(kind, "__dataclass_fields__")
        or typing.is_typeddict(kind)
        or (isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields"))
        or hasattr(kind, "model_json_schema")
    )


def record_fields(kind: Any) -> list[Parameter]:
    """The fields of a dataclass, TypedDict or NamedTuple."""
    hints = typing.get_type_hints(kind, include_extras=True)
    if hasattr(kind, "__dataclass_fields__"):
        fields = [field for field in kind.__dataclass_fields__.values() if field.init and field.name in hints]
        return [Parameter(field.name, hints[field.name], _dataclass_default(field)) for field in fields]
    if typing.is_typeddict(kind):
        required: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
        return [
            Parameter(name, hint, MISSING if name in required and not _not_required(hint) else UNTOLD)
            for name, hint in hints.items()
        ]
    defaults = kind._field_defaults
    return [Parameter(name, hints.get(name, Any), defaults.get(name, MISSING)) for name in kind._fields]


def inputs_schema(signature: Signature, about: dict[str, str] | None = None) -> Schema:
    """The schema of an action's inputs: an object, closed."""
    builder = SchemaBuilder()
    properties: dict[str, Schema] = {}
    for parameter in signature.parameters:
        schema = builder.parameter(parameter)
        schema.setdefault("title", parameter.name.replace("_", " ").capitalize())
        text = (about or {}).get(parameter.name)
        if text:
            schema.setdefault("description", text)
        properties[parameter.name] = schema
    document: Schema = {"$schema": DIALECT, "type": "object", "properties": properties}
    required = [parameter.name for parameter in signature.parameters if parameter.required]
    if required:
        document["required"] = required
    document["additionalProperties"] = False
    return document | ({"$defs": builder.definitions} if builder.definitions else {})


def outputs_schema(signature: Signature) -> Schema:
    """The schema of what an action returns; without an annotation anything goes."""
    builder = SchemaBuilder()
    schema = builder.of(signature.returns)
    definitions = {"$defs": builder.definitions} if builder.definitions else {}
    return {"$schema": DIALECT, **schema, **definitions}


def field_schema(field: Field) -> Schema:
    """What a Field adds to the schema of its type."""
    named = {
        "title": field.title,
        "description": field.description,
        "format": field.format,
        "enum": field.enum,
        "minimum": field.minimum,
        "maximum": field.maximum,
        "minLength": field.min_length,
        "maxLength": field.max_length,
        "minItems": field.min_items,
        "maxItems": field.max_items,
        "pattern": field.pattern,
        "examples": field.examples,
        "x-monjolo-multiline": field.multiline or None,
        "x-monjolo-hidden": field.hidden or None,
    }
    schema = {key: to_json(value) for key, value in named.items() if value is not None}
    return schema | (_SCALARS[Secret] if field.secret else {})


def _choices(values: list[Any]) -> Schema:
    kinds = {type(value) for value in values}
    typed = {"type": _SCALARS[kinds.pop()]["type"]} if len(kinds) == 1 and kinds <= set(_SCALARS) else {}
    return typed | {"enum": values}


def _dataclass_default(field: Any) -> Any:
    if type(field.default).__name__ != "_MISSING_TYPE":
        return field.default
    return MISSING if type(field.default_factory).__name__ == "_MISSING_TYPE" else UNTOLD


def _not_required(hint: Any) -> bool:
    # With `from __future__ import annotations` __required_keys__ cannot see NotRequired before 3.14.
    return typing.get_origin(hint) is typing.NotRequired
