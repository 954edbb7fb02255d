"""FLOW, FP and the shell: lists, the page of a flow, the palette, themes and languages, everything by keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.e2e.conftest import Platform, until

from .conftest import FLOWS, Visit, look


def test_flow_1_the_tabs_count_what_the_api_counts(inhabited: Platform, visit: Visit) -> None:
    states = inhabited.get("/dashboard/flows")["states"]
    page = visit(inhabited).open("/flows")
    tabs = page.get_by_role("navigation", name="Estado dos fluxos")
    expect(tabs.get_by_role("link", name="Todos")).to_have_text(f"Todos {states['all']}")
    expect(tabs.get_by_role("link", name="Com erro")).to_have_text(f"Com erro {states['failing']}")
    tabs.get_by_role("link", name="Pausados").click()
    expect(page.locator("tbody .nm")).to_have_text(["Limpeza de logs antigos"])
    expect(page).to_have_url(re.compile("tab=paused"))


def test_flow_2_a_search_without_accents_finds_and_stands_in_the_address(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited).open("/flows")
    expect(page.locator("tbody .nm")).to_have_count(4)
    page.keyboard.press("/")
    page.keyboard.type("conciliacao")
    expect(page.locator("tbody .nm")).to_have_text(["Conciliação PIX"])
    expect(page).to_have_url(re.compile("q=conciliacao"))
    page.reload()
    expect(page.locator("tbody .nm")).to_have_text(["Conciliação PIX"])
    page.get_by_role("searchbox").fill("nada disso")
    expect(page.get_by_text("Não há nada com estes filtros")).to_be_visible()
    page.get_by_role("link", name="Limpar filtros").click()
    expect(page.locator("tbody .nm")).to_have_count(4)


def test_flow_4_filters_survive_a_flow_and_the_way_back(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited).open("/flows?label=area:financeiro")
    expect(page.locator("tbody .nm")).to_have_count(2)
    page.get_by_role("link", name="Conciliação PIX").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Conciliação PIX")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.go_back()
    expect(page.locator("tbody .nm")).to_have_count(2)


def test_fp_2_the_next_times_are_the_schedulers(inhabited: Platform, visit: Visit) -> None:
    instants = [each["instant"] for each in inhabited.get("/flows/conciliar/next")["items"]]
    page = visit(inhabited).open("/flows/conciliar")
    times = page.get_by_role("region", name="Próximas execuções").locator("li > time")
    expect(times).to_have_count(5)
    assert [each.get_attribute("datetime") for each in times.all()] == instants


def test_fp_3_going_back_makes_a_version_whose_text_is_the_old_one(own: Platform, visit: Visit) -> None:
    own.publish(FLOWS[0])
    own.publish(FLOWS[0].replace("1.284 linhas gravadas", "2.000 linhas gravadas"))
    page = visit(own).open("/flows/planilha/versions")
    page.get_by_role("link", name="Ver mudanças").click()
    expect(page.locator(".diff .added")).to_contain_text("2.000")
    expect(page.locator(".diff .removed")).to_contain_text("1.284")
    page.get_by_role("button", name="Voltar para v1").click()
    expect(page.get_by_text("A v3 é igual à v1")).to_be_visible()
    texts = [own.ask("GET", "/flows/planilha/export", params={"version": each}).content for each in (1, 3)]
    assert texts[0] == texts[1]


def test_fp_6_pausing_asks_nothing_and_can_be_undone(own: Platform, visit: Visit) -> None:
    own.publish(FLOWS[0])
    page = visit(own).open("/flows/planilha")
    page.get_by_role("button", name="Pausar").click()
    expect(page.get_by_text("Pausado por você")).to_be_visible()
    expect(page.get_by_text("Pausado por Marina Alves.")).to_be_visible()
    assert own.get("/flows/planilha")["state"] == "paused"
    page.get_by_role("button", name="Desfazer").click()
    expect(page.get_by_role("button", name="Pausar")).to_be_visible()
    assert own.get("/flows/planilha")["state"] == "active"


PAGES = (
    "/flows",
    "/flows/conciliar",
    "/flows/conciliar/runs",
    "/flows/conciliar/versions?a=1&b=1",
    "/flows/conciliar/yaml",
    "/flows/absent",
    "/runs/x/y/z",
)


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1440, "light"), (1440, "dark")])
def test_axe_finds_nothing_and_nothing_sticks_out(inhabited: Platform, visit: Visit, width: int, scheme: str) -> None:
    page = visit(inhabited, width=width, color_scheme=scheme).page()
    for path in PAGES:
        page.goto(inhabited.url + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator(".skeleton")).to_have_count(0)
        assert look(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_the_palette_runs_a_flow_by_keyboard(own: Platform, visit: Visit) -> None:
    own.publish(FLOWS[0])
    page = visit(own).open("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Buscar ou executar")).to_be_focused()
    page.keyboard.type("exec planilha")
    expect(page.get_by_role("option", selected=True)).to_have_text(re.compile("Executar Planilha"))
    assert look(page) == []
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/runs/"))
    assert len(until(lambda: own.runs_of("planilha"), "run")) == 1


def test_keys_lead_to_pages_and_never_fire_while_somebody_types(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited).open("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page).to_have_url(re.compile("/flows$"))
    page.get_by_role("searchbox").focus()
    page.keyboard.type("g p ?")
    expect(page.get_by_role("searchbox")).to_have_value("g p ?")
    expect(page).to_have_url(re.compile("/flows"))
    page.get_by_role("heading", level=1).focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Atalhos do teclado")).to_be_visible()
    assert look(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_rows_are_walked_with_j_and_k_and_opened_with_enter(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited).open("/flows")
    page.get_by_role("link", name="Conciliação PIX").focus()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Emissão de NF-e")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/flows/conciliar$"))


def test_theme_and_language_change_at_once_and_are_kept(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited, color_scheme="light").open("/flows")
    page.get_by_role("button", name="Usar tema escuro").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name=re.compile("Sua conta")).click()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Flows")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Flows")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_signing_out_leaves_nothing_behind(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited).open("/flows")
    page.get_by_role("button", name=re.compile("Sua conta")).click()
    page.get_by_role("button", name="Sair").click()
    expect(page).to_have_url(re.compile("/login"))
    page.goto(inhabited.url + "/flows")
    expect(page).to_have_url(re.compile("/login"))


def test_the_drawer_opens_on_a_narrow_screen_and_closes_with_escape(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited, width=360).open("/")
    expect(page.get_by_role("navigation", name="Principal")).to_be_hidden()
    page.get_by_role("button", name="Abrir menu").click()
    expect(page.get_by_role("link", name="Painel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("navigation", name="Principal")).to_be_hidden()
    page.get_by_role("button", name="Abrir menu").click()
    page.get_by_role("link", name="Fluxos", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Fluxos")
    expect(page.get_by_role("navigation", name="Principal")).to_be_hidden()


def test_two_tabs_share_one_connection_for_events(inhabited: Platform, visit: Visit) -> None:
    visitor = visit(inhabited)
    tabs = [visitor.open("/"), visitor.open("/flows")]
    for tab in tabs:
        expect(tab.locator(".live")).to_have_attribute("data-state", "live")
    inhabited.run("planilha")
    count = len(inhabited.runs_of("planilha"))
    expect(tabs[0].get_by_test_id("ledger-0").locator("dd span")).not_to_have_text("0")
    tabs[0].bring_to_front()
    expect(tabs[0].locator('tr[data-flow="planilha"] .res')).to_contain_text("1.284 linhas gravadas")
    assert count >= 4
