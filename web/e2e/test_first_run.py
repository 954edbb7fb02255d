"""FR, LOGIN: from the printed link to the first success, and who gets in."""

from __future__ import annotations

import re

from playwright.sync_api import expect
from tests.e2e.conftest import Platform

from .conftest import EMAIL, PASSWORD, Visit, look

WRONG = "E-mail ou senha não conferem."


def link(platform: Platform) -> str:
    return "/#setup=" + platform.said.partition("#setup=")[2].split()[0]


def test_fr_1_and_fr_2_an_empty_platform_reaches_a_success_in_two_clicks_without_a_network(
    fresh: Platform, visit: Visit
) -> None:
    page = visit(fresh, signed_in=False).open(link(fresh))
    page.get_by_label("Nome").fill("Marina Alves")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Senha", exact=True).fill(PASSWORD)
    assert look(page) == []
    page.get_by_role("button", name="Começar").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pronto. Vamos rodar a primeira?")
    assert look(page) == []
    page.get_by_role("button", name="Executar Olá, Monjolo").click()
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-f-]{36}"))
    expect(page.get_by_text("Sucesso").first).to_be_visible()
    (run,) = fresh.runs_of("ola-monjolo")
    assert run["status"] == "succeeded"
    assert fresh.get("/setup/state") == {"needed": False}


def test_fr_3_set_up_without_a_key_or_with_a_user_there_leads_to_the_sign_in(fresh: Platform, visit: Visit) -> None:
    page = visit(fresh, signed_in=False).open("/setup")
    expect(page).to_have_url(re.compile(r"/login"))
    expect(page.get_by_text("monjolo setup-link")).to_be_visible()
    other = visit(fresh, signed_in=False).open("/#setup=mjk_wrong")
    other.get_by_label("Nome").fill("X")
    other.get_by_label("E-mail").fill("x@example.org")
    other.get_by_label("Senha", exact=True).fill(PASSWORD)
    other.get_by_role("button", name="Começar").click()
    expect(other.get_by_role("alert")).to_contain_text("Este link não vale mais")
    assert fresh.get("/setup/state") == {"needed": True}


def test_fr_3_a_link_opened_after_the_first_user_leads_to_the_sign_in(own: Platform, visit: Visit) -> None:
    page = visit(own, signed_in=False).open(link(own))
    expect(page).to_have_url(re.compile(r"/login"))
    expect(page.get_by_role("button", name="Entrar")).to_be_visible()


def test_fr_4_the_browsers_language_is_taken_and_the_choice_is_in_sight(fresh: Platform, visit: Visit) -> None:
    for locale, title in (("pt-PT", "Vamos começar"), ("en-GB", "Let us begin"), ("fr-FR", "Let us begin")):
        page = visit(fresh, signed_in=False, locale=locale).open(link(fresh))
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.get_by_role("combobox").first.select_option("pt-BR")
    expect(page.get_by_role("heading", level=1)).to_have_text("Vamos começar")
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")


def test_fr_5_a_tab_that_was_closed_half_way_resumes_without_the_password(fresh: Platform, visit: Visit) -> None:
    visitor = visit(fresh, signed_in=False)
    page = visitor.open(link(fresh))
    page.get_by_label("Nome").fill("Marina Alves")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Senha", exact=True).fill(PASSWORD)
    page.close()
    again = visitor.open(link(fresh))
    expect(again.get_by_label("Nome")).to_have_value("Marina Alves")
    expect(again.get_by_label("E-mail")).to_have_value(EMAIL)
    expect(again.get_by_label("Senha", exact=True)).to_have_value("")


def test_login_1_a_wrong_password_keeps_the_email_and_says_so(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited, signed_in=False).open("/login")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Senha", exact=True).fill("errada de propósito")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(WRONG)
    expect(page.get_by_label("E-mail")).to_have_value(EMAIL)
    expect(page.get_by_label("Senha", exact=True)).to_have_value("")
    expect(page.get_by_label("Senha", exact=True)).to_be_focused()
    assert look(page) == []


def test_login_2_the_address_that_was_asked_for_opens_after_the_sign_in(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited, signed_in=False).open("/flows?q=pix&tab=failing")
    expect(page).to_have_url(re.compile(r"/login"))
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Senha", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    expect(page).to_have_url(re.compile(r"/flows\?.*q=pix"))
    expect(page.get_by_role("link", name="Conciliação PIX")).to_be_visible()


def test_login_2_an_address_of_somebody_else_is_not_opened(inhabited: Platform, visit: Visit) -> None:
    visitor = visit(inhabited, signed_in=False)
    page = visitor.open("/login?next=//evil.example/x")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Senha", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("precisa de você")
    assert page.url.startswith(inhabited.url)


def test_login_3_the_keyboard_alone_signs_in(inhabited: Platform, visit: Visit) -> None:
    page = visit(inhabited, signed_in=False).open("/login")
    page.get_by_label("E-mail").focus()
    page.keyboard.type(EMAIL)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("precisa de você")


def test_login_4_a_session_that_ends_is_renewed_over_the_page_and_the_action_goes_on(
    own: Platform, visit: Visit
) -> None:
    own.publish("schema: monjolo/flow/v1\nid: eco\nname: Eco\nsteps: [{id: a, uses: core/log, with: {message: oi}}]\n")
    visitor = visit(own)
    page = visitor.open("/flows")
    expect(page.get_by_role("button", name="Executar Eco agora")).to_be_visible()
    visitor.context.clear_cookies()
    page.get_by_role("button", name="Executar Eco agora").click()
    dialog = page.get_by_role("dialog", name="Sua sessão terminou")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_label("E-mail")).to_have_value(EMAIL)
    dialog.get_by_label("Senha", exact=True).fill(PASSWORD)
    dialog.get_by_role("button", name="Entrar").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("Execução #1 começou")).to_be_visible()
    assert len(own.runs_of("eco")) == 1
