"""RUN, RUNS and LOG: why a run failed, what is done about it, lists of runs, and logs of any length."""

from __future__ import annotations

import gzip
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.conftest import Platform, until

from .conftest import Visit, look, set_up

PIX = """
schema: monjolo/flow/v1
id: conciliar-pix
name: Conciliar PIX
inputs: {type: object, properties: {chave: {type: string, default: txid}}}
steps:
  - id: baixar
    uses: core/python
    needs: []
    with:
      script: |
        def main(inputs):
            print("baixando")
            return {"linhas": [{"valor": 149.9, inputs["chave"]: "E607"}]}
      inputs: {chave: "${{ inputs.chave }}"}
  - {id: ler_erp, uses: core/log, needs: [], with: {message: lido}}
  - id: validar
    uses: core/python
    needs: [baixar]
    retry: {max_attempts: 2, delay: 200ms, backoff: constant}
    with:
      script: |
        def main(inputs):
            for n in range(40):
                print("lendo", n)
            return inputs["linhas"][0]["txid"]
      inputs: {linhas: "${{ steps.baixar.output.linhas }}"}
  - {id: gravar, uses: core/log, needs: [validar, ler_erp], with: {message: gravado}}
on_failure:
  - {id: avisar, uses: core/log, with: {message: "falhou: ${{ error.message }}"}}
"""
LOOP = """
schema: monjolo/flow/v1
id: laco
steps:
  - id: itens
    for_each: {items: [1, 2, 3], as: n, max_parallel: 3, on_item_error: fail}
    uses: core/python
    with:
      script: |
        def main(inputs):
            if inputs["n"] == 2:
                raise ValueError("o item 2 não presta")
      inputs: {n: "${{ n }}"}
"""
LONG = """
schema: monjolo/flow/v1
id: log-longo
name: Log longo
steps:
  - id: falar
    uses: core/python
    timeout: 2m
    with:
      script: |
        def main(inputs):
            for n in range(1, 100_001):
                print(f"linha {n} " + ("agulha" if n % 1000 == 7 else "palha"))
"""
SLOW = """
schema: monjolo/flow/v1
id: demorado
name: Demorado
steps:
  - id: dormir
    uses: core/python
    timeout: 5m
    with:
      script: |
        import time
        def main(inputs):
            for n in range(3000):
                print("passo", n, flush=True)
                time.sleep(0.1)
"""
SECOND_MS = 1_000


@pytest.fixture(scope="module")
def worked(used_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a past: runs that went well, then two that failed for the same reason."""
    folder = tmp_path_factory.mktemp("worked") / "data"
    shutil.copytree(used_folder, folder)
    platform = Platform(folder).start()
    set_up(platform)
    for source in (PIX, LONG, SLOW):
        platform.publish(source)
    platform.run("conciliar-pix")
    for _ in range(2):
        platform.run("conciliar-pix", {"chave": "endToEndId"})
    yield platform
    platform.stop()


def last_failure(platform: Platform) -> str:
    return str(platform.get("/runs", flow="conciliar-pix", status="failed")["items"][0]["id"])


def open_failure(platform: Platform, visit: Visit, **options: object) -> Page:
    return visit(platform, **options).open(f"/runs/{last_failure(platform)}")


def test_run_1_a_failed_run_opens_at_its_failed_step_and_the_error(worked: Platform, visit: Visit) -> None:
    page = open_failure(worked, visit)
    expect(page.get_by_role("heading", level=2, name="validar", exact=True)).to_be_visible()
    expect(page.get_by_role("group", name="Tentativa").get_by_role("button", pressed=True)).to_have_text("2")
    expect(page.get_by_role("row", name=re.compile("^Falhou validar"))).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("log").get_by_text("KeyError: 'txid'")).to_be_in_viewport()


def test_run_1_a_failed_item_of_a_loop_shows_its_own_error(own: Platform, visit: Visit) -> None:
    own.publish(LOOP)
    failed = own.run("laco")
    page = visit(own).open(f"/runs/{failed['id']}")
    expect(page.get_by_role("heading", level=2, name="itens[1]", exact=True)).to_be_visible()
    expect(page.get_by_role("log").get_by_text("ValueError: o item 2 não presta")).to_be_in_viewport()
    page.get_by_role("button", name="3 itens, 1 com erro").click()
    expect(page.get_by_role("row", name=re.compile(r"itens\[1\]"))).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("row", name=re.compile(r"itens\["))).to_have_count(3)


def test_run_2_the_card_names_step_exception_and_line_and_what_changed(worked: Platform, visit: Visit) -> None:
    page = open_failure(worked, visit)
    cause = page.get_by_test_id("cause")
    expect(cause.get_by_role("heading")).to_contain_text("validar falhou: KeyError: 'txid'")
    expect(cause).to_contain_text("KeyError na linha 4 de script.py")
    expect(cause).to_contain_text("#1 boa")
    diff = cause.locator("pre")
    expect(diff.locator(".del")).to_have_text(["− txid", "− E607"])
    expect(diff.locator(".add")).to_have_text(["+ endToEndId", "+ E607"])
    expect(cause).to_contain_text("fluxo igual")


def test_run_3_repeating_with_another_input_reuses_what_was_done_and_links_both(own: Platform, visit: Visit) -> None:
    own.publish(PIX)
    failed = own.run("conciliar-pix", {"chave": "endToEndId"})
    page = visit(own).open(f"/runs/{failed['id']}")
    page.get_by_role("button", name="Repetir com entrada corrigida").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("De onde")).to_have_value("validar")
    dialog.get_by_label("Entrada (JSON)").fill("{nada")
    expect(dialog.get_by_role("button", name="Repetir")).to_be_disabled()
    dialog.get_by_label("Entrada (JSON)").fill('{"chave": "outra"}')
    expect(dialog.locator(".add")).to_have_text('+ chave: "outra"')
    dialog.get_by_role("button", name="Repetir").click()
    page.wait_for_url(lambda url: failed["id"] not in url)
    made = own.ended(page.url.split("/runs/")[1].split("?")[0])
    assert made["inputs"] == {"chave": "outra"}
    steps = {step["key"]: step for step in own.get(f"/runs/{made['id']}/steps", attempts="true")["items"]}
    assert steps["baixar"]["reused_from"] == failed["id"]
    assert steps["baixar"]["attempts"] == []
    expect(page.locator(".facts")).to_contain_text(f"repete #{failed['number']}")
    expect(page.get_by_role("row", name=re.compile("baixar"))).to_contain_text("reaproveitada")
    page.locator(".facts").get_by_role("link", name=f"#{failed['number']}").click()
    expect(page.locator(".facts")).to_contain_text(f"repetida em#{made['number']}")


def test_run_3_one_click_repeats_from_where_it_failed(own: Platform, visit: Visit) -> None:
    own.publish(PIX)
    failed = own.run("conciliar-pix", {"chave": "endToEndId"})
    page = visit(own).open(f"/runs/{failed['id']}")
    page.get_by_role("button", name="Repetir de validar").click()
    page.wait_for_url(lambda url: failed["id"] not in url)
    made = own.get("/runs", flow="conciliar-pix")["items"][0]
    assert made["repeat_of"] == failed["id"]


def test_run_4_and_5_a_live_run_shows_its_lines_without_asking_and_is_cancelled(own: Platform, visit: Visit) -> None:
    own.publish(SLOW)
    run = own.begin("demorado")
    visitor = visit(own)
    page = visitor.open(f"/runs/{run}")
    expect(page.get_by_role("row", name=re.compile("^Executando dormir"))).to_be_visible()
    expect(page.get_by_test_id("why")).to_contain_text("dormir está executando")
    expect(page.get_by_role("log").get_by_text(re.compile("passo 5$"))).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    last = page.locator(".log .l .m").last.inner_text()
    page.wait_for_function("last => document.querySelector('.log .l:last-child .m').innerText !== last", arg=last)
    page.wait_for_timeout(3 * SECOND_MS)  # of watching: a page that polls would have asked by now
    assert [url for url in asked if "/api/" in url and "/logs/window" not in url] == []
    began = time.monotonic()
    page.get_by_role("button", name="Cancelar").click()
    expect(page.locator("h1 .chip")).to_have_text("Cancelada")
    assert time.monotonic() - began < 10
    assert own.get(f"/runs/{run}")["status"] == "cancelled"


def test_run_the_tabs_tell_input_events_files_and_text(worked: Platform, visit: Visit) -> None:
    page = open_failure(worked, visit)
    page.get_by_role("tab", name="Entrada e saída").click()
    expect(page.get_by_role("tabpanel", name="Entrada e saída")).to_contain_text('"chave": "endToEndId"')
    page.get_by_role("tab", name="Eventos").click()
    expect(page.get_by_role("list", name="Eventos").get_by_role("listitem").first).to_contain_text("foi aceita")
    page.get_by_role("tab", name="YAML usado").click()
    expect(page.get_by_label("YAML usado").first).to_contain_text("id: conciliar-pix")
    page.get_by_role("tab", name="Definição").click()
    expect(page).to_have_url(re.compile("tab=yaml.*panel=definition"))
    page.reload()
    expect(page.get_by_role("tabpanel", name="Definição")).to_contain_text('"uses": "core/python"')


def test_run_by_keyboard_the_arrows_walk_the_steps(worked: Platform, visit: Visit) -> None:
    page = open_failure(worked, visit)
    page.get_by_role("row", name=re.compile("^Falhou validar")).focus()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("heading", level=2, name="ler_erp")).to_be_visible()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("heading", level=2, name="baixar")).to_be_visible()
    expect(page).to_have_url(re.compile("step=baixar"))


# --- lists of runs ------------------------------------------------------------------------------------------


def test_runs_2_and_4_the_count_is_the_databases_and_a_link_opens_the_same_rows(worked: Platform, visit: Visit) -> None:
    total = worked.get("/runs", count="true", status="failed", flow="conciliar-pix")["total"]
    visitor = visit(worked)
    page = visitor.open("/runs")
    page.get_by_role("button", name="Só falhas").click()
    page.get_by_role("button", name="conciliar-pix").first.click()
    expect(page.get_by_test_id("runs-total")).to_have_text(f"{total} resultados")
    expect(page.get_by_role("row")).to_have_count(total + 1)
    again = visitor.page()
    again.goto(page.url)
    expect(again.get_by_test_id("runs-total")).to_have_text(f"{total} resultados")


def test_runs_3_all_of_a_filter_is_repeated_not_the_loaded_page(own: Platform, visit: Visit) -> None:
    own.publish(PIX)
    items = [{"inputs": {"chave": "endToEndId"}} for _ in range(130)]
    own.post("/flows/conciliar-pix/runs/bulk", {"items": items})
    until(lambda: own.get("/runs", count="true", status="failed")["total"] == 130, "end of all runs", 90)
    page = visit(own).open("/runs?status=failed")
    page.get_by_role("checkbox", name=re.compile("Escolher conciliar-pix")).first.check()
    expect(page.get_by_role("region", name="Com as escolhidas")).to_contain_text("1 escolhida")
    page.get_by_role("button", name="Escolher todas do filtro").click()
    page.get_by_role("button", name="Repetir").click()
    expect(page.get_by_test_id("bulk-count")).to_have_text(re.compile("^130 execuções"))
    page.get_by_role("dialog").get_by_role("button", name="Repetir 130").click()
    expect(page.get_by_text("Pronto: 130 feitas.")).to_be_visible(timeout=60_000)
    assert own.get("/runs", count="true", flow="conciliar-pix")["total"] == 260


def test_runs_5_new_runs_are_counted_and_do_not_move_the_rows(own: Platform, visit: Visit) -> None:
    own.publish(PIX)
    own.run("conciliar-pix")
    page = visit(own).open("/runs")
    expect(page.get_by_role("row")).to_have_count(2)
    page.wait_for_timeout(SECOND_MS)  # until the live stream is there
    own.run("conciliar-pix")
    expect(page.get_by_role("button", name="1 nova")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="1 nova").click()
    expect(page.get_by_role("row")).to_have_count(3)


# --- logs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_run(worked: Platform) -> str:
    return str(worked.run("log-longo")["id"])


def test_log_1_a_hundred_thousand_lines_keep_few_rows_in_the_page(
    worked: Platform, long_run: str, visit: Visit
) -> None:
    page = visit(worked).open(f"/runs/{long_run}?step=falar")
    log = page.get_by_role("log")
    expect(log.get_by_text("linha 1 palha", exact=True)).to_be_visible()
    expect(page.get_by_text("100.000 linhas")).to_be_visible()
    log.evaluate("box => { box.scrollTop = box.scrollHeight }")
    expect(log.get_by_text("linha 100000 palha", exact=True)).to_be_in_viewport()
    assert page.locator(".log .l").count() <= 80


def test_log_2_a_search_finds_every_line_and_n_goes_to_the_next(worked: Platform, long_run: str, visit: Visit) -> None:
    page = visit(worked).open(f"/runs/{long_run}?step=falar")
    page.get_by_role("log").focus()
    page.keyboard.press("Control+f")
    expect(page.get_by_role("searchbox", name="Procurar no log")).to_be_focused()
    page.keyboard.type("agulha")
    found = worked.log_of(long_run).count("agulha") * 20  # the first 5,000 lines of 100,000
    expect(page.get_by_test_id("log-found")).to_have_text(f"{found} linhas", timeout=20_000)
    page.get_by_role("log").focus()
    page.keyboard.press("n")
    expect(page.get_by_test_id("log-found")).to_have_text(f"1 de {found}")
    page.keyboard.press("p")
    expect(page.get_by_test_id("log-found")).to_have_text(f"{found} de {found}")
    expect(page.locator(".log .l.hit mark")).to_have_text("agulha")
    expect(page).to_have_url(re.compile("line=99007"))


def test_log_3_the_packed_download_is_the_whole_log(worked: Platform, long_run: str, visit: Visit) -> None:
    page = visit(worked).open(f"/runs/{long_run}?step=falar")
    with page.expect_download() as caught:
        page.get_by_role("link", name=".gz").click()
    with gzip.open(caught.value.path()) as file:
        lines = file.read().splitlines()
    plain = worked.ask("GET", f"/runs/{long_run}/logs/download", params={"format": "ndjson", "step": "falar"})
    assert len(lines) == 100_000
    assert lines == plain.content.splitlines()


def test_log_4_scrolling_up_stops_following_and_f_goes_on(own: Platform, visit: Visit) -> None:
    own.publish(SLOW)
    run = own.begin("demorado")
    page = visit(own).open(f"/runs/{run}?step=dormir")
    follow = page.get_by_role("button", name=re.compile("Segu"))
    expect(follow).to_have_text("Seguindo")
    page.wait_for_function("() => document.querySelector('.log').scrollTop > 200", timeout=30_000)
    page.get_by_role("log").hover()
    page.mouse.wheel(0, -400)
    expect(follow).to_have_text("Seguir")
    page.get_by_role("log").focus()
    page.keyboard.press("f")
    expect(follow).to_have_text("Seguindo")
    own.post(f"/runs/{run}/cancel", {"force": True})


def test_log_5_a_line_in_the_address_is_shown_and_marked(worked: Platform, long_run: str, visit: Visit) -> None:
    page = visit(worked).open(f"/runs/{long_run}?step=falar&line=51231")
    line = page.locator(".log .l.hit")
    expect(line).to_contain_text("linha 51231 ")
    expect(line).to_be_in_viewport()


# --- for everybody ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_every_view_is_free_of_axe_findings_and_fits(worked: Platform, visit: Visit, theme: str, width: int) -> None:
    run = last_failure(worked)
    visitor = visit(worked, width=width, color_scheme=theme)
    page = visitor.page()
    for path in (
        "/runs",
        f"/runs/{run}",
        f"/runs/{run}?tab=io&panel=output&step=baixar",
        f"/runs/{run}?tab=events&panel=attempts",
        f"/runs/{run}?tab=yaml&panel=definition",
        f"/runs/{run}?tab=artifacts",
    ):
        page.goto(worked.url + path)
        expect(page.locator("h1")).to_be_visible()
        expect(page.locator(".skeleton")).to_have_count(0)
        assert look(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_the_pages_speak_english_too(worked: Platform, visit: Visit) -> None:
    page = open_failure(worked, visit, locale="en-US")
    expect(page.get_by_role("button", name="Repeat from validar")).to_be_visible()
    expect(page.get_by_test_id("cause")).to_contain_text("The same in the last 2 runs.")
