"""Finds the `${{ … }}` in a text. It knows CEL's strings and braces, so `${{ {'a': '}}'} }}` is one expression."""

from __future__ import annotations

from dataclasses import dataclass

OPEN = "${{"


@dataclass(frozen=True, slots=True)
class Source:
    """One expression as written between the braces."""

    text: str


class TemplateError(Exception):
    """`offset` is where the expression that has no end begins."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def split(text: str) -> list[str | Source]:
    """`"a ${{ b }} c"` -> `["a ", Source("b"), " c"]`. Raises TemplateError."""
    parts: list[str | Source] = []
    at = 0
    while (start := text.find(OPEN, at)) >= 0:
        if start > at:
            parts.append(text[at:start])
        end = _closing(text, start + len(OPEN))
        if end < 0:
            raise TemplateError("An expression opens with `${{` and does not close with `}}`.", start)
        parts.append(Source(text[start + len(OPEN) : end].strip()))
        at = end + 2
    if at < len(text) or not parts:
        parts.append(text[at:])
    return parts


def _closing(text: str, at: int) -> int:
    """The offset of the `}}` that closes the expression whose text begins at `at`, or -1."""
    depth, size = 0, len(text)
    while at < size:
        char = text[at]
        if char in "'\"":
            at = _after_string(text, at)
            continue
        if char == "{":
            depth += 1
        elif char == "}":
            if depth == 0:
                return at if text.startswith("}}", at) else -1
            depth -= 1
        at += 1
    return -1


def has_comment(source: str) -> bool:
    """Whether `//` stands outside the strings of an expression: CEL would drop the rest without a word."""
    at = 0
    while at < len(source):
        if source[at] in "'\"":
            at = _after_string(source, at)
        elif source.startswith("//", at):
            return True
        else:
            at += 1
    return False


def _after_string(text: str, at: int) -> int:
    """The offset after the string literal that begins at `at`; the end of the text when it does not close."""
    quote = text[at]
    raw = at > 0 and (text[at - 1] in "rR" or text[max(at - 2, 0) : at].lower() in ("rb", "br"))
    raw = raw and not text[max(at - 3, 0) : at].rstrip("rRbB")[-1:].isalnum()
    mark = quote * 3 if text.startswith(quote * 3, at) else quote
    at += len(mark)
    while at < len(text):
        if text[at] == "\\" and not raw:
            at += 2
        elif text.startswith(mark, at):
            return at + len(mark)
        else:
            at += 1
    return at
