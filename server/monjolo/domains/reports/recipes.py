"""The recipes that come with the platform: ready flows, for who has none yet."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from monjolo.domains.reports.schemas import RecipeView
from monjolo.domains.reports.service import needs_inputs

# What runs at once, with no configuration and no network, comes first.
_FIRST = ("ola-monjolo", "vigiar-pasta", "backup-pasta")


@lru_cache(maxsize=4)
def recipes(folder: Path) -> list[RecipeView]:
    texts = [file.read_text("utf-8") for file in sorted(folder.glob("*.yaml")) if ".test." not in file.name]
    found = [_recipe(text) for text in texts]
    return sorted(found, key=lambda recipe: _FIRST.index(recipe.id) if recipe.id in _FIRST else len(_FIRST))


def _recipe(source: str) -> RecipeView:
    document: dict[str, Any] = yaml.safe_load(source)
    return RecipeView(
        id=document["id"],
        name=document["name"],
        description=document.get("description", ""),
        source=source,
        needs_inputs=needs_inputs(document),
    )
