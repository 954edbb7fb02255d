"""Secret values are hidden in every form they are commonly written in."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monjolo.worker.masking import Masker, masker_for

SECRET = 'pä/ss "w+rd" 42'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").lower(),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
        repr(SECRET)[1:-1],
    ],
)
def test_a_written_form_of_a_secret_is_masked(form: str) -> None:
    assert Masker((SECRET,)).text(f"before {form} after") == "before *** after"


@pytest.mark.parametrize("user", ["a", "ab", "abc", "abcd"])
def test_a_secret_inside_a_larger_base64_text_is_masked(user: str) -> None:
    header = base64.b64encode(f"{user}:correct horse battery".encode()).decode()
    masked = Masker(("correct horse battery",)).text(header)
    assert "***" in masked
    assert len(masked) < len(header) / 2


def test_each_line_of_a_key_file_is_masked_by_itself() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nq2VhZGVyIG9mIHRoaXM\n-----END KEY-----\n"
    assert Masker((key,)).text("got MIIEvQIBADANBgkqhkiG") == "got ***"


def test_values_shorter_than_four_characters_are_left_alone() -> None:
    masker = Masker(("abc", ""))
    assert not masker
    assert masker.text("abc") == "abc"


def test_keys_texts_and_numbers_of_a_json_value_are_masked() -> None:
    masker = Masker(("hunter22", "90210777"))
    value = {"hunter22": ["x hunter22", {"pin": 90210777, "n": 5, "b": True, "z": None}]}
    assert masker.value(value) == {"***": ["x ***", {"pin": "***", "n": 5, "b": True, "z": None}]}


def test_the_longest_of_overlapping_secrets_wins() -> None:
    assert Masker(("pass", "password")).text("password pass") == "*** ***"


def test_the_same_secrets_share_one_compiled_pattern() -> None:
    assert masker_for(("hunter22",)) is masker_for(("hunter22",))


@given(st.text(min_size=4, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_no_secret_survives_in_any_text(secret: str, before: str, after: str) -> None:
    assert secret not in Masker((secret,)).text(before + secret + after).replace("***", "")
