# ruff: noqa: E501 (tables of attacks)
"""S2, S3, S9: what hostile code in a step can reach, and what it tells."""

from __future__ import annotations

import base64
import json
import os
import time

import pytest

from .conftest import Victim

SECRET = "${{ secrets.bait }}"


def spellings(secret: str) -> list[str]:
    raw = secret.encode()
    inner = base64.b64encode(b"user:" + raw + b"@host").decode()[8:-12]
    return [secret, json.dumps(secret)[1:-1], base64.b64encode(raw).decode(), inner, raw.hex()]


def assert_untold(secret: str, text: str) -> None:
    for spelling in spellings(secret):
        for written in (spelling, json.dumps(spelling)[1:-1], json.dumps(json.dumps(spelling)[1:-1])[1:-1]):
            at = text.find(written)
            assert at < 0, text[max(0, at - 200) : at + 100]


def test_nothing_of_the_servers_environment_reaches_a_step(victim: Victim) -> None:
    found = victim.found("environment")
    told = json.dumps(found)
    assert victim.canary not in told
    assert victim.key not in told
    assert not [name for name in found["own"] if name.startswith("MONJOLO")]
    assert set(found["own"]) <= {
        "PATH",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HOME",
        "TMPDIR",
    }


def test_a_step_cannot_look_into_the_platform_or_its_supervisor(victim: Victim) -> None:
    found = victim.found("parents")
    commands = " ".join(told["command"] for told in found.values())
    assert "supervisor" in commands
    assert "monjolo" in commands
    for told in found.values():
        for what in ("environ", "mem", "maps", "fds", "cwd"):
            assert told[what].startswith("refused"), (told["command"], what, told[what][:100])
        assert told["ptrace"] == -1
    assert victim.key not in json.dumps(found)


def test_a_step_has_no_descriptors_but_its_own(victim: Victim) -> None:
    for target in victim.found("descriptors").values():
        assert target.startswith(("pipe:", "/dev/null", "/proc/", "anon_inode:", "socket:")), target


def test_a_step_gains_no_rights_and_has_lost_those_over_other_processes(victim: Victim) -> None:
    status = victim.found("rights")
    assert status["NoNewPrivs"].strip() == "1"
    for lost in (16, 17, 19, 21, 22, 24, 25, 27, 39):
        assert not int(status["CapEff"], 16) >> lost & 1
        assert not int(status["CapBnd"], 16) >> lost & 1 or os.geteuid() != 0


@pytest.mark.parametrize(
    "path",
    [
        "/proc/self/environ", "TMP/link", "TMP/folder/environ", "TMP/../../../cli-token", "TMP/loop", "TMP/fifo",
        "TMP/../../../keys/tokens.pem", "/etc/passwd", "TMP", "", "TMP/\x00", "TMP/missing", "relative", "/dev/zero",
    ],
)  # fmt: skip
def test_the_platform_reads_no_file_for_a_step_that_lies_outside_of_its_folder(victim: Victim, path: str) -> None:
    ended = victim.hostile("hand_over", path=path)
    assert ended["status"] == "failed", ended
    assert victim.ask("GET", f"/runs/{ended['id']}/artifacts").json()["items"] == []


def test_a_secret_is_masked_wherever_a_step_tells_it(victim: Victim) -> None:
    ended = victim.hostile("leak", secret=SECRET)
    told = victim.everything_told(ended["id"])
    assert ended["status"] == "succeeded"
    assert told.count("***") > 20
    assert_untold(victim.secret, told)


def test_a_secret_is_masked_in_an_error_its_cause_and_its_notes(victim: Victim) -> None:
    ended = victim.hostile("fail_with", secret=SECRET)
    assert ended["status"] == "failed"
    told = victim.everything_told(ended["id"])
    assert "cannot sign in with ***" in told
    assert_untold(victim.secret, told)


def test_no_secret_lies_readable_in_the_data_folder(victim: Victim) -> None:
    """Database with its log, blobs, bundles, temporary files, and what the platform said of itself."""
    victim.hostile("leak", secret=SECRET)
    victim.hostile("fail_with", secret=SECRET)
    seen = 0
    for path in [*victim.folder.rglob("*"), victim.folder.parent / "platform.log"]:
        if path.is_file() and "environments" not in path.parts:
            content = path.read_bytes()
            seen += len(content)
            for spelling in (*spellings(victim.secret), victim.key, victim.canary):
                assert spelling.encode() not in content, path
    assert seen > 100_000


def test_keys_tokens_and_database_are_for_their_owner_alone(victim: Victim) -> None:
    for path in [victim.folder, *victim.folder.rglob("*")]:
        if path.name in ("bundles", "modules", "environments") or {"bundles", "modules", "environments"} & set(
            path.parts
        ):
            continue
        if path.exists():
            assert not path.stat().st_mode & 0o077 or path.parent != victim.folder, path


def test_a_steps_token_has_the_scopes_of_its_manifest_and_no_more(victim: Victim) -> None:
    token = victim.found("token")["nekot"][::-1]
    assert victim.ask("GET", "/flows", token).status_code == 200
    for method, path in (
        ("GET", "/runs"), ("POST", "/flows"), ("GET", "/secrets"), ("GET", "/users"), ("POST", "/tokens"),
        ("POST", "/modules"), ("GET", "/metrics"), ("POST", "/setup/link"), ("POST", "/events"), ("GET", "/audit"),
    ):  # fmt: skip
        body = {"name": "x", "scopes": ["flows:read"]} if path == "/tokens" else {}
        answer = victim.ask(method, path, token, **({"json": body} if method == "POST" else {}))
        assert answer.status_code in (403, 422), (method, path, answer.text)
        assert answer.status_code == 403 or path not in ("/runs", "/secrets", "/users", "/tokens"), (path, answer.text)


def test_log_lines_carry_no_control_characters_and_no_forged_lines(victim: Victim) -> None:
    ended = victim.hostile("many_lines", count=50)
    text = victim.ask("GET", f"/runs/{ended['id']}/logs/download", params={"format": "txt"}).text
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\r" not in text
    assert all(line[:4].isdigit() for line in text.splitlines() if line)


def test_a_hundred_thousand_lines_and_all_memory_cost_the_step_alone(victim: Victim) -> None:
    started = time.monotonic()
    victim.hostile("many_lines", count=100_000)
    ended = victim.hostile("eat_memory")
    assert ended["status"] in ("failed", "crashed")
    assert time.monotonic() - started < 40
    assert victim.ask("GET", "/health/ready", None).status_code == 200


def test_importing_a_module_happens_in_a_runner_without_secrets(victim: Victim) -> None:
    """Its import tells where it runs, through its own description."""
    source = (
        "import os, json\nfrom monjolo_sdk import Module, Context\n"
        "told = json.dumps({'pid': os.getpid(), 'environment': dict(os.environ), 'uid': os.getuid()})\n"
        "module = Module('tells', version='1.0.0', title='Tells', description=told)\n"
        "@module.action(effects='read')\ndef nothing(ctx: Context) -> dict[str, int]:\n    '''Nothing.'''\n    return {}\n"
    )
    (victim.folder / "modules" / "tells.py").write_text(source)
    deadline = time.monotonic() + 20
    while (answer := victim.ask("GET", "/modules/tells")).status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert answer.status_code == 200, victim.log
    assert victim.canary not in answer.text
    assert victim.key not in answer.text
    told = json.loads(answer.json()["description"])
    assert told["pid"] != victim.process.pid
