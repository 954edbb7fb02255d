"""What the dashboard asks the API for: the numbers are the database's, and every flow is in one state."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from .conftest import Platform, until

Another = Callable[..., Platform]
GOOD = """
schema: monjolo/flow/v1
id: {slug}
name: {name}
labels: {{area: {area}}}
{extra}
steps:
  - {{id: say, uses: core/transform, with: {{value: {{text: "1.284 linhas"}}}}}}
outputs:
  summary: "${{{{ steps.say.output.value.text }}}}"
"""
RESTING = """triggers:
  - {id: a, type: schedule, cron: "0 8 * * *"}
  - {id: b, type: interval, every: 1h, enabled: false}"""
BAD = """
schema: monjolo/flow/v1
id: conciliar
name: Conciliação PIX
triggers: [{id: hora, type: schedule, cron: "30 * * * *", timezone: America/Sao_Paulo}]
steps:
  - {id: validar, uses: core/fail, with: {type: Sumiu, message: "o campo txid sumiu"}}
"""


def good(slug: str, name: str, area: str = "vendas", extra: str = "") -> str:
    return GOOD.format(slug=slug, name=name, area=area, extra=extra)


@pytest.fixture(scope="module")
def filled(used_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("dashboard") / "data"
    shutil.copytree(used_folder, folder)
    platform = Platform(folder).start()
    for source in (
        good("planilha", "Planilha → Postgres"),
        good("avisos", "Avisos", "financeiro", RESTING),
        good(
            "com-entrada",
            "Com entrada",
            extra="inputs: {type: object, properties: {n: {type: integer}}, required: [n]}",
        ),
        good(
            "antigo",
            "Antigo",
            extra='triggers: [{id: x, type: schedule, cron: "0 0 * * *", end_at: "2020-01-01T00:00:00Z"}]',
        ),
        BAD,
    ):
        platform.publish(source)
    for _ in range(2):
        platform.run("planilha")
        platform.run("conciliar")
    platform.post("/flows/avisos/pause", {"reason": "férias"}, 200)
    yield platform
    platform.stop()


def test_dash_1_the_bars_the_ledger_and_the_database_agree(filled: Platform) -> None:
    for window in ("24h", "7d", "30d"):
        shown = filled.get("/dashboard", window=window, timezone="America/Sao_Paulo")
        totals, buckets = shown["totals"], shown["buckets"]
        assert sum(bucket["ok"] for bucket in buckets) == totals["ok"] == 2
        assert sum(bucket["failed"] for bucket in buckets) == totals["failed"] == 2
        with closing(sqlite3.connect(filled.folder / "monjolo.db")) as database:
            (ended,) = database.execute("SELECT COUNT(*) FROM runs WHERE finished_at IS NOT NULL").fetchone()
        assert totals["runs"] == ended
        assert totals["causes"] == 1
        assert sum(bucket["scheduled"] for bucket in buckets) == totals["scheduled"] > 0
        assert not any(bucket["scheduled"] for bucket in buckets[: shown["past"] - 1])


def test_the_buckets_are_those_of_the_persons_own_day(filled: Platform) -> None:
    shown = filled.get("/dashboard", window="30d", timezone="Asia/Kathmandu")
    for bucket in shown["buckets"]:
        local = datetime.fromisoformat(bucket["at"]) + timedelta(hours=5, minutes=45)
        assert (local.hour, local.minute) == (0, 0)
    for wrong in ("Mars/Olympus", "../etc/passwd", "a" * 90):
        answer = filled.ask("GET", "/dashboard", params={"timezone": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_timezone"), wrong
    assert filled.ask("GET", "/dashboard", params={"window": "1y"}).status_code == 422


def test_flow_1_every_flow_is_in_one_state_and_those_that_need_somebody_come_first(filled: Platform) -> None:
    shown = filled.get("/dashboard")
    states = shown["states"]
    assert states.pop("all") == sum(states.values()) == 5
    assert states == {"active": 2, "failing": 1, "finished": 1, "paused": 1, "draft": 0}
    first = shown["flows"][0]
    assert (first["slug"], first["state"], first["streak"]) == ("conciliar", "failing", 2)
    assert (first["last"]["step"], first["last"]["error"]) == ("validar", "o campo txid sumiu")
    assert [row["status"] for row in first["rhythm"]] == ["failed", "failed"]
    rows = {row["slug"]: row for row in shown["flows"]}
    assert rows["planilha"]["last"]["summary"] == "1.284 linhas"
    assert rows["planilha"]["typical_ms"] is not None
    assert rows["avisos"]["pause_reason"] == "férias"
    assert [starter["enabled"] for starter in rows["avisos"]["triggers"]] == [True, False]
    assert [row["needs_inputs"] for row in rows.values()].count(True) == 1
    assert rows["com-entrada"]["needs_inputs"]


def test_dash_4_what_comes_next_is_what_the_schedule_says(filled: Platform) -> None:
    shown = filled.get("/dashboard")
    rows = {row["slug"]: row for row in shown["flows"]}
    (following,) = filled.get("/flows/conciliar/next", count=1)["items"]
    assert rows["conciliar"]["next_at"] == following["instant"] == shown["next"][0]["at"]
    assert rows["planilha"]["next_at"] is None
    assert [row["flow"] for row in shown["next"]] == ["conciliar"]


def test_flow_2_a_search_needs_no_accents_and_no_capitals(filled: Platform) -> None:
    def found(**query: str) -> list[str]:
        return [row["slug"] for row in filled.get("/dashboard/flows", **query)["items"]]

    assert found(q="conciliacao") == ["conciliar"]
    assert found(q="POSTGRES planilha") == ["planilha"]
    assert found(label="area:financeiro") == ["avisos"]
    assert found(state="paused") == ["avisos"]
    assert found(q="nothing of the kind") == []
    assert filled.get("/dashboard/flows", q="conciliacao")["states"]["all"] == 1


def test_flows_come_page_by_page_by_name_none_twice_and_none_left_out(filled: Platform) -> None:
    seen: list[str] = []
    query: dict[str, object] = {"limit": 2}
    while True:
        page = filled.get("/dashboard/flows", **query)
        seen += [row["name"] for row in page["items"]]
        assert page["total"] == 5
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert seen == ["Antigo", "Avisos", "Com entrada", "Conciliação PIX", "Planilha → Postgres"]
    answer = filled.ask("GET", "/dashboard/flows", params={"after": "nonsense"})
    assert answer.status_code == 422
    assert filled.get("/dashboard/flows/planilha")["name"] == "Planilha → Postgres"
    assert filled.ask("GET", "/dashboard/flows/absent").json()["code"] == "flow_not_found"


def test_a_run_that_goes_on_is_shown_with_the_step_it_is_at(filled: Platform) -> None:
    filled.publish(
        "schema: monjolo/flow/v1\nid: lento\nname: Lento\nsteps:\n"
        '  - {id: dorme, uses: core/shell, with: {command: "sleep 20"}}\n'
    )
    run = filled.begin("lento")
    shown = until(lambda: filled.get("/dashboard")["running"], "running run")
    assert [(row["run"], row["flow"], row["step"]) for row in shown] == [(run, "lento", "dorme")]
    filled.post(f"/runs/{run}/cancel", {"force": True})
    filled.ended(run)
    assert filled.get("/dashboard")["running"] == []


def test_every_recipe_is_a_flow_that_can_be_published_and_the_first_runs_at_once(another: Another) -> None:
    platform = another().start()
    recipes = platform.get("/recipes")["items"]
    assert [recipe["id"] for recipe in recipes[:3]] == ["ola-monjolo", "vigiar-pasta", "backup-pasta"]
    assert not any(recipe["needs_inputs"] for recipe in recipes[:3])
    for recipe in recipes:
        assert platform.post("/flows/validate", {"source": recipe["source"]}, 200)["problems"] == [], recipe["id"]
    platform.post("/flows", {"source": recipes[0]["source"]}, 201)
    assert platform.run("ola-monjolo")["status"] == "succeeded"


def test_who_may_not_see_runs_does_not_see_the_dashboard(filled: Platform) -> None:
    answer = filled.ask("GET", "/dashboard", token=None)
    assert answer.status_code == 401
