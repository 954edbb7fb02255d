"""Reading a function: its parameters, what it returns and its help, without the cost of `inspect`."""

from __future__ import annotations

import textwrap
import typing
from collections.abc import Callable
from typing import Any

from monjolo_sdk.context import Context
from monjolo_sdk.fields import MISSING, Connection, Field, Secret

_VARARGS, _VARKEYWORDS = 0x04, 0x08
_SECTIONS = (
    "args:",
    "arguments:",
    "parameters:",
    "returns:",
    "raises:",
    "yields:",
    "example:",
    "examples:",
    "note:",
)
_ARGS = _SECTIONS[:3]


class Parameter:
    """One input: its name, its full annotation, its Field and its default (MISSING when required)."""

    __slots__ = ("annotation", "default", "field", "name")

    def __init__(self, name: str, annotation: Any, default: Any) -> None:
        self.name = name
        self.annotation = annotation
        self.field = field_in(annotation)
        if isinstance(default, Field):  # url: str = Field(title="URL")
            self.field, default = default, MISSING
        if default is MISSING and self.field is not None:
            default = self.field.default
        self.default = default

    @property
    def required(self) -> bool:
        return self.default is MISSING

    @property
    def connection_type(self) -> str | None:
        """The id of the connection type it asks for ("" for any), or None when it is no connection."""
        base, extras = strip(self.annotation)
        for member in (base, *typing.get_args(base)):  # Connection | None, Annotated[Connection, "x"] | None
            kind, marks = strip(member)
            if kind is Connection:
                return next((mark for mark in (*marks, *extras) if isinstance(mark, str)), "")
        return None


class Signature:
    """What an action takes and gives."""

    def __init__(self, function: Callable[..., Any]) -> None:
        function = _unwrapped(function)
        code, name = function.__code__, function.__name__
        if code.co_flags & (_VARARGS | _VARKEYWORDS):
            raise TypeError(f"action {name!r}: *args and **kwargs have no form; name the inputs")
        if code.co_posonlyargcount:
            raise TypeError(f"action {name!r}: inputs are given by name; remove the '/' from its signature")
        try:
            hints = typing.get_type_hints(function, include_extras=True)
        except NameError as problem:
            raise TypeError(f"action {name!r}: its annotations cannot be read: {problem}") from problem
        self.returns: Any = hints.pop("return", Any)
        self.context: str | None = None
        self.parameters: list[Parameter] = []
        defaults = _defaults(function)
        for index, parameter in enumerate(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]):
            annotation = hints.get(parameter, Any)
            if annotation is Context or (index == 0 and parameter == "ctx"):
                self.context = parameter
            else:
                self.parameters.append(Parameter(parameter, annotation, defaults.get(parameter, MISSING)))


def strip(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type below Annotated, NewType, aliases and TypedDict marks, and all that Annotated carried."""
    extras: tuple[Any, ...] = ()
    while True:
        if hasattr(annotation, "__metadata__"):
            extras += annotation.__metadata__
            annotation = annotation.__origin__
        elif typing.get_origin(annotation) in (
            typing.Required,
            typing.NotRequired,
            typing.Final,
            typing.ClassVar,
        ):
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation, extras


def field_in(annotation: Any) -> Field | None:
    """The Field within an Annotated."""
    _, extras = strip(annotation)
    return next((extra for extra in extras if isinstance(extra, Field)), None)


def is_secret(annotation: Any) -> bool:
    """Is it typed Secret, marked `Annotated[str, Secret]`, or a Field(secret=True)?"""
    base, extras = strip(annotation)
    field = field_in(annotation)
    return base is Secret or Secret in extras or bool(field is not None and field.secret)


def help_of(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The description of the docstring, and what its section `Args:` says of each input."""
    text = function.__doc__ or ""
    first, _, rest = text.partition("\n")
    lines = [first.strip(), *textwrap.dedent(rest).splitlines()]
    description: list[str] = []
    about: dict[str, str] = {}
    section, name = "", ""
    for line in lines:
        word = line.strip().lower()
        if line and not line[0].isspace():
            section = word if word in _SECTIONS else ""
        if not section:
            description.append(line.rstrip())
        elif section in _ARGS and word not in _ARGS:
            head, colon, tail = line.strip().partition(":")
            if colon and head.split(" ")[0].isidentifier() and len(line) - len(line.lstrip()) <= 4:
                name = head.split(" ")[0]
                about[name] = tail.strip()
            elif name:
                about[name] = f"{about[name]} {line.strip()}".strip()
    return "\n".join(description).strip(), about


def _unwrapped(function: Callable[..., Any]) -> Any:
    inner: Any = function
    while hasattr(inner, "__wrapped__") or hasattr(inner, "func"):
        inner = inner.__wrapped__ if hasattr(inner, "__wrapped__") else inner.func
    return inner


def _defaults(function: Any) -> dict[str, Any]:
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    values = function.__defaults__ or ()
    return dict(zip(positional[len(positional) - len(values) :], values, strict=True)) | (function.__kwdefaults__ or {})
