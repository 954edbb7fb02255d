"""What a stored manifest tells, and the judgement of `monjolo module check`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monjolo.domains.modules import manifest as manifests
from monjolo.domains.modules.judging import judge
from monjolo.domains.modules.models import Broken, Source


def _manifest(**changes: Any) -> dict[str, Any]:
    action = {
        "title": "Send",
        "description": "Sends it.",
        "effects": "notify",
        "inputs": {
            "type": "object",
            "properties": {
                "text": {"type": "string", "description": "What is sent"},
                "token": {"anyOf": [{"type": "string", "x-monjolo-secret": True}, {"type": "null"}]},
            },
        },
        "outputs": {"type": "object", "properties": {"id": {"type": "string"}}},
        "connections": {"account": "slack"},
        "examples": [],
    }
    made = {"id": "site", "version": "1.2.3", "description": "A site.", "permissions": {"net": ["a.org"]}}
    return {**made, "actions": {"send": action}, **changes}


def _codes(manifest: dict[str, Any], code: str, tests: bool = True) -> set[tuple[str, str]]:
    content = {"module.py": code.encode(), "README.md": b"x"} | ({"test_module.py": b""} if tests else {})
    findings = judge(Source("folder", "site", Path("/x/site")), content, manifest)
    return {(finding.severity, finding.code) for finding in findings}


def test_the_rules_of_an_action_name_its_secrets_and_connections() -> None:
    manifest = _manifest()
    rules = manifests.rules(manifest, manifest["actions"]["send"])
    assert (rules.effects, rules.secrets, rules.connections) == ("notify", ("token",), {"account": "slack"})
    assert rules.permissions == {"net": ["a.org"]}


@pytest.mark.parametrize("bad", [{"id": "Site"}, {"id": None}, {"version": "1"}, {"version": "01.0.0"}, {"id": "a/b"}])
def test_a_manifest_that_could_not_be_listed_is_broken(bad: dict[str, Any]) -> None:
    with pytest.raises(Broken):
        manifests.checked(_manifest(**bad))


def test_a_schema_that_is_none_is_broken() -> None:
    manifest = _manifest()
    manifest["actions"]["send"]["inputs"] = {"type": "nothing"}
    with pytest.raises(Broken, match="site/send has no valid JSON Schema"):
        manifests.checked(manifest)


def test_versions_have_an_order() -> None:
    ordered = ["0.9.9", "1.0.0-rc1", "1.0.0", "1.2.0", "1.10.0", "2.0.0"]
    shuffled = [ordered[place] for place in (4, 0, 5, 2, 1, 3)]
    assert sorted(shuffled, key=manifests.order_of) == ordered


def test_a_complete_module_has_only_the_finding_it_deserves() -> None:
    assert _codes(_manifest(), "x = 1\n") == {("warning", "description")}  # of the input `token`


def test_what_is_missing_is_found() -> None:
    manifest = _manifest(description="", id="other", permissions={"net": []})
    manifest["actions"]["send"] |= {"description": "", "outputs": {}, "examples": [{"with": {"text": 3}}]}
    code = "import monjolo.kit\nimport requests\nasync def f(ctx):\n    await ctx.http.get('x')\n    ctx.api\n"
    assert _codes(manifest, code, tests=False) == {
        ("error", "docstring"),
        ("error", "example"),
        ("error", "import"),
        ("error", "permissions"),
        ("warning", "client"),
        ("warning", "description"),
        ("warning", "id"),
        ("warning", "output"),
        ("warning", "tests"),
    }
