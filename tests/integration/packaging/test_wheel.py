"""One wheel is the whole product: built here, installed into an empty environment, started, and put to work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import uv

ROOT = Path(__file__).parents[3]
READY_SECONDS = 50
pytestmark = pytest.mark.xdist_group("packaging")
RECIPES = ("ola-monjolo", "vigiar-pasta", "backup-pasta")


def _uv(*arguments: str) -> None:
    done = subprocess.run([uv.find_uv_bin(), *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _uv("build", "-q", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder), ".")
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that holds the wheel and what it names, at the locked versions."""
    home = tmp_path_factory.mktemp("empty") / "venv"
    _uv("venv", "-q", "--python", sys.executable, str(home))
    python = str(home / "bin" / "python")
    lock = str(ROOT / "requirements.lock")
    _uv("pip", "install", "-q", "--python", python, "--compile-bytecode", "-c", lock, str(wheel))
    return home / "bin"


@pytest.fixture(scope="module")
def platform(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A client of `monjolo up`, started from the installed wheel with nothing of the repository in reach."""
    home = tmp_path_factory.mktemp("home")
    said = home / "stdout"
    environment = {"HOME": str(home), "PATH": f"{installed}:/usr/bin:/bin"}
    with said.open("wb") as out, (home / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [installed / "monjolo", "up", "--port", "0"], cwd=home, env=environment, stdout=out, stderr=err
        )
        try:
            url = _url(process, said, home / "stderr")
            token = (home / ".local/share/monjolo/cli-token").read_text().strip()
            with httpx2.Client(base_url=f"{url}/api/v1", timeout=60, trust_env=False) as client:
                client.headers["Authorization"] = f"Bearer {token}"
                yield client
        finally:
            process.terminate()
            process.wait(20)


def _url(process: subprocess.Popen[bytes], said: Path, log: Path) -> str:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if text := said.read_text():
            return text.split()[4].partition("/#")[0]
        time.sleep(0.05)
    raise AssertionError(f"it did not start: {log.read_text()}")


def test_the_sdist_holds_the_built_dashboard_so_that_a_wheel_of_it_needs_no_node(tmp_path: Path) -> None:
    _uv("build", "-q", "--sdist", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(tmp_path), ".")
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"web/dist/index.html", "web/package-lock.json", "scripts/hatch_dashboard.py"} <= names
    assert not [name for name in names if "node_modules" in name]


def test_the_wheel_holds_all_that_runs_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    shipped = {f"monjolo/_shipped/{path.relative_to(ROOT)}" for path in _shipped_files()}
    wanted = {
        "monjolo/cli/main.py",
        "monjolo/storage/migrations/versions/r0001_first_tables.py",
        "monjolo/storage/migrations/script.py.mako",
        "monjolo/domains/users/common_passwords.txt",
        *(f"monjolo/http/page_files/{name}" for name in ("home.html", "home.js", "docs.html", "docs.js", "page.css")),
        "monjolo/_shipped/web/index.html",
        "monjolo/_shipped/web/assets/before-paint.js",
        "monjolo_sdk/runner/main.py",
        "monjolo_sdk/py.typed",
    }
    assert sorted((wanted | shipped) - names) == []
    assert [name for name in names if Path(name).name.startswith(("test_", "conftest")) or name.endswith(".pyc")] == []
    assert {name.split("/")[0] for name in names} == {"monjolo", "monjolo_sdk", "monjolo-0.1.0.dist-info"}


def _shipped_files() -> Iterator[Path]:
    done = subprocess.run(
        ["git", "ls-files", "-z", "modules", "flows"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, done.stdout.split("\0")):
        path = ROOT / name
        if path.exists() and not path.name.startswith(("test_", "conftest")):
            yield path


def test_the_installed_platform_runs_the_recipes_that_need_no_configuration(
    platform: httpx2.Client, installed: Path, tmp_path: Path
) -> None:
    inputs = {"backup-pasta": {"destino": str(tmp_path)}}
    for recipe in RECIPES:
        (source,) = installed.parent.glob(f"lib/python*/site-packages/monjolo/_shipped/flows/{recipe}.yaml")
        published = platform.post("/flows", json={"source": source.read_text(encoding="utf-8")})
        assert published.status_code == 201, published.text
        ended = platform.post(f"/flows/{recipe}/runs?wait=40s", json={"inputs": inputs.get(recipe, {})}).json()
        assert ended["status"] == "succeeded", ended
    assert list(tmp_path.glob("*.tar.zst"))


def test_the_installed_command_line_knows_the_recipes(platform: httpx2.Client, installed: Path) -> None:
    environment = {
        "PATH": os.defpath,
        "MONJOLO_URL": str(platform.base_url).removesuffix("/api/v1/"),
        "MONJOLO_TOKEN": platform.headers["Authorization"].removeprefix("Bearer "),
    }

    def monjolo(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [installed / "monjolo", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)

    listed = monjolo("flow", "recipes", "--json")
    names = {recipe["id"] for recipe in json.loads(listed.stdout)["items"]}
    assert names == {path.stem for path in (ROOT / "flows").glob("*.yaml") if not path.stem.endswith(".test")}
    applied = monjolo("flow", "apply", "recipe:vigiar-pasta")
    assert applied.returncode == 0, applied.stderr


def test_the_installed_platform_needs_nothing_of_the_repository(platform: httpx2.Client, installed: Path) -> None:
    python = installed / "python"
    where = subprocess.run(
        [python, "-c", "import monjolo, monjolo_sdk; print(monjolo.__file__, monjolo_sdk.__file__)"],
        capture_output=True, text=True, check=True, env={"PATH": os.defpath},
    )  # fmt: skip
    assert all(path.startswith(str(installed.parent)) for path in where.stdout.split())
    modules = {item["id"]: item for item in platform.get("/modules").json()["items"]}
    assert set(modules) >= {"core", "files", "git", "monitor", "site_check"}
