"""How lists of runs are read: in the order of an index, never by sorting the whole history."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.runs.house import House

from monjolo.domains.runs import queries

ONE = "  - {id: a, uses: core/log, with: {message: hi}}"


class Explained:
    """A connection that tells how each query would be carried out."""

    def __init__(self, connection: Any, plans: list[str]) -> None:
        self._connection, self._plans = connection, plans

    def execute(self, sql: str, values: Any = ()) -> Any:
        self._plans += [row[3] for row in self._connection.execute("EXPLAIN QUERY PLAN " + sql, values)]
        return self._connection.execute(sql, values)


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"status": ["failed"]},
        {"status": ["succeeded"]},
        {"flow_id": "f"},
        {"flow_id": "f", "status": ["failed"]},
        {"flow_id": "f", "status": ["succeeded", "failed"]},
        {"trigger": "manual"},
        {"q": "hi"},
        {"from": 1, "to": 2},
    ],
    ids=str,
)
async def test_a_page_of_runs_is_read_in_the_order_of_an_index(house: House, filters: dict[str, Any]) -> None:
    plans: list[str] = []
    await house.sqlite.read(
        lambda c: queries.list_runs(Explained(c, plans), house.workspace, filters, None, 50)  # type: ignore[arg-type]
    )
    assert plans
    assert not [step for step in plans if "TEMP B-TREE" in step]


@pytest.mark.parametrize("statuses", [[], ["running"], ["running", "queued"], ["succeeded", "running"]], ids=str)
async def test_the_same_runs_are_found_whichever_index_is_walked(house: House, statuses: list[str]) -> None:
    other = await house.publish("other", ONE)
    await house.publish("f", ONE)
    runs = await house.runs.accept([await house.wish(slug) for slug in ("f", "other", "other")])
    filters = {"flow_id": other, "status": statuses}
    found = await house.sqlite.read(lambda c: queries.list_runs(c, house.workspace, filters, None, 50))
    assert [row["id"] for row in found] == sorted((run.id for run in runs[1:]), reverse=True)
    elsewhere = await house.sqlite.read(lambda c: queries.list_runs(c, "another", filters, None, 50))
    assert elsewhere == []
