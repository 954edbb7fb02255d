"""`monjolo module …` as a person uses it: real processes, real files, no server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from monjolo.cli.client import find_token

START = "from monjolo.cli.module import app; app(prog_name='monjolo module')"


@pytest.fixture
def shell(tmp_path: Path) -> Any:
    """Runs `monjolo module ARGUMENTS` in an empty folder; the environments are kept for all tests."""
    folder = tmp_path / "work"
    folder.mkdir()
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path), "COLUMNS": "200"}
    environment.pop("MONJOLO_TOKEN", None)

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", START, *arguments], cwd=folder, env={**environment, **more}, text=True,
            capture_output=True, timeout=180, check=False,
        )  # fmt: skip

    run.folder = folder  # type: ignore[attr-defined]
    return run


@pytest.mark.parametrize("folder", [False, True])
def test_a_new_module_is_good_and_its_tests_pass(shell: Any, folder: bool) -> None:
    made = shell("new", "site_hello", *(["--folder"] if folder else []))
    assert made.returncode == 0, made.stderr
    path = "site_hello" if folder else "site_hello.py"
    checked = shell("check", path, "--strict", "--json")
    assert checked.returncode == 0, checked.stdout
    assert json.loads(checked.stdout) == {"module": "site_hello", "ok": True, "findings": []}
    tested = shell("test", path, "-q")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "2 passed" in tested.stdout
    again = shell("new", "site_hello", *(["--folder"] if folder else []))
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_an_action_runs_here_with_its_log(shell: Any) -> None:
    shell("new", "site_hello")
    done = shell("run", "site_hello.py", "greet", "--with", "name=Ana", "--with", "times=2")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"text": "Hello, Ana! Hello, Ana!", "letters": 23}
    assert "greeting name=Ana times=2" in done.stderr
    told = json.loads(shell("run", "site_hello.py", "greet", "--with", "name=Ana", "--json").stdout)
    assert told["output"]["letters"] == 11
    failed = shell("run", "site_hello.py", "greet", "--with", "name=", "--json")
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["type"] == "InvalidInput"
    assert shell("run", "site_hello.py", "absent").returncode == 1
    assert shell("run", "site_hello.py", "greet", "--with", "name").returncode == 2


def test_state_artifacts_and_progress_work_without_a_server(shell: Any) -> None:
    (shell.folder / "site_state.py").write_text(
        '"""Doc."""\nfrom monjolo_sdk import Context, Module\n'
        'module = Module("site_state", version="1.0.0")\n'
        "@module.action()\nasync def count(ctx: Context) -> int:\n"
        '    """Count."""\n'
        '    await ctx.state.set("n", 41)\n'
        '    ctx.progress(1, 2, "half")\n'
        '    await ctx.artifact("report.txt", "hello")\n'
        '    print("printed")\n'
        '    return await ctx.state.get("n") + 1\n',
        encoding="utf-8",
    )
    done = shell("run", "site_state.py", "count")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "42"
    assert "printed" in done.stderr
    assert "1/2 half" in done.stderr or "1.0/2.0 half" in done.stderr
    assert (shell.folder / "artifacts" / "report.txt").read_text(encoding="utf-8") == "hello"


def test_a_broken_module_is_judged_with_its_place(shell: Any) -> None:
    (shell.folder / "site_bad.py").write_text("x = 1\nraise ValueError('no')\n", encoding="utf-8")
    for command in ("check", "describe"):
        done = shell(command, "site_bad.py")
        assert done.returncode == 1
        assert "ValueError: no" in done.stderr
        assert "line 2" in done.stderr
    assert "there is no absent.py" in shell("check", "absent.py").stderr


def test_tests_run_in_the_environment_of_the_module(shell: Any) -> None:
    shell("new", "site_hello")
    path = shell.folder / "site_hello.py"
    text = path.read_text(encoding="utf-8").replace("dependencies = []", 'dependencies = ["iniconfig==2.0.0"]')
    path.write_text(text, encoding="utf-8")
    test = shell.folder / "test_site_hello.py"
    proof = "\n\ndef test_where() -> None:\n    import iniconfig, sys\n    assert 'environments' in sys.prefix\n"
    test.write_text(test.read_text(encoding="utf-8") + proof, encoding="utf-8")
    done = shell("test", "site_hello.py", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    test.write_text("def test_no() -> None:\n    assert False\n", encoding="utf-8")
    assert shell("test", "site_hello.py").returncode == 1


class _Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        right = self.headers["Authorization"] == "Bearer mj_right"
        module = {"id": "core", "version": "1.0.0", "source": "built-in", "actions": [{"name": "log"}]}
        body: Any = {"items": [module], "faults": [{"path": "x.py", "error": "broken"}], "next": None, "total": 1}
        if not right:
            body = {"code": "unauthenticated", "detail": "Sign in first."}
        text = json.dumps(body).encode()
        self.send_response(200 if right else 401)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


def test_the_list_comes_from_the_api(shell: Any) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        done = shell("list", MONJOLO_URL=url, MONJOLO_TOKEN="mj_right")
        assert "core" in done.stdout
        assert "broken x.py: broken" in done.stdout
        refused = shell("list", "--json", MONJOLO_URL=url, MONJOLO_TOKEN="mj_wrong")
        assert (refused.returncode, json.loads(refused.stdout)["error"]) == (3, "Sign in first.")
    finally:
        server.shutdown()
        server.server_close()
    nobody = shell("list", MONJOLO_URL=url)
    assert nobody.returncode == 4
    assert "monjolo up" in nobody.stderr


def test_the_token_is_found_where_only_its_owner_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONJOLO_TOKEN", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("MONJOLO_DATA", str(tmp_path))
    assert find_token() is None
    local = tmp_path / "cli-token"
    local.write_text("mj_local\n", encoding="utf-8")
    local.chmod(0o644)
    assert find_token() is None
    local.chmod(0o600)
    assert find_token() == "mj_local"
    credentials = tmp_path / "config" / "monjolo" / "credentials.json"
    credentials.parent.mkdir(parents=True)
    credentials.write_text('{"token": "mj_signed_in"}', encoding="utf-8")
    credentials.chmod(0o600)
    assert find_token() == "mj_signed_in"
    monkeypatch.setenv("MONJOLO_TOKEN", "mj_given")
    assert find_token() == "mj_given"


def test_an_action_without_its_parentheses_is_told_so(shell: Any) -> None:
    module = 'from monjolo_sdk import Module\n\nmodule = Module("bare", version="1.0.0", title="Bare")\n\n\n'
    (shell.folder / "bare.py").write_text(module + "@module.action\ndef greet() -> str:\n    return 'x'\n")
    checked = shell("check", "bare.py")
    assert checked.returncode == 1
    assert "write @module.action() above greet, with the parentheses" in checked.stdout + checked.stderr
