"""A house for each test, opened and listening."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.integration.runs.house import House

Reopen = Callable[[House], Awaitable[House]]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    opened = await House(tmp_path / "monjolo.db").open()
    await opened.start()
    yield opened
    await opened.kill()


@pytest.fixture
async def reopen() -> AsyncIterator[Reopen]:
    """Kills a house and opens another on the same file."""
    opened: list[House] = []

    async def again(old: House) -> House:
        await old.kill()
        new = await House(old.path, old.clock, old.window).open()
        opened.append(new)
        return await new.start()

    yield again
    for house in opened:
        await house.kill()
