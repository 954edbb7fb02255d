"""The recipes that come with the platform, read where they were installed."""

from __future__ import annotations

import re
from pathlib import Path

import typer

import monjolo

_HEADER = re.compile(r"^(id|name|description):\s*(.+?)\s*$", re.MULTILINE)


def folder() -> Path:
    """As bootstrap finds it, without loading the platform: in the package, or in its repository."""
    inside = Path(monjolo.__file__).parent / "_shipped" / "flows"
    return inside if inside.is_dir() else Path(monjolo.__file__).parents[2] / "flows"


def list_recipes() -> list[dict[str, str]]:
    """`{id, name, description, file}` of each. Our own files, so their headers stand one to a line."""
    found = []
    for file in sorted(file for file in folder().glob("*.yaml") if not file.name.endswith(".test.yaml")):
        header = dict(_HEADER.findall(file.read_text("utf-8")))
        found.append({key: header.get(key, "").strip("\"'") for key in ("id", "name", "description")})
        found[-1]["file"] = str(file)
    return found


def recipe_text(name: str) -> str:
    """Raises BadParameter, naming those there are."""
    recipes = {recipe["id"]: recipe["file"] for recipe in list_recipes()}
    if name not in recipes:
        raise typer.BadParameter(f"there is no recipe {name!r}; there are {', '.join(recipes)}")
    return Path(recipes[name]).read_text("utf-8")
