"""What changed between two versions, by meaning and as text."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from monjolo.domains.flows.cache import LeastRecent
from monjolo.domains.flows.diff import document_diff, text_diff
from monjolo.kit.json import canonical

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=10,
)
BASE: dict[str, Any] = {
    "id": "a",
    "steps": [{"id": "x", "uses": "core/log"}, {"id": "y", "uses": "core/log", "with": {"n": 1}}],
    "needs": ["p", "q"],
}


def kinds(before: Any, after: Any) -> list[tuple[str, str]]:
    return [(change.path, change.kind) for change in document_diff(before, after)]


def test_steps_are_matched_by_id() -> None:
    after = copy.deepcopy(BASE)
    after["steps"] = [after["steps"][1], {"id": "z", "uses": "core/log"}]
    after["steps"][0]["with"]["n"] = 2
    assert kinds(BASE, after) == [
        ("steps[x]", "removed"), ("steps[y].with.n", "changed"), ("steps[z]", "added"),
    ]  # fmt: skip


def test_steps_that_change_places_are_a_change() -> None:
    after = copy.deepcopy(BASE)
    after["steps"].reverse()
    assert kinds(BASE, after) == [("steps", "moved")]


def test_other_lists_are_compared_by_place_and_keys_as_sets() -> None:
    after = {"steps": BASE["steps"], "id": "a", "needs": ["p", "r", "s"], "name": "n"}
    assert kinds(BASE, after) == [("needs[1]", "changed"), ("needs[2]", "added"), ("name", "added")]


def test_a_number_that_becomes_a_truth_value_is_a_change() -> None:
    assert kinds({"a": 1}, {"a": True}) == [("a", "changed")]


@given(JSON, JSON)
def test_there_is_a_difference_exactly_when_there_is_one(before: Any, after: Any) -> None:
    assert document_diff(before, before) == []
    assert bool(document_diff(before, after)) == (canonical(before) != canonical(after))


def test_the_text_is_a_unified_diff_that_says_when_a_line_does_not_end() -> None:
    text = text_diff("a\nb\n", "a\nc", before_name="one", after_name="two")
    assert text.splitlines() == [
        "--- one", "+++ two", "@@ -1,2 +1,2 @@", " a", "-b", "+c", "\\ No newline at end of file",
    ]  # fmt: skip


def test_the_cache_forgets_what_was_not_asked_for_longest() -> None:
    cache: LeastRecent[str, int] = LeastRecent(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache)) == (1, None, 3, 2)


def test_the_cache_forgets_as_many_as_make_room_for_one_that_weighs_more() -> None:
    cache: LeastRecent[str, str] = LeastRecent(6, len)
    for name, value in (("a", "xx"), ("b", "xx"), ("c", "xx"), ("a", "x"), ("d", "xxxx")):
        cache.put(name, value)
    assert (cache.get("a"), cache.get("b"), cache.get("c"), cache.get("d")) == ("x", None, None, "xxxx")
    cache.drop("d")
    cache.put("e", "xxxxx")
    assert (cache.get("a"), cache.get("e"), len(cache)) == ("x", "xxxxx", 2)
    cache.put("f", "xxxxxxx")
    assert (cache.get("f"), len(cache)) == ("xxxxxxx", 1)
