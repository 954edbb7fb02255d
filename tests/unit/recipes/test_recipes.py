"""Every recipe is valid against the real built-in modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monjolo.flow_document import compile_plan, parse, validate
from monjolo.flow_document.actions import ResolvedAction
from monjolo_sdk.manifest import manifest
from monjolo_sdk.runner.loading import load

ROOT = Path(__file__).resolve().parents[3]
RECIPES = sorted(path for path in (ROOT / "flows").glob("*.yaml") if not path.stem.endswith(".test"))


class BuiltIn:
    """The built-in modules, described in this process."""

    def __init__(self) -> None:
        self.manifests: dict[str, dict[str, Any]] = {}
        for path in sorted((ROOT / "modules").glob("*/module.py")):
            module, text = load({"path": str(path.parent)})
            self.manifests[module.id] = manifest(module, description=text)

    def resolve(self, uses: str) -> ResolvedAction | None:
        module, _, name = uses.partition("/")
        found = self.manifests.get(module.partition("@")[0])
        action = (found or {}).get("actions", {}).get(name)
        if found is None or action is None:
            return None
        return ResolvedAction(found["id"], found["version"], "0" * 64, name, action["inputs"], action["outputs"])


@pytest.fixture(scope="module")
def built_in() -> BuiltIn:
    return BuiltIn()


def test_there_are_enough_recipes() -> None:
    assert len(RECIPES) >= 7


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_valid_and_named_like_its_file(path: Path, built_in: BuiltIn) -> None:
    source = path.read_text(encoding="utf-8")
    assert validate(source, built_in) == []
    document = parse(source).document
    assert document is not None
    assert document["id"] == path.stem
    resolved = {uses: action for uses in _uses(document) if (action := built_in.resolve(uses)) is not None}
    assert compile_plan(document, path.stem, 1, resolved).plan is not None


def _uses(value: Any) -> set[str]:
    """Every action that a document names, however deep."""
    if isinstance(value, list):
        return {uses for item in value for uses in _uses(item)}
    if not isinstance(value, dict):
        return set()
    own = {value["uses"]} if isinstance(value.get("uses"), str) else set()
    return own | {uses for item in value.values() for uses in _uses(item)}


def test_the_how_to_shows_valid_flows(built_in: BuiltIn) -> None:
    blocks = (ROOT / "docs" / "howto" / "backup.md").read_text(encoding="utf-8").split("```yaml\n")[1:]
    flows = [block.partition("```")[0] for block in blocks if block.startswith("schema:")]
    assert len(flows) == 2
    assert [validate(flow, built_in) for flow in flows] == [[], []]


def test_examples_of_every_action_have_known_inputs(built_in: BuiltIn) -> None:
    for description in built_in.manifests.values():
        for action in description["actions"].values():
            assert action["description"], action["name"]
            for example in action["examples"]:
                assert set(example["with"]) <= set(action["inputs"]["properties"])
