"""Turns what stands in the document into rows of the table of expressions, and reports what may not stand there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from monjolo.engine.types import ExprId, Json
from monjolo.flow_document.cel_check import Finding, ReadPath, constant_path, never_boolean, walk
from monjolo.flow_document.cel_engine import CelEngine, EngineError
from monjolo.flow_document.cel_tree import Const
from monjolo.flow_document.expressions import (
    PLACEHOLDERS,
    CelExpression,
    Condition,
    Constant,
    Expressions,
    Key,
    ListTree,
    MapTree,
    PathRead,
    Program,
    Row,
    SecretRef,
    SecretText,
    Text,
    Untainted,
)
from monjolo.flow_document.names import Place
from monjolo.flow_document.parse import Path, path_text
from monjolo.flow_document.shapes import Report
from monjolo.flow_document.templates import Source, TemplateError, has_comment, split

Wrap = Callable[[Program], Program]

_NOTHING = Constant(None)
_ENGINE = CelEngine()


@dataclass(frozen=True, slots=True)
class Understood:
    """One expression, compiled and walked; the same for every place that it stands at."""

    program: Program
    path: ReadPath | None  # when it only reads this
    reads: tuple[ReadPath, ...]
    findings: tuple[Finding, ...]
    never_boolean: bool = False


@lru_cache(maxsize=8_192)
def understand(source: str) -> Understood:
    """Compile and walk an expression, without judging its names."""
    if has_comment(source):
        message = "`//` begins a comment in CEL, and the rest would be lost; write `/` to divide."
        return Understood(_NOTHING, None, (), (Finding("comment", message),))
    try:
        compiled = _ENGINE.compile(source)
    except EngineError as error:
        return Understood(_NOTHING, None, (), (Finding(error.code, error.message),))
    path = constant_path(compiled.tree)
    if path is not None:
        return Understood(PathRead(path), path, (path,), ())
    found = walk(compiled.tree)
    reads = _shortest(found.reads)
    program: Program = CelExpression(source, compiled, reads)
    if isinstance(compiled.tree, Const) and not isinstance(compiled.tree.value, bytes):
        program = Constant(compiled.tree.value)
    findings = tuple(found.findings)
    return Understood(program, None, tuple(dict.fromkeys(found.reads)), findings, never_boolean(compiled.tree))


def _shortest(reads: list[ReadPath]) -> tuple[ReadPath, ...]:
    """Without the paths that lie within another one."""
    unique = sorted(set(reads), key=len)
    kept: list[ReadPath] = []
    for path in unique:
        if not any(path[: len(other)] == other for other in kept):
            kept.append(path)
    return tuple(kept)


class Builder:
    """Collects rows. A problem leaves a row that gives null, so that the rest can still be checked."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._rows: list[Row] = []

    def finish(self) -> Expressions:
        return Expressions(tuple(self._rows))

    def condition(self, source: str | bool | None, place: Place, path: Path) -> ExprId | None:
        """A bare expression that must give true or false; None when nothing is written."""
        if source is None:
            return None
        if isinstance(source, bool):
            return self._add(Constant(source), frozenset(), set(), path)
        parts = _split_quietly(source)
        if len(parts) == 1 and isinstance(parts[0], Source):
            source = parts[0].text  # `${{ … }}` around the whole is what people are used to elsewhere
        reads: set[ReadPath] = set()
        inner = self._expression(source, place, path, reads)
        if inner is not _NOTHING and understand(source).never_boolean:
            message = "A condition must give true or false; compare the value with something."
            self._report(path, "not_boolean", message)
        return self._add(Condition(inner), frozenset(reads), set(), path)

    def value(self, value: Json, place: Place, path: Path, wrap: Wrap | None = None) -> ExprId:
        """Any JSON value with `${{ … }}` wherever text stands. `wrap` says what it must give."""
        reads: set[ReadPath] = set()
        secrets: set[str] = set()
        program = self._tree(value, place, path, reads, secrets)
        if wrap is not None and program is not _NOTHING:
            inner, program = program, wrap(program)
            if isinstance(inner, Constant):
                program = self._settled(program, path)
        return self._add(program, frozenset(reads), secrets, path)

    def text(self, text: str, place: Place, path: Path) -> ExprId:
        """Text with expressions in it; whatever they give is rendered as text."""
        return self.value(text, place, path, Key)

    def _settled(self, program: Program, path: Path) -> Program:
        """A wrapped constant is a constant too: what is wrong with it is said now."""
        try:
            return Constant(program.run({}))
        except EngineError as error:
            self._report(path, error.code, f"{error.message[:1].upper()}{error.message[1:]}.")
            return _NOTHING

    def _add(
        self,
        program: Program,
        reads: frozenset[ReadPath],
        secrets: set[str],
        path: Path,
    ) -> ExprId:
        self._rows.append(Row(program, reads, frozenset(secrets), path_text(path)))
        return len(self._rows) - 1

    def _tree(
        self,
        value: Json,
        place: Place,
        path: Path,
        reads: set[ReadPath],
        secrets: set[str],
    ) -> Program:
        if isinstance(value, str):
            return self._text(value, place, path, reads, secrets) if "${{" in value else Constant(value)
        if isinstance(value, dict):
            if place.secrets and not PLACEHOLDERS.isdisjoint(value):
                self._report(path, "reserved_key", "`$secret` is reserved; write `${{ secrets.name }}`.")
            entries = tuple(
                (key, self._tree(below, place, (*path, key), reads, secrets)) for key, below in value.items()
            )
            plain = all(isinstance(program, Constant) for _, program in entries)
            return Constant({k: p.run({}) for k, p in entries}) if plain else MapTree(entries)
        if isinstance(value, list):
            items = tuple(self._tree(below, place, (*path, index), reads, secrets) for index, below in enumerate(value))
            plain = all(isinstance(program, Constant) for program in items)
            return Constant([p.run({}) for p in items]) if plain else ListTree(items)
        return Constant(value)

    def _text(
        self,
        text: str,
        place: Place,
        path: Path,
        reads: set[ReadPath],
        secrets: set[str],
    ) -> Program:
        try:
            parts = split(text)
        except TemplateError as error:
            self._report(path, "expression_not_closed", str(error))
            return _NOTHING
        programs: list[Any] = [
            part if isinstance(part, str) else self._expression(part.text, place, path, reads) for part in parts
        ]
        names = {part.name for part in programs if isinstance(part, SecretRef)}
        secrets.update(names)
        if len(programs) == 1 and not isinstance(programs[0], str):
            whole: Program = programs[0]
            return whole
        if names:
            return SecretText(tuple(programs))
        if all(isinstance(part, str | Constant) for part in programs):
            return Constant(Text(tuple(programs)).run({}))
        return Text(tuple(programs))

    def _expression(self, source: str, place: Place, path: Path, reads: set[ReadPath]) -> Program:
        understood = understand(source)
        if understood.path is not None and understood.path[0] == "secrets" and place.secrets:
            return self._secret(understood.path, path)
        findings = list(understood.findings)
        for read in understood.reads:
            finding = place.check(read)
            if finding is not None and finding not in findings:
                findings.append(finding)
        for finding in findings:
            self._report(path, finding.code, finding.message)
        if findings:
            return _NOTHING
        reads.update(understood.reads)
        inner = understood.program
        return Untainted(inner) if place.secrets and not isinstance(inner, Constant) else inner

    def _secret(self, secret: ReadPath, path: Path) -> Program:
        if len(secret) == 2:
            return SecretRef(secret[1])
        self._report(path, "secret_in_expression", "Name one secret: `${{ secrets.name }}`.")
        return _NOTHING


def _split_quietly(text: str) -> list[str | Source]:
    try:
        return split(text)
    except TemplateError:
        return [text]
