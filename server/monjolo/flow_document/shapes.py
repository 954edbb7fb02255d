"""The shapes that the document's values may have. One shape checks, describes itself as JSON Schema, and builds.

The document's types (types.py) name a shape for each key, so that checking, schema and reference cannot differ.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from monjolo.flow_document.names import suggestion
from monjolo.flow_document.parse import Path
from monjolo.kit.time import from_rfc3339, parse_duration

Report = Callable[[Path, str, str], None]
Schema = dict[str, Any]


class Shape(Protocol):
    def check(self, value: Any, path: Path, report: Report) -> None: ...
    def schema(self, defs: Schema) -> Schema: ...
    def build(self, value: Any) -> Any: ...


def _mistyped(value: Any, wanted: str, path: Path, report: Report) -> None:
    report(path, "wrong_type", f"This must be {wanted}, not {type_words(value)}.")


def type_words(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false" if value else "false"
    names = {str: "text", int: "a whole number", float: "a number", list: "a list", dict: "a mapping"}
    return names.get(type(value), type(value).__name__)


@dataclass(frozen=True, slots=True)
class Plain:
    """A shape whose value is kept as it stands."""

    def build(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class Text(Plain):
    pattern: str | None = None
    words: str = "text"
    longest: int = 65_536
    shortest: int = 0

    def check(self, value: Any, path: Path, report: Report) -> None:
        if not isinstance(value, str):
            hint = " in quotes" if isinstance(value, int | float) else ""
            return _mistyped(value, f"{self.words}{hint}", path, report)
        if not self.shortest <= len(value) <= self.longest:
            report(path, "bad_length", f"This must have {self.shortest} to {self.longest} characters.")
        elif self.pattern is not None and not re.fullmatch(self.pattern, value):
            report(path, "bad_format", f"`{value[:80]}` is not {self.words}.")
        return None

    def schema(self, defs: Schema) -> Schema:
        out: Schema = {"type": "string"}
        if self.pattern is not None:
            out["pattern"] = f"^(?:{self.pattern})$"
        if self.shortest:
            out["minLength"] = self.shortest
        return out


@dataclass(frozen=True, slots=True)
class Integer(Plain):
    lowest: int = 0
    highest: int = 2**53

    def check(self, value: Any, path: Path, report: Report) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            _mistyped(value, "a whole number", path, report)
        elif not self.lowest <= value <= self.highest:
            report(path, "out_of_range", f"This must be from {self.lowest} to {self.highest}.")

    def schema(self, defs: Schema) -> Schema:
        return {"type": "integer", "minimum": self.lowest, "maximum": self.highest}


@dataclass(frozen=True, slots=True)
class Number(Plain):
    lowest: float = 0.0
    highest: float = 1e12

    def check(self, value: Any, path: Path, report: Report) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            _mistyped(value, "a number", path, report)
        elif not self.lowest <= value <= self.highest:
            report(path, "out_of_range", f"This must be from {self.lowest:g} to {self.highest:g}.")

    def schema(self, defs: Schema) -> Schema:
        return {"type": "number", "minimum": self.lowest, "maximum": self.highest}


@dataclass(frozen=True, slots=True)
class Boolean(Plain):
    def check(self, value: Any, path: Path, report: Report) -> None:
        if not isinstance(value, bool):
            _mistyped(value, "true or false", path, report)

    def schema(self, defs: Schema) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class OneOf(Plain):
    values: tuple[str, ...]

    def check(self, value: Any, path: Path, report: Report) -> None:
        if value not in self.values:
            hint = suggestion(value, self.values) if isinstance(value, str) else ""
            report(path, "not_a_choice", f"This must be one of {', '.join(self.values)}{hint}.")

    def schema(self, defs: Schema) -> Schema:
        return {"enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class Duration:
    """`30s` in the document, microseconds when built."""

    zero: bool = False

    def check(self, value: Any, path: Path, report: Report) -> None:
        if not isinstance(value, str):
            return _mistyped(value, "a duration such as 30s, 5m or 1h30m", path, report)
        try:
            length = parse_duration(value)
        except ValueError as error:
            return report(path, "bad_duration", f"{error}.")
        if not (0 if self.zero else 1) <= length <= 10 * 366 * 86_400 * 1_000_000:
            report(path, "out_of_range", "A duration must be above zero and at most ten years.")
        return None

    def schema(self, defs: Schema) -> Schema:
        pattern = r"^(?:(?:[0-9]+(?:\.[0-9]+)?(?:us|ms|s|m|h|d|w))+|P[0-9WDTHMS.]+)$"
        return {"type": "string", "pattern": pattern}

    def build(self, value: Any) -> int:
        return parse_duration(value)


@dataclass(frozen=True, slots=True)
class Moment:
    """An RFC 3339 instant in the document, microseconds when built."""

    def check(self, value: Any, path: Path, report: Report) -> None:
        try:
            from_rfc3339(value)
        except (ValueError, TypeError, OverflowError):
            report(path, "bad_instant", "This must be an instant with an offset, such as 2026-11-22T12:00:00Z.")

    def schema(self, defs: Schema) -> Schema:
        return {"type": "string", "format": "date-time"}

    def build(self, value: Any) -> int:
        return from_rfc3339(value)


@dataclass(frozen=True, slots=True)
class Anything(Plain):
    """Any JSON value, with `${{ … }}` wherever text stands."""

    def check(self, value: Any, path: Path, report: Report) -> None:
        return None

    def schema(self, defs: Schema) -> Schema:
        return {}


@dataclass(frozen=True, slots=True)
class Expression(Plain):
    """A bare CEL expression."""

    def check(self, value: Any, path: Path, report: Report) -> None:
        if not isinstance(value, bool | str):
            _mistyped(value, "an expression", path, report)

    def schema(self, defs: Schema) -> Schema:
        return {"type": ["string", "boolean"]}


@dataclass(frozen=True, slots=True)
class JsonSchema(Plain):
    """A JSON Schema of an object; validate.py checks that it is one."""

    def check(self, value: Any, path: Path, report: Report) -> None:
        if not isinstance(value, dict):
            _mistyped(value, "a JSON Schema of an object (`type: object`, `properties: …`)", path, report)

    def schema(self, defs: Schema) -> Schema:
        return {"type": "object"}


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Shape
    shortest: int = 0
    longest: int = 10_000

    def check(self, value: Any, path: Path, report: Report) -> None:
        if not isinstance(value, list):
            return _mistyped(value, "a list", path, report)
        if not self.shortest <= len(value) <= self.longest:
            report(path, "bad_length", f"This list must have {self.shortest} to {self.longest} entries.")
        for index, entry in enumerate(value):
            self.item.check(entry, (*path, index), report)
        return None

    def schema(self, defs: Schema) -> Schema:
        out: Schema = {"type": "array", "items": self.item.schema(defs)}
        return out | ({"minItems": self.shortest} if self.shortest else {})

    def build(self, value: Any) -> tuple[Any, ...]:
        return tuple(self.item.build(entry) for entry in value)


@dataclass(frozen=True, slots=True)
class MapOf:
    item: Shape
    shortest: int = 0

    def check(self, value: Any, path: Path, report: Report) -> None:
        if not isinstance(value, dict):
            return _mistyped(value, "a mapping of names to values", path, report)
        if len(value) < self.shortest:
            report(path, "bad_length", f"This needs at least {self.shortest} entry.")
        for key, entry in value.items():
            self.item.check(entry, (*path, key), report)
        return None

    def schema(self, defs: Schema) -> Schema:
        out: Schema = {"type": "object", "additionalProperties": self.item.schema(defs)}
        return out | ({"minProperties": self.shortest} if self.shortest else {})

    def build(self, value: Any) -> dict[str, Any]:
        return {key: self.item.build(entry) for key, entry in value.items()}


@dataclass(frozen=True, slots=True)
class Either:
    """Text (or a number) for the short form, a mapping for the long one."""

    short: Shape
    long: Shape

    def _pick(self, value: Any) -> Shape:
        return self.long if isinstance(value, dict | int | float) and not isinstance(value, bool) else self.short

    def check(self, value: Any, path: Path, report: Report) -> None:
        self._pick(value).check(value, path, report)

    def schema(self, defs: Schema) -> Schema:
        return {"anyOf": [self.short.schema(defs), self.long.schema(defs)]}

    def build(self, value: Any) -> Any:
        return self._pick(value).build(value)


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with the keys of one of the document's types. `later` names keys that are not built yet."""

    type: Callable[[], type]

    def check(self, value: Any, path: Path, report: Report) -> None:
        kind = self.type()
        if not isinstance(value, dict):
            return _mistyped(value, "a mapping", path, report)
        known = keys_of(kind)
        for key, entry in value.items():
            found = known.get(key)
            if found is None:
                report((*path, key), "unknown_key", _unknown(key, kind, known))
            else:
                shape_of(found).check(entry, (*path, key), report)
        for key, found in known.items():
            if found.metadata["required"] and key not in value:
                report(path, "missing_key", f"The key `{key}` is missing: {found.metadata['doc']}")
        return None

    def schema(self, defs: Schema) -> Schema:
        kind = self.type()
        if kind.__name__ not in defs:
            defs[kind.__name__] = {}
            defs[kind.__name__] = _record_schema(kind, defs)
        return {"$ref": f"#/$defs/{kind.__name__}"}

    def build(self, value: Any) -> Any:
        kind = self.type()
        known = keys_of(kind)
        return kind(**{known[key].name: shape_of(known[key]).build(entry) for key, entry in value.items()})


@dataclass(frozen=True, slots=True)
class Tagged:
    """One of several records, told apart by the value of one key."""

    tag: str
    records: Callable[[], Mapping[str, type]]

    def check(self, value: Any, path: Path, report: Report) -> None:
        if not isinstance(value, dict):
            return _mistyped(value, f"a mapping with the key `{self.tag}`", path, report)
        records = self.records()
        name = value.get(self.tag)
        if name is None:
            return report(path, "missing_key", f"The key `{self.tag}` is missing: one of {', '.join(records)}.")
        if not isinstance(name, str) or name not in records:
            message = f"`{name}` is not known here; there are {', '.join(records)}."
            return report((*path, self.tag), "not_a_choice", message)
        return Record(lambda: records[name]).check(value, path, report)

    def schema(self, defs: Schema) -> Schema:
        kinds = self.records().values()
        return {"oneOf": [Record(lambda kind=kind: kind).schema(defs) for kind in kinds]}  # type: ignore[misc]

    def build(self, value: Any) -> Any:
        kind = self.records()[value[self.tag]]
        return Record(lambda: kind).build(value)


def entry(shape: Shape, doc: str, default: Any = None, *, required: bool = False) -> Any:
    """A key of the document: its shape, what it does, and what holds when it is not written."""
    metadata = {"shape": shape, "doc": doc, "required": required}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def keys_of(kind: type) -> dict[str, dataclasses.Field[Any]]:
    """The document's keys of a type; `if_` in Python is `if` in the document."""
    found = _KEYS.get(kind)
    if found is None:
        found = _KEYS[kind] = {field.name.rstrip("_"): field for field in dataclasses.fields(kind)}
    return found


_KEYS: dict[type, dict[str, dataclasses.Field[Any]]] = {}


def shape_of(field: dataclasses.Field[Any]) -> Shape:
    shape: Shape = field.metadata["shape"]
    return shape


def _unknown(key: str, kind: type, known: Mapping[str, Any]) -> str:
    later: Mapping[str, str] = getattr(kind, "LATER", {})
    if key in later:
        return f"The key `{key}` is not known in this version of Monjolo{later[key]}."
    return f"The key `{key}` is not known here{suggestion(key, known)}; there are {', '.join(known)}."


def _record_schema(kind: type, defs: Schema) -> Schema:
    properties: Schema = {}
    for name, field in keys_of(kind).items():
        described = shape_of(field).schema(defs) | {"description": field.metadata["doc"]}
        if isinstance(field.default, bool | int | float | str):
            described["default"] = field.default
        properties[name] = described
    required = [name for name, field in keys_of(kind).items() if field.metadata["required"]]
    out: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    if kind.__doc__:
        out["description"] = " ".join(kind.__doc__.split())
    return out | ({"required": required} if required else {})
