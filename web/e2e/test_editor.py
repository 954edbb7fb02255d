"""EDIT: a flow is written as text, by its graph and by its form; the text is the only truth, and nothing is lost."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.e2e.conftest import Platform, until

from .conftest import Visit, look

SOURCE = """\
# Vendas, a cada 2 horas
schema: monjolo/flow/v1
id: vendas
name: Vendas
triggers:
  - {id: agenda, type: schedule, cron: "0 */2 * * *"}   # de duas em duas horas
inputs:
  type: object
  properties:
    moeda: {type: string, default: BRL}

steps:
  - id: ler
    uses: core/transform
    with: {value: {total: 1}}
  - id: limpar
    uses: core/log
    with:
      message: "${{ inputs.moeda }}"   # entre aspas
      level: info
    timeout: 30s
  - {id: fim, uses: core/log, with: {message: fim}}
"""


KEPT = """() => new Promise(done => {
    const asked = indexedDB.open('monjolo-drafts');
    asked.onsuccess = () => {
        const all = asked.result.transaction('drafts').objectStore('drafts').getAll();
        all.onsuccess = () => { asked.result.close(); done(JSON.stringify(all.result)); };
    };
})"""


def text(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Texto do fluxo em YAML")


def source(page: Page) -> str:
    """The text as the editor has it, copied as a person would."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copiar").click()
    return str(page.evaluate("navigator.clipboard.readText()"))


def node(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name="Etapas do fluxo").locator(f'[data-node="{name}"]')


def field(page: Page, name: str) -> Locator:
    return page.locator(f'[data-field="{name}"]').locator("input, select, textarea")


def option(page: Page, value: str) -> Locator:
    return page.get_by_role("option").filter(has=page.get_by_text(value, exact=True))


def editing(platform: Platform, visit: Visit, path: str = "/flows/vendas/edit", **options: object) -> Page:
    page = visit(platform, **options).open(path)
    expect(page.get_by_text("Nenhum problema")).to_be_attached()
    return page


def type_at(page: Page, line: str, words: str) -> None:
    """Types at the end of a line of the text."""
    text(page).locator(".cm-line", has_text=line).first.click()
    page.keyboard.press("End")
    page.keyboard.type(words)


def test_edit_1_a_field_changes_the_bytes_of_its_value_only(own: Platform, visit: Visit) -> None:
    own.publish(SOURCE)
    page = editing(own, visit, "/flows/vendas/edit?step=limpar")
    field(page, "with.level").select_option("warning")
    field(page, "timeout").fill("5m")
    expected = SOURCE.replace("level: info", "level: warning").replace("timeout: 30s", "timeout: 5m")
    expect(page.get_by_text("Nenhum problema")).to_be_visible()
    assert source(page) == expected
    page.get_by_role("button", name="Desfazer").click()
    assert source(page) != expected


def test_edit_2_text_that_cannot_be_read_empties_no_pane(own: Platform, visit: Visit) -> None:
    own.publish(SOURCE)
    page = editing(own, visit, "/flows/vendas/edit?step=limpar")
    type_at(page, "level: info", ": [")
    problems = page.get_by_role("list", name="Problemas").get_by_role("listitem")
    expect(problems).to_have_count(1)
    expect(problems).to_contain_text(re.compile(r"Linha \d+, coluna \d+"))
    expect(node(page, "limpar")).to_be_visible()
    expect(field(page, "with.message")).to_have_value("${{ inputs.moeda }}")
    expect(field(page, "with.message")).to_be_disabled()
    for _ in ": [":
        page.keyboard.press("Backspace")
    expect(page.get_by_text("Nenhum problema")).to_be_visible()
    expect(field(page, "with.message")).to_be_enabled()
    assert source(page) == SOURCE


def test_edit_3_a_problem_stands_at_the_line_the_field_and_the_node(own: Platform, visit: Visit) -> None:
    own.publish(SOURCE)
    page = editing(own, visit, "/flows/vendas/edit?step=limpar")
    field(page, "timeout").fill("30x")
    message = "'30x' is not a duration"
    expect(page.get_by_role("list", name="Problemas")).to_contain_text(message)
    expect(page.locator('[data-field="timeout"] .fault')).to_contain_text(message)
    expect(node(page, "limpar")).to_contain_text("1 problema")
    publish = page.get_by_role("button", name="Corrija 1 problema")
    expect(publish).to_be_disabled()
    page.get_by_role("list", name="Problemas").get_by_role("button").click()
    expect(text(page)).to_be_focused()
    expect(text(page).locator(".cm-activeLine")).to_contain_text("timeout: 30x")


def test_edit_4_a_flow_is_made_wired_tested_and_published_by_clicks(own: Platform, visit: Visit) -> None:
    page = editing(own, visit, "/flows/new")
    field(page, "id").fill("por-cliques")
    node(page, "meu_1").click()
    page.get_by_role("button", name="Etapa", exact=True).click()
    option(page, "core/transform").click()
    expect(page.get_by_role("heading", name="Etapa transform")).to_be_visible()
    field(page, "with.value").fill('{"total": 2}')
    page.get_by_role("button", name="Inserir etapa antes de transform").click()
    option(page, "core/log").click()
    page.get_by_role("button", name="Usar um dado em Message").click()
    option(page, "steps.meu_1.output").click()
    expect(field(page, "with.message")).to_have_value("${{ steps.meu_1.output }}")
    node(page, "meu_1").click()
    page.get_by_role("button", name="Ligar").click()
    node(page, "transform").click()
    expect(page.get_by_text("transform agora espera por meu_1")).to_be_visible()
    node(page, "transform").click()
    page.get_by_role("button", name="Testar", exact=True).click()
    expect(page.locator(".out")).to_contain_text('"total": 2')
    page.get_by_role("button", name="Publicar").click()
    page.get_by_role("dialog").get_by_role("button", name="Publicar").click()
    expect(page).to_have_url(re.compile("/flows/por-cliques$"))
    steps = own.get("/flows/por-cliques")["current"]["document"]["steps"]
    assert [step["id"] for step in steps] == ["meu_1", "log", "transform"]
    assert sorted(steps[2]["needs"]) == ["log", "meu_1"]


def test_edit_4_a_flow_is_made_and_published_by_keyboard(own: Platform, visit: Visit) -> None:
    page = editing(own, visit, "/flows/new")
    page.keyboard.press("Alt+3")
    expect(text(page)).to_be_focused()
    page.keyboard.press("Control+Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    page.keyboard.type("-novo")
    node(page, "meu_1").focus()
    page.keyboard.press("Enter")
    page.locator('[data-act="add"]').focus()
    page.keyboard.press("Enter")
    page.keyboard.type("core transform")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Etapa transform")).to_be_visible()
    field(page, "with.value").focus()
    page.keyboard.type("1")
    node(page, "meu_1").focus()
    page.keyboard.press("ArrowDown")
    expect(node(page, "transform")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".out")).to_contain_text("Sucesso")
    publish = page.get_by_role("button", name="Publicar")
    expect(publish).to_be_enabled()
    publish.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="O que mudou")).to_be_focused()
    page.keyboard.type("primeira")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/flows/meu-fluxo-novo$"))
    assert own.get("/flows/meu-fluxo-novo/versions")["items"][0]["message"] == "primeira"


def test_edit_5_a_draft_outlives_its_tab_and_a_walk_through_other_pages(own: Platform, visit: Visit) -> None:
    own.publish(SOURCE)
    visitor = visit(own)
    page = visitor.open("/flows/vendas/edit")
    type_at(page, "name: Vendas", " de maio")
    page.get_by_role("link", name="Fluxos").first.click()
    expect(page).to_have_url(re.compile("/flows$"))
    page.go_back()
    expect(text(page)).to_contain_text("name: Vendas de maio")
    type_at(page, "timeout: 30s", "0")
    expect(page.get_by_text("salvo neste navegador")).to_be_visible()
    until(lambda: "30s0" in str(page.evaluate(KEPT)), "draft kept in the browser")
    page.close(run_before_unload=False)
    again = visitor.open("/flows/vendas/edit")
    expect(text(again)).to_contain_text("timeout: 30s0")
    expect(again.get_by_text("Este é o seu rascunho")).to_be_visible()
    assert own.get("/flows/vendas")["version"] == 1
    again.get_by_role("button", name="Descartar o rascunho").click()
    assert source(again) == SOURCE


def test_a_change_of_somebody_else_is_told_and_neither_text_is_lost(own: Platform, visit: Visit) -> None:
    own.publish(SOURCE)
    page = editing(own, visit)
    type_at(page, "name: Vendas", " minhas")
    own.publish(SOURCE.replace("name: Vendas", "name: Vendas deles"))
    page.get_by_role("button", name="Publicar").click()
    page.get_by_role("dialog").get_by_role("button", name="Publicar").click()
    conflict = page.get_by_role("dialog", name="O fluxo mudou enquanto você editava")
    expect(conflict.locator(".added")).to_contain_text("Vendas minhas")
    expect(conflict.locator(".removed")).to_contain_text("Vendas deles")
    assert look(page) == []
    conflict.get_by_role("button", name="Continuar editando").click()
    assert own.get("/flows/vendas")["version"] == 2
    expect(text(page)).to_contain_text("name: Vendas minhas")
    page.get_by_role("button", name="Publicar").click()
    page.get_by_role("dialog").get_by_role("button", name="Publicar").click()
    conflict.get_by_role("button", name="Publicar o meu por cima").click()
    expect(page).to_have_url(re.compile("/flows/vendas$"))
    assert "name: Vendas minhas" in own.get("/flows/vendas")["current"]["source"]


def test_an_id_that_is_taken_is_told_and_the_text_stays(own: Platform, visit: Visit) -> None:
    own.publish(SOURCE)
    page = editing(own, visit, "/flows/new")
    field(page, "id").fill("vendas")
    page.get_by_role("button", name="Publicar").click()
    page.get_by_role("dialog").get_by_role("button", name="Publicar").click()
    expect(page.get_by_text("Já existe um fluxo com este id")).to_be_visible()
    expect(text(page)).to_contain_text("id: vendas")


def test_a_draft_is_run_and_the_published_version_stays(own: Platform, visit: Visit) -> None:
    own.publish(SOURCE)
    page = editing(own, visit)
    type_at(page, "name: Vendas", " novas")
    page.get_by_role("button", name="Executar rascunho").click()
    page.get_by_role("dialog").get_by_label("moeda").fill("USD")
    page.get_by_role("dialog").get_by_role("button", name="Executar").click()
    expect(page).to_have_url(re.compile("/runs/"))
    run = own.runs_of("vendas")[0]
    flow = own.get("/flows/vendas")
    assert (run["version"], flow["version"], flow["draft"]) == (2, 1, 2)
    page.goto(f"{own.url}/flows/vendas/edit")
    expect(text(page)).to_contain_text("name: Vendas novas")


def test_the_caret_chooses_the_node_and_the_node_the_line(own: Platform, visit: Visit) -> None:
    own.publish(SOURCE)
    page = editing(own, visit)
    text(page).locator(".cm-line", has_text="level: info").click()
    expect(node(page, "limpar")).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile("step=limpar"))
    node(page, "fim").click()
    expect(text(page).locator(".cm-of-step")).to_contain_text("id: fim")
    node(page, "@0").click()
    expect(field(page, "cron")).to_have_value("0 */2 * * *")


def test_a_step_is_renamed_with_all_that_names_it_and_removed_again(own: Platform, visit: Visit) -> None:
    named = SOURCE.replace('"${{ inputs.moeda }}"', '"${{ steps.ler.output.value.total }}"')
    own.publish(named)
    page = editing(own, visit, "/flows/vendas/edit?step=ler")
    page.get_by_label("Nome da etapa").fill("buscar")
    page.get_by_label("Nome da etapa").press("Enter")
    expect(page.get_by_role("heading", name="Etapa buscar")).to_be_visible()
    assert source(page) == named.replace("id: ler", "id: buscar").replace("steps.ler.", "steps.buscar.")
    node(page, "fim").click()
    page.get_by_role("button", name="Remover fim").click()
    expect(node(page, "fim")).to_have_count(0)


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1440, "light"), (1440, "dark")])
def test_axe_finds_nothing_and_nothing_sticks_out(own: Platform, visit: Visit, width: int, scheme: str) -> None:
    own.publish(SOURCE)
    page = editing(own, visit, "/flows/vendas/edit?step=limpar", width=width, color_scheme=scheme)
    for pane in ["Grafo", "YAML", "Testar", "Etapa"] if width == 360 else [""]:
        if pane:
            page.get_by_role("group", name="Painel").get_by_role("button", name=pane).click()
        assert look(page) == [], pane
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), pane
    page.get_by_role("button", name="Usar um dado em Message").click()
    expect(page.get_by_role("combobox", name="Usar um dado em Message")).to_be_focused()
    assert look(page) == []
