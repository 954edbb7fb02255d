"""Flows that are asked for together, as ten thousand schedules of one second do, are loaded together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.runs.house import House

from monjolo.domains.flows.service import FlowsService
from monjolo.kit.errors import NotFound

ONE = "  - {id: a, uses: core/log, with: {message: hi}}"


class CountedDatabase:
    """Counts the reads that pass."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.reads = 0

    async def read(self, query: Callable[[Any], Any]) -> Any:
        self.reads += 1
        return await self._database.read(query)


async def test_flows_at_hand_take_one_read_and_are_the_same_as_one_by_one(house: House) -> None:
    ids = [await house.publish(f"f{number}", ONE) for number in range(20)]
    counted: Any = CountedDatabase(house.sqlite)
    fresh = FlowsService(counted, house.clock, house.flows._catalogue, house.flows._triggers, house.flows._audit)
    await fresh.at_hand([*((flow_id, None) for flow_id in ids), ("no-such-flow", None)])
    assert counted.reads == 1
    for flow_id in ids:
        known, loaded = await house.flows.compiled(flow_id), await fresh.compiled(flow_id)
        assert (loaded.slug, loaded.version, loaded.compiled.plan) == (known.slug, known.version, known.compiled.plan)
    assert counted.reads == 1
    with pytest.raises(NotFound):
        await fresh.compiled("no-such-flow")


async def test_a_run_is_made_of_each_of_many_flows_in_one_bulk(house: House) -> None:
    ids = [await house.publish(f"f{number}", ONE) for number in range(5)]
    runs = await house.runs.accept([await house.wish(f"f{number}") for number in (0, 1, 2, 3, 4, 0)])
    assert [run.entry.flow.flow_id for run in runs] == [*ids, ids[0]]
    assert [run.number for run in runs] == [1, 1, 1, 1, 1, 2]
