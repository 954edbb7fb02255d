"""Where a step's inputs name a secret: `{"$secret": NAME}`, or inside a text `{"$secret_text": [...]}`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

WHOLE, TEXT = "$secret", "$secret_text"


def secret_names(inputs: Any) -> set[str]:
    """The names of all secrets that `inputs` hold a place for."""
    return set(_names(inputs))


def resolve_secrets(inputs: Any, lookup: Callable[[str], str]) -> tuple[Any, tuple[str, ...]]:
    """`inputs` with values in their places, and those values, each once, to mask. The given object stays as is.

    A value that is put in is not looked at again: text from outside cannot become a place (S1).
    """
    used: dict[str, str] = {}

    def value(name: str) -> str:
        if name not in used:
            used[name] = lookup(name)
        return used[name]

    resolved = _resolve(inputs, value)
    return resolved, tuple(dict.fromkeys(text for text in used.values() if text))


def _resolve(node: Any, value: Callable[[str], str]) -> Any:
    if isinstance(node, dict):
        if len(node) == 1:
            if isinstance(name := node.get(WHOLE), str):
                return value(name)
            if isinstance(parts := node.get(TEXT), list):
                return "".join(part if isinstance(part, str) else value(part[WHOLE]) for part in parts)
        return {key: _resolve(item, value) for key, item in node.items()}
    if isinstance(node, list):
        return [_resolve(item, value) for item in node]
    return node


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if len(node) == 1 and isinstance(name := node.get(WHOLE), str):
            yield name
        elif len(node) == 1 and isinstance(parts := node.get(TEXT), list):
            yield from (part[WHOLE] for part in parts if isinstance(part, dict))
        else:
            for item in node.values():
                yield from _names(item)
    elif isinstance(node, list):
        for item in node:
            yield from _names(item)
