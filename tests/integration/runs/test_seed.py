"""History made in bulk (benchmarks/seed.py) is what as many real runs would have left."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import seed
from tests.integration.runs.house import House

from monjolo.domains.runs import queries

ONE = "  - {id: a, uses: core/log, with: {message: hi}}"


async def test_copies_have_ids_numbers_and_instants_of_their_own(tmp_path: Path) -> None:
    house = await House(tmp_path / "monjolo.db").open()
    await house.start()
    await house.publish("f", ONE)
    await house.publish("g", ONE)
    house.work()
    for slug in ("f", "g", "g"):
        await house.ended((await house.begin(slug)).id)
    await house.kill()
    seed.seed(tmp_path, 30, days=1)

    house = await House(tmp_path / "monjolo.db").open()
    await house.start()
    rows = await house.sqlite.read(lambda c: queries.list_runs(c, house.workspace, {}, None, 100))
    assert len({row["id"] for row in rows}) == 30
    assert [row["created_at"] for row in rows] == sorted((row["created_at"] for row in rows), reverse=True)
    for slug, count in (("f", 10), ("g", 20)):
        assert sorted(row["number"] for row in rows if row["flow"] == slug) == list(range(1, count + 1))
    for row in rows:
        shown = await house.sqlite.read(lambda c, r=row: queries.get(c, house.workspace, r["id"]))  # type: ignore[misc]
        assert (shown["status"], shown["root_run"]) == ("succeeded", row["id"])
        steps = await house.rows("SELECT started_at, finished_at FROM steps WHERE run_id = ?", row["id"])
        assert [row["created_at"] <= step["started_at"] <= step["finished_at"] for step in steps] == [True]
        contexts = await house.rows("SELECT context FROM runs WHERE id = ?", row["id"])
        assert f'"id":"{row["id"]}","number":{row["number"]}' in contexts[0]["context"]
    assert (await house.begin("g")).number == 21
    await house.kill()


async def test_a_run_under_way_is_no_pattern(house: House) -> None:
    await house.publish("f", ONE)
    await house.begin("f")
    await house.kill()
    with pytest.raises(SystemExit, match="all of them ended"):
        seed.seed(house.path.parent, 10)
