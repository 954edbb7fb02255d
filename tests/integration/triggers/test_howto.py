"""The flows in the how-to pages can be published as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Platform

HOWTO = Path(__file__).parents[3] / "docs" / "howto"
EXAMPLES = [
    pytest.param(text, id=f"{name}-{number}")
    for name in ("schedule", "webhook")
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", (HOWTO / f"{name}.md").read_text(), re.DOTALL))
]


@pytest.mark.parametrize("source", EXAMPLES)
async def test_an_example_of_the_page_is_published(platform: Platform, source: str) -> None:
    published = await platform.flows.publish(platform.workspace, source=source, actor="ana")
    assert published.head.state == "active"
