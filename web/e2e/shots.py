"""`make shots`: every screen in both themes and both languages, at 1440 and 360 px, as PNGs in web/shots/."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.e2e.conftest import Platform
from web.e2e.conftest import EMAIL, FLOWS, PASSWORD, set_up

SHOTS = Path(__file__).parents[1] / "shots"
WIDTHS = {"wide": (1440, 1000), "narrow": (360, 780)}
PAGES = {
    "dashboard": "/",
    "dashboard-7d": "/?window=7d",
    "flows": "/flows",
    "flow": "/flows/conciliar",
    "flow-runs": "/flows/conciliar/runs",
    "flow-versions": "/flows/planilha/versions?a=1&b=2",
    "flow-yaml": "/flows/planilha/yaml",
    "runs": "/runs",
    "run-failed": "/runs/{failed}",
    "run-good": "/runs/{good}",
    "editor": "/flows/planilha/edit?step=gravar",
    "editor-new": "/flows/new",
    "logs": "/logs?q=limpo",
}


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("make shots needs Chromium. On Debian: apt-get install chromium")
    shutil.rmtree(SHOTS, ignore_errors=True)
    SHOTS.mkdir()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        platform = Platform(Path(folder) / "data").start()
        try:
            shoot(browser, platform)
        finally:
            platform.stop()
            browser.close()
    print(f"{len(list(SHOTS.glob('*.png')))} screenshots in {SHOTS}")


def shoot(browser: Browser, platform: Platform) -> None:
    link = "/#setup=" + platform.said.partition("#setup=")[2].split()[0]
    each(browser, platform, {"setup": link}, signed_in=False)
    set_up(platform)
    each(browser, platform, {"login": "/login"}, signed_in=False)
    each(browser, platform, {"first-steps": "/"})
    for source in FLOWS:
        platform.publish(source)
    platform.publish(FLOWS[0].replace("1.284 linhas", "2.000 linhas"))
    good = [platform.run("planilha") for _ in range(8)][-1]
    failed = [platform.run("conciliar") for _ in range(4)][-1]
    platform.run("limpeza")
    platform.post("/flows/limpeza/pause", {"reason": "migração do disco"}, 200)
    paths = {name: path.format(good=good["id"], failed=failed["id"]) for name, path in PAGES.items()}
    each(browser, platform, paths)


def each(browser: Browser, platform: Platform, paths: dict[str, str], *, signed_in: bool = True) -> None:
    for theme in ("light", "dark"):
        for language in ("pt-BR", "en"):
            for size, (width, height) in WIDTHS.items():
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme=theme,  # type: ignore[arg-type]
                    locale=language,
                    timezone_id="America/Sao_Paulo",
                    reduced_motion="reduce",
                )
                if signed_in:
                    body, headers = {"email": EMAIL, "password": PASSWORD}, {"origin": platform.url}
                    context.request.post(f"{platform.url}/api/v1/auth/session", data=body, headers=headers)
                page = context.new_page()
                for name, path in paths.items():
                    one(page, platform.url + path, f"{name}-{theme}-{language}-{size}", whole=size == "narrow")
                context.close()


def one(page: Page, address: str, name: str, *, whole: bool) -> None:
    page.goto(address)
    page.locator("h1").first.wait_for()
    expect(page.locator(".skeleton")).to_have_count(0, timeout=15_000)
    page.wait_for_timeout(300)  # fonts and the first events
    page.screenshot(path=SHOTS / f"{re.sub(r'[^A-Za-z0-9-]', '', name)}.png", full_page=whole)


if __name__ == "__main__":
    main()
