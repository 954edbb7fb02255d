"""Fails when the engine imports anything outside a short list, reads a clock or a dice, or is async."""

import ast
import pathlib
import sys
from collections.abc import Iterator

ALLOWED = {
    "__future__", "collections", "dataclasses", "datetime", "enum", "functools", "hashlib", "itertools", "math",
    "typing", "zoneinfo", "monjolo",
}  # fmt: skip
IMPURE_CALLS = {"now", "utcnow", "today", "print", "open", "input", "randint", "random"}


def faults(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        roots: list[str] = []
        if isinstance(node, ast.Import):
            roots = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            roots = [(node.module or "").split(".")[0]]
        for root in roots:
            if root not in ALLOWED:
                yield node.lineno, f"imports {root}"  # type: ignore[attr-defined]
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield node.lineno, "is async"
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in IMPURE_CALLS:
                yield node.lineno, f"calls {name}()"


found = [(path, *fault) for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.py")) for fault in faults(path)]
for path, line, what in found:
    sys.stderr.write(f"{path}:{line}: the engine {what}\n")
sys.exit(bool(found))
