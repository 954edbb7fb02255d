"""What the document needs to know of modules: the action that a `uses` means, and whether `with` fits it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jsonschema_rs

from monjolo.flow_document.names import suggestion
from monjolo.flow_document.parse import Path
from monjolo.flow_document.shapes import Report


@dataclass(frozen=True, slots=True)
class ResolvedAction:
    """The exact action that a published version keeps."""

    module: str
    version: str
    digest: str
    action: str
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    output_schema: Mapping[str, Any] | None = None


class Catalogue(Protocol):
    def resolve(self, uses: str) -> ResolvedAction | None:
        """The newest installed version that fits `module/action`, `module@1/action` or an exact one."""
        ...


# With a part unknown until the run, only these can be judged of what holds it.
_CERTAIN = {"required", "additionalProperties", "type", "unevaluatedProperties"}


def schema_problem(schema: Any) -> str | None:
    """What is wrong with a JSON Schema of an object, in words; None when it is one."""
    try:
        validator(schema)
    except jsonschema_rs.ValidationError as error:
        place = ".".join(str(part) for part in error.instance_path)
        return f"{place + ': ' if place else ''}{error.message}"
    except ValueError as error:
        return str(error).split("\n")[0][:300]
    return None


def validator(schema: Any) -> jsonschema_rs.Draft202012Validator:
    """Never fetches a reference; patterns run on an engine whose time is linear in the text."""
    return jsonschema_rs.Draft202012Validator(
        schema, pattern_options=jsonschema_rs.RegexOptions(), validate_formats=False, offline=True
    )


def check_with(action: ResolvedAction, given: Mapping[str, Any], path: Path, report: Report) -> None:
    """Judge `with` as far as its values are written out; an expression may give anything."""
    try:
        judge = validator(dict(action.input_schema))
    except (jsonschema_rs.ValidationError, ValueError):
        return  # the registry reports a module whose own schema is broken
    unknown = set(_expressions(given, ()))
    for error in judge.iter_errors(given):
        at = tuple(error.instance_path)
        if any(at[: len(place)] == place for place in unknown):
            continue
        if error.kind.name not in _CERTAIN and any(place[: len(at)] == at for place in unknown):
            continue
        _report_one(error, action, (*path, *at), report)


def _report_one(error: Any, action: ResolvedAction, path: Path, report: Report) -> None:
    name = f"{action.module}/{action.action}"
    if error.kind.name == "required":
        report(path, "missing_input", f"{name} needs `{error.kind.property}`; add it to `with`.")
    elif error.kind.name == "additionalProperties":
        known = list(action.input_schema.get("properties", {}))
        for key in error.kind.unexpected:
            hint = suggestion(key, known)
            message = f"{name} takes no `{key}`{hint}; it takes {', '.join(known) or 'nothing'}."
            report((*path, key), "unknown_input", message)
    else:
        report(path, "bad_input", f"{name}: {error.message[:300]}.")


def _expressions(value: Any, at: Path) -> Iterable[Path]:
    if isinstance(value, str):
        if "${{" in value:
            yield at
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from _expressions(below, (*at, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _expressions(below, (*at, index))
