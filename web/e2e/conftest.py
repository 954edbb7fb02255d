"""The dashboard in a real browser, served by the real platform. Nothing between them is replaced.

Every page of every test is held to this: no request leaves this machine, no script fails, the content policy is
never broken.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, expect, sync_playwright
from tests.e2e.conftest import Platform

WEB = Path(__file__).parents[1]
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
PASSWORD = "um moinho que anda só"
EMAIL = "marina@example.org"
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if WEB in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("browser"))  # one browser, one platform


@dataclass
class Visitor:
    """A browser profile of one person, with what went wrong in its pages."""

    context: BrowserContext
    url: str
    faults: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def page(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._said)
        return page

    def open(self, path: str = "/") -> Page:
        page = self.page()
        page.goto(self.url + path)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        network = message.text.startswith("Failed to load resource") or "net::ERR" in message.text
        if message.type == "error" and not network:
            self.faults.append(message.text)

    def keep_inside(self) -> None:
        def judged(route: Route) -> None:
            if re.match(r"https?://127\.0\.0\.1[:/]", route.request.url):
                route.continue_()
            else:
                self.strangers.append(route.request.url)
                route.abort()

        self.context.route("**/*", judged)


Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium")
    assert found, "the browser tests need Chromium. On Debian: apt-get install chromium"
    assert (WEB / "dist" / "index.html").is_file(), "the dashboard is not built: make web"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """`visit(platform)` is a new person at their browser; `signed_in` uses the account of `inhabited`."""
    visitors: list[Visitor] = []

    def make(platform: Platform, *, signed_in: bool = True, width: int = 1440, **options: Any) -> Visitor:
        settings: dict[str, Any] = {
            "locale": "pt-BR",
            "timezone_id": "America/Sao_Paulo",
            "reduced_motion": "reduce",
            "viewport": {"width": width, "height": 900},
        }
        context = browser.new_context(**(settings | options))
        visitor = Visitor(context, platform.url)
        visitor.keep_inside()
        visitors.append(visitor)
        if signed_in:
            answer = context.request.post(
                f"{platform.url}/api/v1/auth/session",
                data={"email": EMAIL, "password": PASSWORD},
                headers={"origin": platform.url},
            )
            assert answer.ok, answer.text()
        return visitor

    yield make
    for visitor in visitors:
        visitor.context.close()
    for visitor in visitors:
        assert visitor.faults == []
        assert visitor.strangers == []


@pytest.fixture(scope="session")
def used_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder on which a platform has been up once; a start on a copy of it is a quick one."""
    platform = Platform(tmp_path_factory.mktemp("used") / "data").start()
    assert platform.stop() == 0
    return platform.folder


@pytest.fixture
def fresh(used_folder: Path, tmp_path: Path) -> Iterator[Platform]:
    """A platform that nobody has set up; `said` has its one-time link."""
    shutil.copytree(used_folder, tmp_path / "data")
    platform = Platform(tmp_path / "data").start()
    yield platform
    platform.stop()


def set_up(platform: Platform) -> None:
    key = platform.said.partition("#setup=")[2].split()[0]
    person = {"key": key, "name": "Marina Alves", "email": EMAIL, "password": PASSWORD}
    platform.post("/setup", person | {"locale": "pt-BR", "timezone": "America/Sao_Paulo"}, 201, token=None)


@pytest.fixture
def own(fresh: Platform) -> Platform:
    """A platform of the test's own, with its first account."""
    set_up(fresh)
    return fresh


@pytest.fixture(scope="session")
def inhabited(used_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The one that tests share which change nothing of each other's."""
    folder = tmp_path_factory.mktemp("inhabited") / "data"
    shutil.copytree(used_folder, folder)
    platform = Platform(folder).start()
    set_up(platform)
    for source in FLOWS:
        platform.publish(source)
    for _ in range(3):
        platform.run("planilha")
        platform.run("conciliar")
    platform.post("/flows/limpeza/pause", {"reason": "migração do disco"}, 200)
    yield platform
    platform.stop()


def look(page: Page) -> list[str]:
    """What axe finds on the page as it stands."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("rules => axe.run({ runOnly: rules })", RULES)
    return [f"{fault['id']}: {node['html'][:120]}" for fault in found["violations"] for node in fault["nodes"]]


FLOWS = (
    """
schema: monjolo/flow/v1
id: planilha
name: Planilha de vendas → Postgres
labels: {area: vendas}
triggers: [{id: agenda, type: schedule, cron: "0 */2 * * *", timezone: America/Sao_Paulo}]
steps:
  - {id: gravar, uses: core/transform, with: {value: {text: "1.284 linhas gravadas"}}}
outputs: {summary: "${{ steps.gravar.output.value.text }}"}
""",
    """
schema: monjolo/flow/v1
id: conciliar
name: Conciliação PIX
labels: {area: financeiro}
triggers: [{id: hora, type: schedule, cron: "30 * * * *", timezone: America/Sao_Paulo}]
steps:
  - {id: validar_lote, uses: core/fail, with: {type: KeyError, message: "o campo txid sumiu"}}
""",
    """
schema: monjolo/flow/v1
id: notas
name: Emissão de NF-e
labels: {area: financeiro}
triggers: [{id: erp, type: event, event: nf-e.pedida}]
inputs:
  type: object
  properties:
    cliente: {type: string, title: Cliente}
    notas: {type: integer, title: Notas, default: 1}
  required: [cliente]
steps:
  - {id: dizer, uses: core/log, with: {message: "${{ inputs.cliente }}: ${{ inputs.notas }}"}}
""",
    """
schema: monjolo/flow/v1
id: limpeza
name: Limpeza de logs antigos
triggers: [{id: domingo, type: schedule, cron: "0 4 * * 0", timezone: America/Sao_Paulo}]
steps:
  - {id: limpar, uses: core/log, with: {message: limpo}}
""",
)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A browser test that fails is run once more, and says so: two cores may stand still for seconds."""
    if not item.path.is_relative_to(Path(__file__).parent):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports):
        sys.stderr.write(f"again, after a failure: {item.nodeid}\n")
        item._initrequest()  # type: ignore[attr-defined]
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
