"""`monjolo module check`: what a module should have before somebody else uses it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from monjolo.domains.modules import manifest as manifests
from monjolo.domains.modules.models import Source
from monjolo.domains.modules.sources import Content

_OWN_CLIENTS = {"requests", "httpx", "httpx2", "aiohttp", "urllib3", "socket", "http", "urllib.request"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`error`: it will not do. `warning`: it works, but people will miss something."""

    severity: Literal["error", "warning"]
    code: str
    where: str
    message: str


def judge(source: Source, content: Content, manifest: dict[str, Any]) -> list[Finding]:
    """Everything found, errors first."""
    found = [
        *_module(source, manifest),
        *_files(source, content),
        *_code(content, manifest),
        *(one for name, action in manifests.actions(manifest).items() for one in _action(name, action)),
    ]
    return sorted(found, key=lambda finding: finding.severity)


def _module(source: Source, manifest: dict[str, Any]) -> Iterator[Finding]:
    name = source.location.name.removesuffix(".py")
    if manifest["id"] != name:
        yield Finding("warning", "id", source.path, f"the id is {manifest['id']!r}; name it like its file")
    if not manifest.get("description"):
        yield Finding("error", "docstring", source.path, "no docstring: it would be the module's description")
    if "*" in manifest.get("permissions", {}).get("net", []):
        yield Finding(
            "warning",
            "permissions",
            source.path,
            "permissions.net allows every host; name the hosts if they are known",
        )


def _action(name: str, action: dict[str, Any]) -> Iterator[Finding]:
    if not action.get("description"):
        yield Finding("error", "docstring", name, "the function has no docstring: it is the action's help")
    if action.get("effects") not in ("read", "write", "notify"):
        yield Finding("error", "effects", name, "effects must be read, write or notify")
    inputs, outputs = manifests.input_schema(action), manifests.output_schema(action)
    for field, schema in inputs.get("properties", {}).items():
        if isinstance(schema, dict) and not _is_explained(field, schema):
            yield Finding(
                "warning",
                "description",
                f"{name}.{field}",
                "say what it is: Annotated[…, Field(title=…, description=…)]",
            )
    if not set(outputs) - {"$schema", "title", "description"}:
        yield Finding(
            "warning",
            "output",
            name,
            "the return type says nothing: with a TypedDict or dataclass, later steps are checked",
        )
    yield from _examples(name, action, inputs)


def _is_explained(field: str, schema: dict[str, Any]) -> bool:
    """Described, or titled by the author rather than from its name."""
    made_up = field.replace("_", " ").capitalize()
    return bool(schema.get("description")) or schema.get("title", made_up) != made_up


def _examples(name: str, action: dict[str, Any], inputs: dict[str, Any]) -> Iterator[Finding]:
    validator = manifests.validator(inputs)
    for number, example in enumerate(action.get("examples") or [], start=1):
        for error in validator.iter_errors(example.get("with", {})):
            yield Finding("error", "example", f"{name}, example {number}", error.message)


def _files(source: Source, content: Content) -> Iterator[Finding]:
    location = source.location
    if source.origin == "file":
        tested = (location.parent / f"test_{location.name}").is_file()
        missing = f"there is no test_{location.name} beside it"
    else:
        tested = any(Path(name).name.startswith("test_") and name.endswith(".py") for name in content)
        missing = "there is no test_*.py in the folder"
        if "README.md" not in content:
            yield Finding("warning", "readme", source.path, "there is no README.md")
    if not tested:
        yield Finding("warning", "tests", source.path, missing)


def _code(content: Content, manifest: dict[str, Any]) -> Iterator[Finding]:
    permissions = manifest.get("permissions", {})
    for name, data in sorted(content.items()):
        if not name.endswith(".py") or Path(name).name.startswith(("test_", "conftest")):
            continue
        for node in ast.walk(ast.parse(data, name)):
            where = f"{name}:{getattr(node, 'lineno', 1)}"
            for imported in _imports(node):
                if imported.split(".")[0] == "monjolo":
                    yield Finding("error", "import", where, "a module may import only monjolo_sdk of ours")
                elif imported in _OWN_CLIENTS:
                    yield Finding(
                        "warning",
                        "client",
                        where,
                        f"{imported}: ctx.http holds to the permissions, times out and is traced",
                    )
            if _context_attribute(node) == "http" and not permissions.get("net"):
                yield Finding("error", "permissions", where, "it uses ctx.http; name the hosts in permissions.net")
            if _context_attribute(node) == "api" and not permissions.get("platform"):
                yield Finding(
                    "error",
                    "permissions",
                    where,
                    "it uses ctx.api; name the scopes in permissions.platform, such as flows:read",
                )


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        return [node.module]
    return []


def _context_attribute(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("ctx", "context"):
        return node.attr
    return None
