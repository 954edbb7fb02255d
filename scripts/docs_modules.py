"""docs/reference/modules.md, from the manifests of the built-in modules, described by their own runners."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from docs_table import code, table

from monjolo.domains.modules.workbench import Workbench, sdk_folder

MODULES = Path(__file__).resolve().parent.parent / "modules"

_HEAD = """# Built-in modules

Made from the code by `make docs`: from the manifests that the modules' own signatures give. The read-me of each module
says more: `modules/<id>/README.md`.
"""


def page() -> str:
    return _HEAD + "".join(_module(manifest) for manifest in asyncio.run(_manifests()))


async def _manifests() -> list[dict[str, Any]]:
    folders = sorted(path.parent for path in MODULES.glob("*/module.py"))
    with tempfile.TemporaryDirectory() as cache:
        bench = Workbench(cache=Path(cache), sdk=sdk_folder(), say=lambda text: None)
        return [(await bench.load(folder)).manifest for folder in folders]


def _module(manifest: dict[str, Any]) -> str:
    actions = manifest["actions"].values()
    summary = f"\n## {manifest['id']}\n\n{manifest['title']} {manifest['version']}. {manifest['description']}\n"
    return summary + _permissions(manifest["permissions"]) + "".join(_action(manifest["id"], a) for a in actions)


def _permissions(permissions: dict[str, Any]) -> str:
    named = [f"{name}: {', '.join(map(code, values))}" for name, values in permissions.items() if values]
    return f"\nPermissions: {'; '.join(named)}.\n" if named else ""


def _action(module: str, action: dict[str, Any]) -> str:
    first = f"\n### {module}/{action['name']}\n\n**{action['title']}** ({action['effects']}). {action['description']}\n"
    inputs, outputs = action["inputs"], action.get("outputs") or {}
    text = first + "\n" + (_inputs(inputs) if inputs.get("properties") else "It takes no inputs.\n")
    if outputs.get("properties"):
        rows = [(code(name), _type(value), value.get("description", "")) for name, value in _properties(outputs)]
        text += "\n" + table(("Output", "Type", "What it is"), rows)
    return text + "".join(_example(module, action["name"], example) for example in action.get("examples", [])[:1])


def _inputs(schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = []
    for name, value in _properties(schema):
        about = ". ".join(filter(None, (value.get("title", ""), value.get("description", ""))))
        rows.append((code(name), _type(value), "required" if name in required else _default(value), about))
    return table(("Input", "Type", "Default", "What it is"), rows)


def _properties(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, value if isinstance(value, dict) else {}) for name, value in schema["properties"].items()]


def _default(value: dict[str, Any]) -> str:
    return code(json.dumps(value["default"], ensure_ascii=False)) if "default" in value else ""


def _type(value: dict[str, Any]) -> str:
    """The type in a word or two, with its bounds."""
    if "enum" in value:
        return ", ".join(code(json.dumps(item)) for item in value["enum"])
    kinds = value.get("type", "anything")
    if "anyOf" in value:
        kinds = sorted({part.get("type", "anything") for part in value["anyOf"]})
    named = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if named == "array" and isinstance(value.get("items"), dict) and "type" in value["items"]:
        named = f"array of {_type(value['items'])}"
    low, high = value.get("minimum"), value.get("maximum")
    bounds = f", {'' if low is None else low}–{'' if high is None else high}" if low is not None or high else ""
    return named + bounds


def _example(module: str, action: str, example: dict[str, Any]) -> str:
    given = json.dumps(example.get("with", {}), ensure_ascii=False)
    title = f" ({example['title']})" if example.get("title") else ""
    return f"\nFor example{title}: `uses: {module}/{action}`, `with: {given}`.\n"
