from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monjolo.http.bodies import deeper_than
from monjolo.kit import json

values = st.recursive(
    st.none() | st.text('[]{}"\\ab', max_size=5) | st.integers(-5, 5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\', max_size=3), inner, max_size=3),
    max_leaves=12,
)


def depth(value: object) -> int:
    children = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else None
    return 0 if children is None else 1 + max(map(depth, children), default=0)


@given(values, st.integers(0, 8))
def test_depth_is_told_as_a_parser_would(value: object, limit: int) -> None:
    assert deeper_than(json.dumpb(value), limit) == (depth(value) > limit)


@pytest.mark.parametrize(
    "text",
    [b"[" * 5_000_000, b"[]" * 2_500_000, b"[" * 2_500_000 + b"]" * 2_500_000, b'"' * 5_000_000, b'"\\' * 2_500_000],
)
def test_hostile_text_takes_no_long_time(text: bytes) -> None:
    started = time.process_time()
    deeper_than(text, 64)
    assert time.process_time() - started < 2
