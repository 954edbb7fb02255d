"""Which names an expression may use at its place, and what is known of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from monjolo.flow_document.cel_check import Finding, ReadPath

RUN_NAMES = frozenset({"inputs", "steps", "run", "flow", "trigger", "event", "vars"})
FLOW_NAMES = RUN_NAMES - {"steps"}
TRIGGER_NAMES = frozenset({"trigger", "event", "flow", "vars"})
ALL_NAMES = RUN_NAMES | {"error", "secrets", "index"}
STEP_FIELDS = ("status", "output", "error")
ERROR_FIELDS = ("type", "message", "traceback", "step", "details")
RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    ]
)
_SCALARS = {"string", "integer", "number", "boolean", "array"}


@dataclass(frozen=True, slots=True)
class Known:
    """What the whole document knows: its steps, the schema of its inputs, its variables."""

    steps: Mapping[str, int] = field(default_factory=dict)  # step id -> its bit
    outputs: Mapping[str, Any] = field(default_factory=dict)  # step id -> output schema, where known
    inputs: Mapping[str, Any] | None = None
    variables: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """One place in the document: its names, and the steps that have ended when it is reached."""

    known: Known
    names: frozenset[str] = RUN_NAMES
    upstream: int = 0  # bits of steps
    secrets: bool = False

    def with_names(self, *names: str) -> Place:
        return replace(self, names=self.names | set(names))

    def after(self, steps: int) -> Place:
        return replace(self, upstream=self.upstream | steps)

    def with_secrets(self) -> Place:
        return replace(self, secrets=True)

    def check(self, path: ReadPath) -> Finding | None:
        """What is wrong with reading `path` here, if anything."""
        name = path[0]
        if name == "secrets":
            return self._secret_problem()
        if name not in self.names:
            return self._unknown_name(name)
        if name not in ALL_NAMES:
            return None  # the `as` name of a for_each
        match name:
            case "steps":
                return self._check_step(path)
            case "inputs":
                return self._check_inputs(path)
            case "vars":
                if len(path) > 1 and path[1] not in self.known.variables:
                    return Finding("unknown_variable", f"`vars.{path[1]}` is not listed under `vars`; add it there.")
            case "error":
                if len(path) > 1 and path[1] not in ERROR_FIELDS:
                    return Finding("unknown_field", f"`error` has {', '.join(ERROR_FIELDS)}; not `{path[1]}`.")
        return None

    def _secret_problem(self) -> Finding:
        if self.secrets:
            message = "A secret stands alone, as `${{ secrets.name }}`, or within text; never in an expression."
            return Finding("secret_in_expression", message)
        return Finding("secret_not_here", "`secrets` may be used only in `with` and in a trigger's `auth`.")

    def _unknown_name(self, name: str) -> Finding:
        if name == "error":
            message = "`error` is known only in handlers and in `retry.if`; use `steps.<id>.error` here."
            return Finding("unknown_name", message)
        if name in self.known.steps:
            return Finding("unknown_name", f"There is no name `{name}`; write `steps.{name}.output`.")
        hint = suggestion(name, self.names)
        return Finding("unknown_name", f"There is no name `{name}` here{hint}; there are {_listed(self.names)}.")

    def _check_step(self, path: ReadPath) -> Finding | None:
        if len(path) == 1:
            return Finding("steps_whole", "Name a step: `steps.<id>.output`.")
        step = path[1]
        if step not in self.known.steps:
            hint = suggestion(step, self.known.steps)
            return Finding("unknown_step", f"There is no step `{step}`{hint}.")
        if not self.upstream & self.known.steps[step]:
            message = f"The step `{step}` does not come before this one; add it to `needs` or move it up."
            return Finding("step_not_upstream", message)
        if len(path) > 2 and path[2] not in STEP_FIELDS:
            message = f"A step has status, output and error; write `steps.{step}.output.{path[2]}`?"
            return Finding("unknown_field", message)
        if len(path) > 3 and path[2] == "error" and path[3] not in ERROR_FIELDS:
            return Finding("unknown_field", f"An error has {', '.join(ERROR_FIELDS)}; not `{path[3]}`.")
        schema = self.known.outputs.get(step)
        if len(path) > 3 and path[2] == "output" and isinstance(schema, Mapping):
            return field_problem(schema, path, 3, assume_closed=False)
        return None

    def _check_inputs(self, path: ReadPath) -> Finding | None:
        if len(path) == 1:
            return None
        if self.known.inputs is None:
            return Finding("undeclared_input", f"The flow declares no inputs; add `{path[1]}` under `inputs`.")
        return field_problem(self.known.inputs, path, 1, assume_closed=True)


def field_problem(schema: Mapping[str, Any], path: ReadPath, at: int, *, assume_closed: bool) -> Finding | None:
    """Whether `path[at:]` can exist in a value of `schema`. What the schema leaves open is not refused."""
    root: Any = schema
    current: Any = schema
    for index in range(at, len(path)):
        current = _resolved(root, current)
        if not isinstance(current, Mapping) or any(k in current for k in ("anyOf", "oneOf", "allOf", "if")):
            return None
        name = ".".join(path[:index])
        if current.get("type") in _SCALARS:
            return Finding("unknown_field", f"`{name}` is {current['type']} and has no field `{path[index]}`.")
        properties = current.get("properties")
        if not isinstance(properties, Mapping):
            properties = {}
        if path[index] in properties:
            current = properties[path[index]]
            continue
        rest = current.get("additionalProperties", None)
        closed = rest is False or (assume_closed and index == at and rest is None)
        if closed and "patternProperties" not in current:
            hint = suggestion(path[index], properties)
            return Finding("unknown_field", f"`{name}` has no field `{path[index]}`{hint}; {_has(properties)}.")
        return None
    return None


def _resolved(root: Any, schema: Any) -> Any:
    for _ in range(8):
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        if not isinstance(reference, str):
            return schema
        if not reference.startswith("#/"):
            return None
        schema = root
        for part in reference[2:].split("/"):
            schema = schema.get(part) if isinstance(schema, Mapping) else None
    return None


def suggestion(name: str, known: Iterable[str]) -> str:
    """` (did you mean `x`?)`, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean `{near[0]}`?)" if near else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _has(properties: Mapping[str, Any]) -> str:
    return f"it has {_listed(list(properties)[:20])}" if properties else "it has none"
