"""What an author says about one input or output: `Field`, and the marked types `Secret` and `Connection`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MASK = "********"


class Missing:
    """The absence of a default (None is a default)."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


class Field:
    """How an input looks in the form and what it accepts; stands in `Annotated[str, Field(title="URL")]`.

    The names follow JSON Schema: `minimum`/`maximum` (inclusive), `min_length`/`max_length` of a text,
    `min_items`/`max_items` of a list, `pattern` (searched for, as JSON Schema says).
    """

    __slots__ = (
        "default", "description", "enum", "examples", "format", "hidden", "max_items", "max_length",
        "maximum", "min_items", "min_length", "minimum", "multiline", "pattern", "secret", "title",
    )  # fmt: skip

    def __init__(
        self,
        title: str | None = None,
        description: str | None = None,
        *,
        default: Any = MISSING,
        format: str | None = None,
        enum: Sequence[Any] | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
        min_length: int | None = None,
        max_length: int | None = None,
        min_items: int | None = None,
        max_items: int | None = None,
        pattern: str | None = None,
        secret: bool = False,
        multiline: bool = False,
        hidden: bool = False,
        examples: Sequence[Any] | None = None,
    ) -> None:
        self.title = title
        self.description = description
        self.default = default
        self.format = format
        self.enum = list(enum) if enum is not None else None
        self.minimum = minimum
        self.maximum = maximum
        self.min_length = min_length
        self.max_length = max_length
        self.min_items = min_items
        self.max_items = max_items
        self.pattern = pattern
        self.secret = secret
        self.multiline = multiline
        self.hidden = hidden
        self.examples = list(examples) if examples is not None else None

    def __repr__(self) -> str:
        shown = ((name, getattr(self, name)) for name in self.__slots__)
        return f"Field({', '.join(f'{n}={v!r}' for n, v in shown if v not in (None, False, MISSING))})"


class Secret(str):
    """A text that must not be shown: `repr` is masked, so that a traceback does not tell it.

    `str(secret)` and `secret.reveal()` give the value; the platform masks it in logs and outputs anyway.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def reveal(self) -> str:
        """The plain value."""
        return str.__str__(self)


class Connection(Mapping[str, Any]):
    """A stored credential as the step receives it: a read-only mapping of its fields.

    `connection["token"]` or `connection.token`; secret fields are `Secret`. `type` is the id of its
    connection type, `hosts` are the only hosts that `ctx.http` lets its secrets travel to (empty: no limit).
    """

    def __init__(
        self,
        name: str,
        type: str,
        fields: Mapping[str, Any],
        hosts: Sequence[str] = (),
        secrets: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.type = type
        self.hosts = tuple(hosts)
        self.secret_names = tuple(secrets)
        self._fields = {
            key: Secret(value) if key in secrets and isinstance(value, str) else value for key, value in fields.items()
        }

    def __getitem__(self, key: str) -> Any:
        return self._fields[key]

    def __getattr__(self, key: str) -> Any:
        fields = self.__dict__.get("_fields", {})
        if key in fields:
            return fields[key]
        raise AttributeError(f"the connection {self.__dict__.get('name')!r} has no field {key!r}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Connection({self.name!r}, type={self.type!r}, fields={sorted(self._fields)})"
