"""docs/reference/errors.md: every stable code, read from the source of the platform."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs_table import code, table

SOURCE = Path(__file__).resolve().parent.parent / "server" / "monjolo"
_CODE = re.compile(r"[a-z]+(_[a-z0-9]+)*")
# Where the code stands among the arguments of what reports one thing wrong in a document.
_REPORTS = {"report": (0, 1), "_report": (1,), "Finding": (0,), "_Refused": (0,), "EngineError": (0,), "Failure": (0,)}

_HEAD = """# Errors

Made from the code by `make docs`.

Every refusal of the API is a problem document (RFC 9457): `type, title, status, detail, code, errors, request_id`.
`code` is stable and meant for programs; `detail` says what to do and may change. `errors` names each thing that is
wrong, with `path`, and in a flow with `line` and `column`. The command line prints the `detail` and ends with the exit
code 3.

In the tables `…` stands for what is filled in.
"""


@dataclass(frozen=True)
class Kind:
    """A class of errors: what holds for all its codes."""

    status: int
    code: str
    title: str


@dataclass(frozen=True, order=True)
class Found:
    code: str
    status: int
    text: str


def page() -> str:
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(SOURCE.rglob("*.py"))}
    kinds = _kinds(trees)
    codes: dict[tuple[str, int], set[str]] = {}
    for found in (*_own(kinds), *_raised(trees, kinds)):
        codes.setdefault((found.code, found.status), set()).add(found.text)
    answers = [(code(name), str(status), _first(texts)) for (name, status), texts in sorted(codes.items())]
    places: dict[str, set[str]] = {}
    for name, text in _reported(trees):
        places.setdefault(name, set()).add(text)
    return (
        f"{_HEAD}\n## Codes of an answer\n\n"
        + table(("Code", "Status", "What it says"), answers)
        + "\n## Codes within `errors`\n\nWhat is wrong in a document, or an expression that failed.\n\n"
        + table(("Code", "For example"), [(code(name), _first(texts)) for name, texts in sorted(places.items())])
    )


def _first(texts: set[str]) -> str:
    """The plainest of what is said with this code; nothing when no words of it stand in the source."""
    shown = [re.sub("…+", "…", text) for text in texts if re.search("[a-z]{2}", text)]
    return min(shown, key=lambda text: (text.count("…"), len(text), text), default="")


def _kinds(trees: dict[Path, ast.Module]) -> dict[str, Kind]:
    """The classes below MonjoloError, by name; parents first, whatever file they stand in."""
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    kinds = {"MonjoloError": Kind(500, "internal", "Something went wrong on our side")}
    grown = True
    while grown:
        grown = False
        for node in classes:
            parents = [kinds[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in kinds]
            if parents and node.name not in kinds:
                kinds[node.name], grown = _kind(node, parents[0]), True
    return kinds


def _kind(node: ast.ClassDef, parent: Kind) -> Kind:
    own = {"status": parent.status, "code": parent.code, "title": parent.title}
    for line in node.body:
        if isinstance(line, ast.Assign):
            target = line.targets[0]
            names = [item.id for item in (target.elts if isinstance(target, ast.Tuple) else [target])]  # type: ignore[attr-defined]
            values = line.value.elts if isinstance(line.value, ast.Tuple) else [line.value]
            own |= {n: v.value for n, v in zip(names, values, strict=False) if isinstance(v, ast.Constant)}
    return Kind(own["status"], own["code"], own["title"])  # type: ignore[arg-type]


def _own(kinds: dict[str, Kind]) -> Iterator[Found]:
    for kind in kinds.values():
        yield Found(kind.code, kind.status, f"{kind.title}.")


def _raised(trees: dict[Path, ast.Module], kinds: dict[str, Kind]) -> Iterator[Found]:
    """Calls of an error's class that name a code."""
    for _, call, said in _calls(trees):
        kind = kinds.get(_name(call))
        given = next((word.value for word in call.keywords if word.arg == "code"), None)
        if kind is not None and isinstance(given, ast.Constant) and isinstance(given.value, str):
            text = _text(call.args[0], said) if call.args else ""
            yield Found(given.value, kind.status, text or f"{kind.title}.")


def _reported(trees: dict[Path, ast.Module]) -> Iterator[tuple[str, str]]:
    """Calls that report one thing wrong: a code, and what it says after it."""
    for file, call, said in _calls(trees):
        inside = "flow_document" in file.parts
        places = (1,) if _name(call) == "Problem" else _REPORTS.get(_name(call), ()) if inside else ()
        for place in places:
            code_node = call.args[place] if len(call.args) > place else None
            value = code_node.value if isinstance(code_node, ast.Constant) else None
            if isinstance(value, str) and _CODE.fullmatch(value):
                after = call.args[place + 1] if len(call.args) > place + 1 else None
                yield value, _text(after, said) if after is not None else ""


def _calls(trees: dict[Path, ast.Module]) -> Iterator[tuple[Path, ast.Call, dict[str, ast.expr]]]:
    """Every call once, with the texts that the function around it has given names to."""
    for file, tree in trees.items():
        seen: set[ast.Call] = set()
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for scope in [*reversed(functions), tree]:  # the inner ones first
            nodes = list(ast.walk(scope))
            named = {
                target.id: node.value
                for node in nodes
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for node in nodes:
                if isinstance(node, ast.Call) and node not in seen:
                    seen.add(node)
                    yield file, node, named


def _name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _text(node: ast.expr, said: dict[str, ast.expr]) -> str:
    """What an expression says, as far as it stands in the source."""
    match node:
        case ast.Constant(value=str() as value):
            return value
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (_text(left, said) or "…") + (_text(right, said) or "…")
        case ast.IfExp(body=body):
            return _text(body, said)
        case ast.Name(id=name) if name in said:
            return _text(said[name], {})
    return ""
