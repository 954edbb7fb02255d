"""Hides secret values wherever they appear, in the forms they are commonly written in.

Values shorter than 4 characters are not masked: they would turn every other word into `***` and hide nothing.
"""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 4
SHORTEST_LINE = 8  # lines of a value of many lines (a key file) are secrets of their own: logs are cut at line ends
SHORTEST_CORE = 8  # of a base64 text that hides the value inside a larger one


class Masker:
    """Masks one set of values. `bool(masker)` is False when there is nothing to mask."""

    __slots__ = ("_pattern",)

    def __init__(self, values: tuple[str, ...]) -> None:
        forms: set[str] = set()
        for value in values:
            for part in (value, *value.splitlines()):
                if len(part) >= (SHORTEST if part == value else SHORTEST_LINE):
                    forms.update(written_forms(part))
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def text(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def value(self, value: Any) -> Any:
        """A JSON value, masked in its texts and keys; numbers stay, but for one that spells a secret."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self._pattern.sub(MASK, value)
        if isinstance(value, dict):
            return {self._pattern.sub(MASK, str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return MASK if self._pattern.search(str(value)) else value
        return value


NO_MASKER = Masker(())


@lru_cache(maxsize=256)
def masker_for(values: tuple[str, ...]) -> Masker:
    """Steps of one flow carry the same secrets again and again: the pattern is compiled once."""
    return Masker(values) if values else NO_MASKER


def written_forms(value: str) -> set[str]:
    """`value` as itself, JSON- and Python-escaped, URL-encoded, in hex, and in base64 at any offset."""
    raw = value.encode("utf-8", "surrogatepass")
    forms = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    for encoded in (quote(value, safe="", errors="replace"), quote_plus(value, errors="replace")):
        forms |= {encoded, re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)}
    forms |= {raw.hex(), raw.hex().upper()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        forms |= {whole, whole.rstrip("=")}
        for offset in range(3):
            core = _inner_base64(encode(b"\0" * offset + raw).decode(), offset)
            if len(core) >= SHORTEST_CORE:
                forms.add(core)
    return {form for form in forms if len(form) >= SHORTEST}


def _inner_base64(encoded: str, offset: int) -> str:
    """What is the same whatever stands before and after: not the digits shared with a neighbour."""
    start = (0, 2, 3)[offset]
    if encoded.endswith("=="):
        return encoded[start:-3]
    return encoded[start:-2] if encoded.endswith("=") else encoded[start:]
