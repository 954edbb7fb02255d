"""`core` against real child processes and a real HTTP server on this machine."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from monjolo_sdk import AuthError, EgressRefused, InvalidInput, ModuleError, PermanentError, RetryLater
from monjolo_sdk.testing import Outcome, Runner

from .child import run_child
from .http_call import HttpServerError, HttpStatusError, HttpUnreachable, UnusableResponse, retry_after
from .module import module
from .script import BrokenScript, ScriptError
from .shell import CommandFailed, CommandNotFound

runner = Runner(module)


def lines(outcome: Outcome, stream: str) -> list[str]:
    return [line.text for line in outcome.logs if line.stream == stream]


# --- python ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "output"),
    [
        ("output = {'n': inputs['n'] + 1}", {"n": 42}),
        ("def main(inputs):\n    return inputs['n'] * 2", 82),
        ("async def main(inputs):\n    return [inputs['n']]", [41]),
        ("def main():\n    return 'no parameter'", "no parameter"),
        ("x = 1", None),
        ("import sys\noutput = 'left early'\nsys.exit(0)", "left early"),
        ("import sys\noutput = sys.stdin.read()", ""),
        (
            "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n"
            "    x: int\ndef main(inputs):\n    return A(1).x",
            1,
        ),
        ("output = '日本 \\U0001f600 \\x00'", "日本 \U0001f600 \x00"),
    ],
)
async def test_a_script_gives_its_output_or_what_main_returns(script: str, output: Any) -> None:
    outcome = await runner.run("python", {"script": script, "inputs": {"n": 41}})
    assert outcome.output == output


async def test_what_a_script_prints_is_logged_by_stream_and_in_order() -> None:
    script = "import sys\nfor i in range(3): print('line', i)\nprint('oops', file=sys.stderr)\nprint('açaí', end='')"
    outcome = await runner.run("python", script=script)
    assert lines(outcome, "stdout") == ["line 0", "line 1", "line 2", "açaí"]
    assert lines(outcome, "stderr") == ["oops"]


async def test_an_exception_is_told_with_the_scripts_own_lines_only() -> None:
    with pytest.raises(ScriptError, match="ValueError: no good") as caught:
        await runner.run("python", script="def f():\n    raise ValueError('no good')\ndef main(inputs):\n    f()")
    told = caught.value.details["traceback"]
    assert "line 2, in f" in told
    assert "raise ValueError('no good')" in told
    assert "harness" not in told
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("def main(:\n  pass", BrokenScript, "SyntaxError: line 1"),
        ("output = {1, 2}", BrokenScript, "not JSON"),
        ("output = float('nan')", BrokenScript, "not JSON"),
        ("import sys\nsys.exit(3)", ScriptError, "sys.exit"),
        ("import os\nos._exit(7)", ScriptError, "exit code 7"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", ScriptError, "killed by SIGKILL"),
        ("from monjolo_sdk import RetryLater\nraise RetryLater(9, 'busy')", RetryLater, "busy"),
        ("from monjolo_sdk import PermanentError\nraise PermanentError('never')", BrokenScript, "never"),
        ("import no_such_package_here", ScriptError, "ModuleNotFoundError"),
        ("# /// script\n# dependencies = 3\n# ///", InvalidInput, "list of texts"),
        ("# /// script\n# dependencies = [\n# ///", InvalidInput, "not valid"),
        ("  \n ", InvalidInput, "empty"),
    ],
)
async def test_a_script_that_fails_says_why(script: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        await runner.run("python", script=script)


async def test_a_script_with_dependencies_gets_an_environment_of_its_own() -> None:
    script = (
        '# /// script\n# requires-python = ">=3.11"\n# dependencies = ["iniconfig"]\n# ///\n'
        "import iniconfig, sys\ndef main(inputs):\n"
        "    print('prefix', sys.prefix)\n    return {'name': iniconfig.__name__, 'n': inputs['n']}\n"
    )
    outcome = await runner.run("python", {"script": script, "inputs": {"n": 5}})
    assert outcome.output == {"name": "iniconfig", "n": 5}
    assert not any(os.environ.get("VIRTUAL_ENV", "/nowhere") in line for line in lines(outcome, "stdout"))


async def test_inputs_never_reach_the_disk_or_the_command_line(tmp_path: Path) -> None:
    script = "from pathlib import Path\ndef main(inputs):\n    return Path('/proc/self/cmdline').read_text()"
    secret_runner = Runner(module, tmp=tmp_path)
    outcome = await secret_runner.run("python", {"script": script, "inputs": {"token": "canary-4711"}})
    assert "canary-4711" not in outcome.output
    assert not _in_files(b"canary-4711", tmp_path)


def _in_files(text: bytes, folder: Path) -> bool:
    return any(text in path.read_bytes() for path in folder.rglob("*") if path.is_file())


# --- shell ----------------------------------------------------------------------------------------------------


async def test_a_command_gives_its_output_and_its_lines_at_once() -> None:
    outcome = await runner.run("shell", command="echo out; echo err >&2; pwd")
    assert outcome.output["exit_code"] == 0
    assert outcome.output["stdout"].startswith("out\n")
    assert outcome.output["stderr"] == "err\n"
    assert lines(outcome, "stdout")[0] == "out"


async def test_values_come_by_the_environment_and_are_never_run() -> None:
    evil = "$(touch /tmp/owned); `id` \"; exit 9; '"
    outcome = await runner.run(
        "shell", command='printf %s "$VALUE"; printf %s "$LIST"', env={"VALUE": evil, "LIST": [1, "ã"]}
    )
    assert outcome.output["stdout"] == evil + '[1, "ã"]'


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ({"command": "exit 3"}, CommandFailed, "exit code 3"),
        ({"command": "false | true"}, CommandFailed, "exit code 1"),
        ({"command": 'echo "$UNSET_NAME"'}, CommandFailed, "unbound variable"),
        ({"command": "false; echo never"}, CommandFailed, "exit code 1"),
        ({"command": "kill -9 $$"}, CommandFailed, "SIGKILL"),
        ({"argv": ["/no/such/program"]}, CommandNotFound, "cannot be started"),
        ({"command": "true", "argv": ["true"]}, InvalidInput, "not both"),
        ({}, InvalidInput, "either"),
        ({"command": "true", "cwd": "relative"}, InvalidInput, "absolute path"),
        ({"command": "true", "env": {"A B": "x"}}, InvalidInput, "variable"),
        ({"command": "true", "env": {"A": "x\0y"}}, InvalidInput, "zero byte"),
    ],
)
async def test_a_command_that_fails_says_why(inputs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        await runner.run("shell", inputs)


async def test_an_exit_code_can_be_allowed() -> None:
    outcome = await runner.run("shell", command="exit 3", allowed_exit_codes=[0, 3])
    assert outcome.output["exit_code"] == 3


async def test_an_argument_list_runs_without_a_shell(tmp_path: Path) -> None:
    outcome = await runner.run("shell", argv=["printf", "%s", "$HOME *"], cwd=str(tmp_path))
    assert outcome.output["stdout"] == "$HOME *"
    outcome = await runner.run("shell", argv=["cat"], stdin="através")
    assert outcome.output["stdout"] == "através"


async def test_output_is_bounded_and_its_end_is_kept() -> None:
    outcome = await runner.run("shell", command="seq 1 200000", max_output_bytes=1000)
    assert outcome.output["truncated"]
    assert outcome.output["stdout"].endswith("199999\n200000\n")
    assert len(outcome.output["stdout"]) == 1000
    assert len(lines(outcome, "stdout")) == 200_000


async def test_a_long_line_is_cut_into_several() -> None:
    outcome = await runner.run("shell", command="head -c 100000 /dev/zero | tr '\\0' x")
    assert sum(map(len, lines(outcome, "stdout"))) == 100_000
    assert max(map(len, lines(outcome, "stdout"))) <= 16 * 1024


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while _runs(pid) and time.monotonic() < deadline:  # noqa: ASYNC110 - nothing tells of a stranger's end
        await asyncio.sleep(0.02)
    return not _runs(pid)


async def test_a_program_left_in_the_background_ends_with_the_step() -> None:
    outcome = await runner.run("shell", command="sleep 20 & echo $!")
    assert await _gone(int(outcome.output["stdout"]))


async def test_a_cancelled_command_is_ended_though_it_ignores_being_asked() -> None:
    pids: list[int] = []
    seen = asyncio.Event()

    def line(stream: str, text: str) -> None:
        pids.append(int(text))
        seen.set()

    argv = ["bash", "-c", "trap '' TERM; echo $$; while :; do sleep 0.1; done"]
    running = asyncio.create_task(
        run_child(argv, environment=os.environ, folder=Path("/"), stdin=b"", keep_bytes=100, line=line)
    )
    await asyncio.wait_for(seen.wait(), 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await _gone(pids[0])


# --- transform, log, fail -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "x", [1, [2]], {"a": {"b": None}}])
async def test_transform_gives_back_any_value(value: Any) -> None:
    assert (await runner.run("transform", value=value)).output == {"value": value}


async def test_log_writes_a_line_with_its_fields() -> None:
    outcome = await runner.run("log", message="done", level="warning", fields={"text": "x", "rows": 3})
    assert [(line.level, line.text, line.fields) for line in outcome.logs] == [
        ("warning", "done", {"text": "x", "rows": 3})
    ]


async def test_fail_fails_with_its_message_and_type() -> None:
    with pytest.raises(PermanentError, match="nothing came") as caught:
        await runner.run("fail", message="nothing came", type="EmptyReport")
    assert type(caught.value).__name__ == "EmptyReport"
    with pytest.raises(ModuleError) as caught_again:
        await runner.run("fail", message="later", retryable=True)
    assert caught_again.value.retryable
    with pytest.raises(InvalidInput, match="letters"):
        await runner.run("fail", message="x", type="../x")


# --- http_request ---------------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Answers by the path: /status/503, /echo, /redirect, /bytes, /slow …"""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        name, _, rest = parts.path.strip("/").partition("/")
        match name:
            case "status":
                extra = {"Retry-After": parse_qs(parts.query)["after"][0]} if "after" in parts.query else {}
                self._send(int(rest), b'{"why": "test"}', "application/json", extra)
            case "redirect":
                self._send(302, b"", "text/plain", {"Location": (rest and f"/{rest}") or "/echo"})
            case "loop":
                self._send(302, b"", "text/plain", {"Location": "/loop"})
            case "bytes":
                self._send(200, bytes(range(256)), "application/octet-stream")
            case "latin":
                self._send(200, "ação".encode("latin-1"), "text/plain; charset=iso-8859-1")
            case "broken":
                self._send(200, b"{not json", "application/json")
            case "large":
                self._send(200, b"x" * 100_000, "text/plain")
            case "slow":
                self.server.stop.wait(10)  # type: ignore[attr-defined]
                self.close_connection = True
            case _:
                told = {
                    "method": self.command,
                    "path": parts.path,
                    "query": parse_qs(parts.query),
                    "headers": {key.lower(): value for key, value in self.headers.items()},
                    "body": body.decode("latin-1"),
                }
                self._send(200, json.dumps(told).encode(), "application/json", {"X-Twice": "a"})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815

    def _send(self, status: int, body: bytes, kind: str, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    door = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    door.daemon_threads = True
    door.stop = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=door.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{door.server_address[1]}"
    door.stop.set()  # type: ignore[attr-defined]
    door.shutdown()
    door.server_close()
    thread.join()


async def get(url: str, **inputs: Any) -> Any:
    return (await runner.run("http_request", url=url, **inputs)).output


async def test_a_request_carries_everything_and_json_comes_back_parsed(server: str) -> None:
    result = await get(
        server + "/echo?a=1",
        method="POST",
        query={"b": "ç", "c": [1, 2]},
        headers={"X-Own": "yes", "Authorization": "Bearer t"},
        json={"k": [1, None]},
    )
    told = result["body"]
    assert result["status"] == 200
    assert result["ok"]
    assert result["body_kind"] == "json"
    assert result["elapsed_seconds"] > 0
    assert result["headers"]["x-twice"] == "a"
    assert told["method"] == "POST"
    assert told["query"] == {"a": ["1"], "b": ["ç"], "c": ["1", "2"]}
    assert told["headers"]["x-own"] == "yes"
    assert told["headers"]["content-type"] == "application/json"
    assert json.loads(told["body"]) == {"k": [1, None]}


async def test_a_form_and_a_text_are_sent_as_such(server: str) -> None:
    form = (await get(server + "/echo", method="PUT", form={"a": "1 2"}))["body"]
    assert form["body"] == "a=1+2"
    text = (await get(server + "/echo", method="PATCH", body="açaí"))["body"]
    assert text["body"].encode("latin-1").decode() == "açaí"
    with pytest.raises(InvalidInput, match="one of json, body and form"):
        await get(server, body="x", json=1)


async def test_the_answer_is_read_as_asked(server: str) -> None:
    assert (await get(server + "/bytes"))["body_kind"] == "base64"
    as_base64 = await get(server + "/bytes", response="base64")
    assert base64.b64decode(as_base64["body"]) == bytes(range(256))
    assert (await get(server + "/latin"))["body"] == "ação"
    assert (await get(server + "/broken"))["body"] == "{not json"
    assert (await get(server + "/echo", method="HEAD"))["body_kind"] == "none"
    with pytest.raises(UnusableResponse, match="not JSON"):
        await get(server + "/broken", response="json")
    with pytest.raises(PermanentError, match="more than 1000 bytes"):
        await get(server + "/large", max_bytes=1000)


async def test_redirects_are_followed_only_when_asked(server: str) -> None:
    assert (await get(server + "/redirect"))["status"] == 302
    followed = await get(server + "/redirect", follow_redirects=True)
    assert followed["status"] == 200
    assert followed["url"].endswith("/echo")
    with pytest.raises(PermanentError, match="redirects"):
        await get(server + "/loop", follow_redirects=True)


@pytest.mark.parametrize(
    ("path", "error", "retryable"),
    [
        ("/status/500", HttpServerError, True),
        ("/status/408", HttpServerError, True),
        ("/status/429", HttpServerError, True),
        ("/status/429?after=7", RetryLater, True),
        ("/status/503?after=7", RetryLater, True),
        ("/status/400", HttpStatusError, False),
        ("/status/404?after=7", HttpStatusError, False),
        ("/status/401", AuthError, False),
    ],
)
async def test_a_status_decides_whether_another_attempt_helps(
    server: str, path: str, error: type[ModuleError], retryable: bool
) -> None:
    with pytest.raises(error, match=path[8:11]) as caught:
        await get(server + path, method="POST")
    assert caught.value.retryable is retryable
    assert caught.value.details["body"] == '{"why": "test"}'
    if error is RetryLater:
        assert caught.value.retry_after == 7


async def test_expected_status_turns_a_refusal_into_a_result(server: str) -> None:
    result = await get(server + "/status/404", expected_status=[200, 404])
    assert (result["status"], result["ok"], result["body"]) == (404, False, {"why": "test"})
    with pytest.raises(HttpStatusError):
        await get(server + "/echo", expected_status=[204])


async def test_no_answer_is_worth_another_attempt(server: str) -> None:
    with pytest.raises(HttpUnreachable, match="no answer within"):
        await get(server + "/slow", method="POST", timeout_seconds=0.3)
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with pytest.raises(HttpUnreachable):
            await get(f"http://127.0.0.1:{reserved.getsockname()[1]}/", method="POST")


@pytest.mark.parametrize("url", ["not a url", "ftp://127.0.0.1/x", "http://", "/relative"])
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(PermanentError):
        await get(url)


async def test_a_private_address_needs_the_allow_list(server: str) -> None:
    with pytest.raises(EgressRefused):
        await Runner(module, egress_allow=()).run("http_request", url=server + "/echo")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("9" * 50, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)) == seconds
