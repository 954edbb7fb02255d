"""A document as YAML text, for people, when it was published as JSON."""

from __future__ import annotations

from typing import Any

import yaml

from monjolo.flow_document.parse import document_problem, reads_as_text
from monjolo.kit.errors import InvalidInput


class _Dumper(yaml.CSafeDumper):
    """Never writes an anchor: the reader would refuse it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value and not value.startswith((" ", "\n")) else None
    if not reads_as_text(value):  # PyYAML follows YAML 1.1, where `1e3` is text
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(document: dict[str, Any]) -> str:
    """YAML that `parse` reads back as the same document, its keys in their order.

    Raises InvalidInput for a document over the limits of depth and size, which could not be read back.
    """
    problem = document_problem(document)
    if problem is not None:
        raise InvalidInput(problem.message, code="invalid_flow", errors=[problem])
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
