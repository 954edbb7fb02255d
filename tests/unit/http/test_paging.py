from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monjolo.http.paging import PageQuery, decode_cursor, encode_cursor, page_of
from monjolo.kit.errors import InvalidInput

integers = st.integers(-(2**63) + 1, 2**63 - 1)


@given(integers, st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cursor_gives_back_the_key_it_was_made_of(number: int, text: str) -> None:
    assert decode_cursor(encode_cursor((number, text)), (int, str)) == (number, text)


@given(st.text(max_size=60))
def test_no_text_does_anything_worse_than_being_refused(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert [type(part) for part in decode_cursor(text, (int, str))] == [int, str]


@pytest.mark.parametrize("key", [("a", "b"), (1,), (1, "b", 2), (True, "b"), (2**63, "b"), (-(2**63), "b")])
def test_a_cursor_of_another_list_is_refused(key: tuple[int | str, ...]) -> None:
    with pytest.raises(InvalidInput):
        decode_cursor(encode_cursor(key), (int, str))


def test_pages_meet_without_a_gap_or_a_repeat() -> None:
    rows, seen, after = list(range(1, 24)), [], None
    while True:
        query = PageQuery(5, after)
        key = query.key(int)
        found = [row for row in rows if key is None or row > key[0]][: query.limit + 1]
        items, after = page_of(found, query, lambda row: (row,))
        seen += items
        if after is None:
            break
    assert seen == rows
