"""DASH: one request, then events; the numbers are the database's; a run starts once."""

from __future__ import annotations

import re
import signal

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.conftest import Platform, until

from .conftest import Visit, look

ECO = "schema: monjolo/flow/v1\nid: eco\nname: Eco\nsteps: [{id: a, uses: core/log, with: {message: oi}}]\n"
LENTO = (
    "schema: monjolo/flow/v1\nid: lento\nname: Lento\nsteps:\n"
    '  - {id: dorme, uses: core/shell, with: {command: "sleep 30"}}\n'
)


def row(page: Page, slug: str):  # type: ignore[no-untyped-def]
    return page.locator(f'tr[data-flow="{slug}"]')


def test_dash_1_and_dash_6_the_table_the_ledger_and_the_chart_say_the_same(inhabited: Platform, visit: Visit) -> None:
    totals = inhabited.get("/dashboard", timezone="America/Sao_Paulo")["totals"]
    page = visit(inhabited).open("/")
    expect(page.get_by_test_id("ledger-0").locator("dd span")).to_have_text(str(totals["runs"]))
    expect(page.get_by_test_id("ledger-2").locator("dd span")).to_have_text(str(totals["failed"]))
    page.get_by_role("button", name="Ver como tabela").click()
    cells = page.locator(".wl-table tbody tr").all()
    ok, failed = (sum(int(line.locator("td").nth(at).inner_text()) for line in cells) for at in (0, 1))
    assert (ok, failed) == (totals["ok"], totals["failed"])


def test_dash_2_a_failure_shows_by_itself_and_the_focused_row_stays(own: Platform, visit: Visit) -> None:
    own.publish(ECO)
    own.publish(
        "schema: monjolo/flow/v1\nid: mau\nname: Mau\nsteps: [{id: a, uses: core/fail, with: {message: não}}]\n"
    )
    own.run("eco")
    page = visit(own).open("/")
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    before = page.locator("tbody .nm").all_inner_texts()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
    page.get_by_role("link", name="Eco").focus()
    own.run("mau")
    expect(row(page, "mau")).to_contain_text("Falhou em", timeout=2_000)
    expect(page.get_by_test_id("ledger-2").locator("dd span")).to_have_text("1")
    assert page.locator("tbody .nm").all_inner_texts() == before
    expect(page.get_by_role("link", name="Eco")).to_be_focused()
    page.wait_for_timeout(3_000)
    assert len([url for url in asked if "/dashboard?" in url]) <= 4, asked


def test_dash_3_a_double_click_starts_one_run_and_the_row_shows_it(own: Platform, visit: Visit) -> None:
    own.publish(LENTO)
    page = visit(own).open("/")
    page.get_by_role("button", name="Executar Lento agora").dblclick()
    expect(row(page, "lento").get_by_role("img", name="Executando")).to_be_visible()
    expect(row(page, "lento").get_by_role("link", name="Acompanhar a execução de Lento")).to_be_visible()
    expect(page.get_by_role("region", name="Rodando agora")).to_contain_text("Lento")
    (run,) = own.runs_of("lento")
    own.post(f"/runs/{run['id']}/cancel", {"force": True})


def test_dash_3_a_flow_that_needs_an_input_asks_for_it(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited).open("/")
    page.get_by_role("button", name="Executar Emissão de NF-e agora").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Cliente").fill("ACME")
    dialog.get_by_label("Notas").fill("doze")
    dialog.get_by_role("button", name="Executar").click()
    expect(dialog.get_by_text("Escreva um número.")).to_be_visible()
    expect(dialog.get_by_label("Notas")).to_be_focused()
    assert look(page) == []
    dialog.get_by_label("Notas").fill("12")
    dialog.get_by_role("button", name="Executar").click()
    run = until(lambda: inhabited.runs_of("notas"), "run with inputs")[0]
    assert inhabited.ended(run["id"])["inputs"] == {"cliente": "ACME", "notas": 12}


def test_dash_4_a_schedule_shows_its_next_time_and_an_event_shows_none(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited).open("/")
    expect(row(page, "planilha").locator(".nx time").first).to_have_text(re.compile(r"\d\d:00"))
    expect(row(page, "conciliar").locator(".nx time").first).to_have_text(re.compile(r"\d\d:30"))
    expect(row(page, "notas").locator(".nx")).to_have_text("por evento")
    expect(row(page, "limpeza").locator(".nx")).to_have_text("—")
    expect(row(page, "conciliar")).to_contain_text("a cada hora, no minuto 30")


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dash_6_axe_finds_nothing_and_nothing_sticks_out(
    inhabited: Platform, visit: Visit, width: int, scheme: str
) -> None:
    page = visit(inhabited, width=width, color_scheme=scheme).open("/")
    expect(page.get_by_role("heading", name="Linha d’água")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-theme", scheme)
    assert look(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_headline_is_true(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited).open("/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Um fluxo precisa de você.")
    expect(page.locator(".hello p")).to_contain_text("Conciliação PIX falhou 3 vezes seguidas")
    expect(page.get_by_role("region", name="Precisa de você")).to_contain_text("o campo txid sumiu")


def test_the_waterline_is_read_by_keyboard(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited).open("/")
    line = page.get_by_role("slider", name="Linha d’água")
    line.focus()
    page.keyboard.press("End")
    page.keyboard.press("Home")
    expect(line).to_have_attribute("aria-valuetext", re.compile(r"nenhuma falha"))
    page.keyboard.press("ArrowRight")
    expect(line).to_have_attribute("aria-valuenow", "1")


def test_a_server_that_goes_away_is_told_and_its_return_too(own: Platform, visit: Visit) -> None:
    own.settings["port"] = own.url.rpartition(":")[2]
    own.publish(ECO)
    page = visit(own).open("/")
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    own.stop(signal.SIGKILL)
    expect(page.get_by_text("Sem contato com o servidor")).to_be_visible()
    expect(row(page, "eco")).to_be_visible()
    own.start()
    own.run("eco")
    expect(page.get_by_text("Sem contato com o servidor")).to_be_hidden(timeout=15_000)
    expect(page.locator(".live")).to_have_attribute("data-state", "live", timeout=15_000)
    expect(row(page, "eco").get_by_role("img", name="Ativo")).to_be_visible(timeout=15_000)
