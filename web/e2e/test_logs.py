"""Logs of all runs: found by text, level, time, flow and step; each line leads to its run; saved whole."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.e2e.conftest import Platform

from .conftest import Visit, look, set_up

TALK = """
schema: monjolo/flow/v1
id: falar
steps:
  - id: dizer
    uses: core/python
    with:
      script: |
        def main(inputs):
            for n in range(1, 31):
                print(f"linha {n} " + ("Agulha" if n == 17 else "palha"))
  - {id: avisar, uses: core/log, with: {level: error, message: "a agulha sumiu"}}
"""
MANY = """
schema: monjolo/flow/v1
id: muitas
steps:
  - id: dizer
    uses: core/python
    with:
      script: |
        def main(inputs):
            for n in range(1500):
                print("repetida", n)
"""


@pytest.fixture(scope="module")
def talked(used_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("talked") / "data"
    shutil.copytree(used_folder, folder)
    platform = Platform(folder).start()
    set_up(platform)
    for source in (TALK, MANY):
        platform.publish(source)
    for _ in range(2):
        platform.run("falar")
    platform.run("muitas")
    yield platform
    platform.stop()


def test_job_7_a_line_is_found_and_opens_its_run_at_the_line(talked: Platform, visit: Visit) -> None:
    page = visit(talked).open("/logs")
    expect(page.get_by_test_id("logs-total")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("agulha")
    expect(page.get_by_test_id("logs-total")).to_have_text("4 linhas em 2 execuções")
    expect(page).to_have_url(re.compile("q=agulha"))
    line = page.get_by_role("listitem").filter(has_text="linha 17 Agulha").first
    expect(line.locator("mark")).to_have_text("Agulha")
    line.get_by_role("link").click()
    expect(page.locator(".log .l.hit")).to_contain_text("linha 17 Agulha")
    expect(page.locator(".log .l.hit")).to_be_in_viewport()


def test_level_flow_and_step_narrow_the_search_and_stand_in_the_address(talked: Platform, visit: Visit) -> None:
    visitor = visit(talked)
    page = visitor.open("/logs?q=agulha")
    page.get_by_label("Nível").select_option("error")
    expect(page.get_by_test_id("logs-total")).to_have_text("2 linhas em 2 execuções")
    page.get_by_role("button", name="avisar").first.click()
    expect(page.get_by_role("button", name="Sem o filtro avisar")).to_be_visible()
    again = visitor.page()
    again.goto(page.url)
    expect(again.get_by_test_id("logs-total")).to_have_text("2 linhas em 2 execuções")
    again.get_by_role("searchbox").fill("nada disso")
    expect(again.get_by_text("Nenhuma linha com estes filtros.")).to_be_visible()


def test_the_lines_around_a_hit_are_shown_beside_it(talked: Platform, visit: Visit) -> None:
    page = visit(talked).open("/logs?q=linha 17")
    page.get_by_role("button", name=re.compile("^Linhas ao redor da 17")).first.click()
    around = page.get_by_label("Linhas ao redor", exact=True)
    expect(around.locator("span")).to_have_count(21)
    expect(around.locator(".here")).to_contain_text("linha 17 Agulha")


def test_a_search_that_ends_is_saved_whole(talked: Platform, visit: Visit) -> None:
    page = visit(talked).open("/logs?q=agulha")
    expect(page.get_by_role("group", name="Salvar o resultado inteiro")).to_be_visible()
    with page.expect_download() as caught:
        page.get_by_role("button", name=".ndjson.gz").click()
    with gzip.open(caught.value.path()) as file:
        saved = [json.loads(line) for line in file]
    assert saved == talked.get("/logs", q="agulha")["items"]
    assert len(saved) == 4


def test_a_search_that_stopped_says_so_and_can_show_more(talked: Platform, visit: Visit) -> None:
    page = visit(talked).open("/logs?q=repetida")
    expect(page.get_by_test_id("logs-total")).to_have_text("200 linhas em 1 execução, pode haver mais")
    expect(page.get_by_role("group", name="Salvar o que está na tela")).to_be_visible()
    page.get_by_role("button", name="Mostrar mais").click()
    expect(page.get_by_test_id("logs-total")).to_have_text("1.000 linhas em 1 execução, pode haver mais")
    expect(page.get_by_text("Para ver tudo, estreite o tempo ou a busca.")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_the_page_is_free_of_axe_findings_and_fits(talked: Platform, visit: Visit, theme: str, width: int) -> None:
    page = visit(talked, width=width, color_scheme=theme).open("/logs?q=agulha")
    page.get_by_role("button", name=re.compile("^Linhas ao redor")).first.click()
    expect(page.get_by_label("Linhas ao redor", exact=True)).to_be_visible()
    assert look(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
