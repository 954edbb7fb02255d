"""From JSON inputs to the values an action's types ask for. Every error names the input.

The words of an error tell kinds and limits, never the value: it may be a secret.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import pathlib
import re
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from monjolo_sdk.errors import InvalidInput
from monjolo_sdk.fields import Connection, Field, Secret
from monjolo_sdk.schema import MAPPINGS, SEQUENCES, SETS, UNTOLD, is_record, record_fields
from monjolo_sdk.signature import Parameter, Signature, field_in, is_secret, strip

Converter = Callable[[Any, str], Any]

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    tuple: "a list",
    dict: "an object",
    type(None): "null",
}


class Inputs:
    """Turns the inputs of one action into its arguments. Made once per action, used for every run."""

    def __init__(self, signature: Signature) -> None:
        self.context = signature.context
        self.parameters = [(parameter, _parameter_converter(parameter)) for parameter in signature.parameters]
        self._names = {parameter.name for parameter in signature.parameters}

    def arguments(self, inputs: Mapping[str, Any], connections: Mapping[str, Connection]) -> dict[str, Any]:
        """The keyword arguments, without the context. Raises InvalidInput."""
        for name in inputs:
            if name not in self._names:
                known = ", ".join(sorted(self._names)) or "none"
                raise InvalidInput(f"there is no such input; known are: {known}", name)
        arguments: dict[str, Any] = {}
        for parameter, convert in self.parameters:
            name = parameter.name
            if parameter.connection_type is not None:
                arguments[name] = _connection(parameter, inputs.get(name), connections)
            elif name in inputs:
                arguments[name] = convert(inputs[name], name)
            elif parameter.required:
                raise InvalidInput("is required", name)
            elif parameter.default is not UNTOLD:
                arguments[name] = parameter.default
        return arguments


def converter(annotation: Any) -> Converter:
    """The converter of a type, its Field's limits included."""
    base, _ = strip(annotation)
    convert = _base_converter(base)
    if is_secret(annotation) and base is not Secret:
        convert = _secret_converter(convert)
    field = field_in(annotation)
    return _checked(convert, field) if field is not None else convert


def _parameter_converter(parameter: Parameter) -> Converter:
    if parameter.connection_type is not None:
        return _anything
    convert = converter(parameter.annotation)
    if parameter.field is not None and parameter.field is not field_in(parameter.annotation):
        convert = _checked(convert, parameter.field)
    return convert


def _connection(parameter: Parameter, given: Any, connections: Mapping[str, Connection]) -> Connection | None:
    found = connections.get(parameter.name)
    if found is None and given is None and parameter.default is None:
        return None
    if found is None:
        raise InvalidInput("names no connection that this step was given", parameter.name)
    wanted = parameter.connection_type
    if wanted and found.type and found.type != wanted:
        raise InvalidInput(f"must be a connection of type {wanted}, not {found.type}", parameter.name)
    return found


def _base_converter(base: Any) -> Converter:
    origin, arguments = typing.get_origin(base), typing.get_args(base)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin is typing.Literal:
        return _choice([(value, value) for value in arguments])
    if origin is tuple:
        return _tuple(arguments)
    if origin in SEQUENCES or base is list:
        return _list(arguments, list)
    if origin in SETS or base in SETS:
        return _list(arguments, frozenset if frozenset in (origin, base) else set)
    if origin in MAPPINGS or base is dict:
        return _mapping(arguments)
    if base is Any or base is object:
        return _anything
    if base is None:
        base = type(None)
    if base in _SCALARS:
        return _SCALARS[base]
    if isinstance(base, type):
        return _class_converter(base)
    raise TypeError(f"the type {base!r} has no JSON form")


def _class_converter(kind: Any) -> Converter:
    if issubclass(kind, enum.Enum):
        return _choice([(member.value, member) for member in kind])
    if hasattr(kind, "model_validate"):
        return _model(kind)
    if is_record(kind):
        return _record(kind)
    if issubclass(kind, pathlib.PurePath):
        return _parsed(kind, "a path")
    if kind is tuple:
        return _list((), tuple)
    for scalar in (str, int, float):
        if issubclass(kind, scalar):
            return _made(_SCALARS[scalar], kind)
    raise TypeError(f"the type {kind.__qualname__!r} has no JSON form")


def _anything(value: Any, path: str) -> Any:
    return value


def _text(value: Any, path: str) -> str:
    if isinstance(value, str):
        return value
    raise _wrong("a text", value, path)


def _whole(value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        raise _wrong("a whole number", value, path)
    return int(value)


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong("a number", value, path)
    return float(value)


def _boolean(value: Any, path: str) -> bool:
    if isinstance(value, bool):
        return value
    raise _wrong("true or false", value, path)


def _null(value: Any, path: str) -> None:
    if value is not None:
        raise _wrong("null", value, path)


def _moment(value: Any, path: str) -> datetime.datetime:
    moment: datetime.datetime = _parsed(
        datetime.datetime.fromisoformat, "a date and time such as 2026-11-22T18:00:00Z"
    )(value, path)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)


def _parsed(parse: Callable[[str], Any], what: str) -> Converter:
    def convert(value: Any, path: str) -> Any:
        try:
            return parse(_text(value, path))
        except (ValueError, ArithmeticError):
            raise InvalidInput(f"must be {what}", path) from None

    return convert


def _made(inner: Converter, kind: Callable[[Any], Any]) -> Converter:
    def convert(value: Any, path: str) -> Any:
        return kind(inner(value, path))

    return convert


def _secret_converter(inner: Converter) -> Converter:
    def convert(value: Any, path: str) -> Any:
        plain = inner(value, path)
        return Secret(plain) if isinstance(plain, str) else plain

    return convert


_SCALARS: dict[Any, Converter] = {
    str: _text,
    int: _whole,
    float: _number,
    bool: _boolean,
    type(None): _null,
    Secret: _made(_text, Secret),
    datetime.datetime: _moment,
    datetime.date: _parsed(datetime.date.fromisoformat, "a date such as 2026-11-22"),
    datetime.time: _parsed(datetime.time.fromisoformat, "a time such as 18:00:00"),
    decimal.Decimal: _parsed(decimal.Decimal, "a decimal number, as a text"),
    uuid.UUID: _parsed(uuid.UUID, "a UUID"),
}


def _choice(choices: list[tuple[Any, Any]]) -> Converter:
    def convert(value: Any, path: str) -> Any:
        for plain, meant in choices:
            if plain == value and (type(plain) is type(value) or not isinstance(value, bool | None)):
                return meant
        raise InvalidInput(f"must be one of {', '.join(repr(plain) for plain, _ in choices)}", path)

    return convert


def _list(arguments: tuple[Any, ...], kind: Callable[[list[Any]], Any]) -> Converter:
    item = converter(arguments[0]) if arguments else _anything

    def convert(value: Any, path: str) -> Any:
        if not isinstance(value, (list, tuple, set, frozenset)):
            raise _wrong("a list", value, path)
        return kind([item(element, f"{path}[{index}]") for index, element in enumerate(value)])

    return convert


def _tuple(arguments: tuple[Any, ...]) -> Converter:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return _list(arguments[:1], tuple)
    items = [converter(argument) for argument in arguments]

    def convert(value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise _wrong("a list", value, path)
        if len(value) != len(items):
            raise InvalidInput(f"must have {len(items)} items, not {len(value)}", path)
        return tuple(item(element, f"{path}[{n}]") for n, (item, element) in enumerate(zip(items, value, strict=True)))

    return convert


def _mapping(arguments: tuple[Any, ...]) -> Converter:
    item = converter(arguments[1]) if arguments else _anything
    key_of = converter(arguments[0]) if arguments else _anything

    def convert(value: Any, path: str) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise _wrong("an object", value, path)
        return {key_of(key, f"{path}.{key}"): item(element, f"{path}.{key}") for key, element in value.items()}

    return convert


def _union(members: tuple[Any, ...]) -> Converter:
    converters = [converter(member) for member in members if member is not type(None)]
    # Exact scalars first, so that `float | int` keeps 1 whole and `str | datetime` is told by its order.
    exact = {strip(member)[0]: convert for member, convert in zip(_present(members), converters, strict=True)}
    nullable = type(None) in members

    def convert(value: Any, path: str) -> Any:
        if value is None and nullable:
            return None
        if len(converters) == 1:
            return converters[0](value, path)
        chosen = exact.get(type(value)) if type(value) in (bool, int, float) else None
        problems = []
        for attempt in [chosen, *converters] if chosen else converters:
            try:
                return attempt(value, path)
            except InvalidInput as problem:
                problems.append(str(problem).removeprefix(f"{path}: "))
        raise InvalidInput("; or ".join(dict.fromkeys(problems)), path)

    return convert


def _present(members: tuple[Any, ...]) -> list[Any]:
    return [member for member in members if member is not type(None)]


def _record(kind: Any) -> Converter:
    made: dict[str, Converter] = {}  # filled at first use, so that a type may contain itself
    fields = {parameter.name: parameter for parameter in record_fields(kind)}

    def convert(value: Any, path: str) -> Any:
        if isinstance(value, kind if isinstance(kind, type) and not typing.is_typeddict(kind) else ()):
            return value
        if not isinstance(value, Mapping):
            raise _wrong("an object", value, path)
        values: dict[str, Any] = {}
        for key, element in value.items():
            if key not in fields:
                raise InvalidInput(f"there is no such field; known are: {', '.join(fields)}", f"{path}.{key}")
            if key not in made:
                made[key] = _parameter_converter(fields[key])
            values[key] = made[key](element, f"{path}.{key}")
        for name, parameter in fields.items():
            if name not in values and parameter.required:
                raise InvalidInput("is required", f"{path}.{name}")
            if name not in values and parameter.default is not UNTOLD and not typing.is_typeddict(kind):
                values[name] = parameter.default
        return kind(**values)

    return convert


def _model(kind: Any) -> Converter:
    def convert(value: Any, path: str) -> Any:
        try:
            return kind.model_validate(value)
        except ValueError as problem:
            errors = getattr(problem, "errors", None)
            if errors is None:
                raise InvalidInput("does not fit its model", path) from None
            first = errors()[0]
            where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
            raise InvalidInput(str(first["msg"]), f"{path}{where}") from None

    return convert


def _checked(inner: Converter, field: Field) -> Converter:
    pattern = re.compile(field.pattern) if field.pattern is not None else None

    def convert(value: Any, path: str) -> Any:
        made = inner(value, path)
        if isinstance(value, str):
            if pattern is not None and not pattern.search(value):
                raise InvalidInput(f"must match {field.pattern}", path)
            _within(len(value), field.min_length, field.max_length, "characters", path)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            _within(value, field.minimum, field.maximum, "", path)
        elif isinstance(value, list):
            _within(len(value), field.min_items, field.max_items, "items", path)
        if field.enum is not None and value is not None and value not in field.enum:
            raise InvalidInput(f"must be one of {', '.join(map(repr, field.enum))}", path)
        return made

    return convert


def _within(measure: float, least: float | None, most: float | None, unit: str, path: str) -> None:
    if least is not None and measure < least:
        raise InvalidInput(f"must be {least} {unit} or more".replace("  ", " "), path)
    if most is not None and measure > most:
        raise InvalidInput(f"must be {most} {unit} or less".replace("  ", " "), path)


def _wrong(wanted: str, value: Any, path: str) -> InvalidInput:
    kind = next((words for known, words in _KINDS.items() if isinstance(value, known)), "this")
    return InvalidInput(f"must be {wanted}, not {kind}", path)
