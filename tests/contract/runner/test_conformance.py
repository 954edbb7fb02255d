"""What every runner must do, whatever it is written in: docs/reference/runner-protocol.md as tests."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

Runner = Any


def params(task: str, action: str, inputs: dict[str, Any] | None = None, **context: Any) -> dict[str, Any]:
    told = {"run": "r-1", "flow": "f", "step": "s", "attempt": 2, "idempotency_key": "k-1", **context}
    return {"task": task, "action": action, "inputs": inputs or {}, "connections": {}, "context": told}


def run(runner: Runner, task: str, action: str, inputs: dict[str, Any] | None = None, **context: Any) -> Any:
    answer = runner.request("run", params(task, action, inputs, **context))
    assert "result" in answer, answer
    return answer["result"]


def test_initialize_tells_protocol_module_version_and_actions(subject: Any, tmp_path: Path) -> None:
    runner, answer = subject.start(tmp_path)
    runner.close()
    result = answer["result"]
    assert (result["protocol"], result["module"], result["version"]) == (1, "conformance", "1.2.3")
    assert result["actions"]["echo"] == {"async": True}
    assert result["actions"]["echo_sync"] == {"async": False}


def test_describe_gives_a_manifest_with_schemas(runner: Runner) -> None:
    manifest = runner.request("describe")["result"]
    add = manifest["actions"]["add"]
    assert manifest["id"] == "conformance"
    assert add["inputs"]["required"] == ["a"]
    assert add["inputs"]["properties"]["b"]["minimum"] == 0
    assert add["inputs"]["additionalProperties"] is False
    assert add["outputs"]["additionalProperties"] == {"type": "integer"}
    assert manifest["connection_types"]["vault"]["secrets"] == ["token"]
    assert manifest["permissions"]["net"] == ["127.0.0.1"]


def test_a_run_gives_its_output_and_says_when_it_began(runner: Runner) -> None:
    before = time.time_ns() // 1000
    assert run(runner, "t1", "add", {"a": 1}) == {"output": {"sum": 3}}
    (started,) = runner.notified("started", "t1")
    assert before <= started["at"] <= time.time_ns() // 1000


def test_any_json_comes_back_as_it_went(runner: Runner) -> None:
    for action in ("echo", "echo_sync"):
        for value in (None, True, -1, 2**53, 1.5, "", "é\u0000\u2028\n\x1b[31m", [], {"a": [{"b": None}]}):
            assert run(runner, f"{action}-{value!r}", action, {"value": value}) == {"output": value}


def test_inputs_that_do_not_fit_name_the_input(runner: Runner) -> None:
    for inputs, said in (
        ({}, "a: is required"),
        ({"a": "x"}, "a: must be a whole number"),
        ({"a": 1, "b": -1}, "b: must be 0"),
        ({"a": 1, "c": 1}, "c: there is no such input"),
    ):
        error = run(runner, "t", "add", inputs)["error"]
        assert error["type"] == "InvalidInput"
        assert error["message"].startswith(said)
        assert error["retryable"] is False


def test_an_unknown_action_is_an_error_of_the_task(runner: Runner) -> None:
    assert "no action 'nothing'" in run(runner, "t", "nothing")["error"]["message"]


def test_errors_carry_type_message_traceback_and_what_to_do(runner: Runner) -> None:
    error = run(runner, "t", "fail", {"kind": "plain"})["error"]
    assert (error["type"], error["message"]) == ("ValueError", "a plain error: plain")
    assert error["retryable"] is True
    assert error["retry_after"] is None
    assert "in fail" in error["traceback"]
    later = run(runner, "t", "fail", {"kind": "retry_later"})["error"]
    assert (later["type"], later["retry_after"], later["retryable"]) == ("RetryLater", 12.5, True)
    assert later["details"] == {"status": 429}
    for kind, name in (("auth", "AuthError"), ("input", "InvalidInput"), ("permanent", "PermanentError")):
        error = run(runner, "t", "fail", {"kind": kind})["error"]
        assert (error["type"], error["retryable"]) == (name, False)


def test_a_traceback_shows_the_authors_frames_only(runner: Runner) -> None:
    error = run(runner, "t", "fail_sync", {"kind": "cause"})["error"]
    assert "KeyError" in error["traceback"]
    assert "outer" in error["traceback"]
    assert "monjolo_sdk" not in error["traceback"]
    assert error["traceback"].count("conformance_module") == 2


def test_exit_interrupt_and_endless_recursion_cost_the_attempt_only(runner: Runner) -> None:
    for action, kinds in (("fail", ("exit", "interrupt")), ("fail_sync", ("exit", "interrupt", "recursion"))):
        for kind in kinds:
            error = run(runner, f"{action}-{kind}", action, {"kind": kind})["error"]
            assert error["type"] in ("SystemExit", "KeyboardInterrupt", "RecursionError")
    assert run(runner, "after", "add", {"a": 2}) == {"output": {"sum": 4}}


def test_a_broken_line_is_answered_and_the_runner_goes_on(runner: Runner) -> None:
    runner.send_line(b"this is no JSON\n")
    assert runner.until(lambda m: m.get("id", 0) is None)["error"]["code"] == -32700
    runner.said.clear()
    for line in (b"[1, 2]\n", b'{"id": 1, "method": "run"}\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"\n"):
        runner.send_line(line)
    assert run(runner, "after", "add", {"a": 2}) == {"output": {"sum": 4}}
    codes = [m["error"]["code"] for m in runner.said if "error" in m]
    assert codes == [-32600, -32600, -32700, -32700]


def test_unknown_methods_and_bad_params_are_refused_with_their_codes(runner: Runner) -> None:
    assert runner.request("no_such_method")["error"]["code"] == -32601
    assert runner.request("run", [1])["error"]["code"] == -32602
    assert runner.request("run", {"task": 1, "action": "echo"})["error"]["code"] == -32602
    assert runner.request("run", {"task": "t"})["error"]["code"] == -32602
    assert runner.request("run", {"task": "t", "action": "echo", "inputs": 5})["error"]["code"] == -32602
    runner.notify("no_such_notification")
    runner.notify("cancel", {"task": "unknown"})
    runner.notify("cancel", 5)
    assert run(runner, "after", "add", {"a": 2}) == {"output": {"sum": 4}}


def test_another_protocol_is_refused_and_so_is_a_second_initialize(subject: Any, runner: Runner) -> None:
    again = runner.request("initialize", {"protocol": 1, "bundle": subject.bundle, "tmp": "/tmp"})
    assert again["error"]["code"] == -32003


def test_nothing_runs_before_initialize(subject: Any, start: Any, tmp_path: Path) -> None:
    runner, answer = start({**subject.bundle, "path": str(tmp_path / "absent.py")})
    assert answer["error"]["code"] == -32000
    assert runner.request("run", params("t", "echo"))["error"]["code"] == -32002
    assert runner.request("describe")["error"]["code"] == -32002
    refused = runner.request("initialize", {"protocol": 99, "bundle": subject.bundle})
    assert refused["error"]["code"] == -32001


def test_runs_that_come_with_initialize_wait_for_it(subject: Any, tmp_path: Path) -> None:
    runner = type(subject.start(tmp_path)[0])(subject.command)
    runner.ask("initialize", {"protocol": 1, "bundle": subject.bundle, "tmp": str(tmp_path)})
    ids = [runner.ask("run", params(f"t{n}", ("echo", "echo_sync")[n % 2], {"value": n})) for n in range(10)]
    assert [runner.answer(one)["result"]["output"] for one in ids] == list(range(10))
    runner.close()


def test_async_runs_go_side_by_side(runner: Runner, tmp_path: Path) -> None:
    waiting = [runner.ask("run", params(f"w{n}", "wait_for_file", {"path": str(tmp_path / "go")})) for n in range(5)]
    assert run(runner, "quick", "echo", {"value": 1}) == {"output": 1}
    assert run(runner, "quick_sync", "echo_sync", {"value": 1}) == {"output": 1}
    assert all(len(runner.notified("started", f"w{n}")) == 1 for n in range(5))
    (tmp_path / "go").touch()
    for one in waiting:
        assert runner.answer(one)["result"] == {"output": str(tmp_path / "go")}


def test_sync_runs_go_one_at_a_time_in_order(runner: Runner, tmp_path: Path) -> None:
    first = runner.ask("run", params("first", "wait_for_file_sync", {"path": str(tmp_path / "go")}))
    rest = [runner.ask("run", params(f"q{n}", "echo_sync", {"value": n})) for n in range(20)]
    runner.until(lambda m: m.get("method") == "started")
    assert run(runner, "beside", "echo", {"value": 1}) == {"output": 1}
    assert runner.notified("started", "q0") == []
    (tmp_path / "go").touch()
    assert [runner.answer(one)["result"]["output"] for one in (first, *rest)] == [
        str(tmp_path / "go"),
        *range(20),
    ]
    begun = [m["params"]["task"] for m in runner.said if m.get("method") == "started"]
    assert [task for task in begun if task.startswith("q")] == [f"q{n}" for n in range(20)]


def test_pipelined_runs_each_get_their_answer(runner: Runner) -> None:
    ids = [runner.ask("run", params(f"p{n}", ("echo", "echo_sync")[n % 2], {"value": n})) for n in range(2_000)]
    assert [runner.answer(one)["result"]["output"] for one in ids[-10:]] == list(range(1_990, 2_000))
    outputs = {m["id"]: m["result"]["output"] for m in runner.said if "result" in m and m["id"] in ids}
    assert sorted(outputs.values()) == list(range(2_000))


def test_cancel_ends_an_async_run_and_tells_a_sync_one(runner: Runner, tmp_path: Path) -> None:
    path = {"path": str(tmp_path / "never")}
    ids = {name: runner.ask("run", params(name, name, path)) for name in ("wait_for_file", "wait_for_file_sync")}
    queued = runner.ask("run", params("queued", "echo_sync"))
    for name in ids:
        runner.until(lambda m, name=name: m.get("method") == "started" and m["params"]["task"] == name)
    runner.notify("cancel", {"task": "queued"})
    for name in ids:
        runner.notify("cancel", {"task": name})
    error = runner.answer(ids["wait_for_file"])["result"]["error"]
    assert (error["type"], error["retryable"]) == ("Cancelled", False)
    assert runner.answer(ids["wait_for_file_sync"])["result"] == {"output": "cancelled"}
    assert runner.answer(queued)["result"]["error"]["type"] == "Cancelled"
    assert runner.notified("started", "queued") == []


def test_cancel_right_behind_its_run_gets_an_answer(runner: Runner, tmp_path: Path) -> None:
    for number in range(50):
        task = f"c{number}"
        request_id = runner.ask("run", params(task, "wait_for_file", {"path": str(tmp_path / "never")}))
        runner.notify("cancel", {"task": task})
        assert runner.answer(request_id)["result"]["error"]["type"] == "Cancelled"


def test_streams_become_log_lines_in_order_with_their_level(runner: Runner) -> None:
    run(runner, "t", "say", {"lines": 2})
    lines = [tuple(line[1:4]) for line in runner.logs("t")]
    for number in range(2):
        block = lines[number * 6 : number * 6 + 6]
        assert block[:5] == [
            ("info", "stdout", f"print {number}"),
            ("warning", "stderr", f"error {number}"),
            ("debug", "log", f"debug {number}"),
            ("critical", "log", f"critical {number}"),
            ("warning", "log", f"logging {number}"),
        ]
        assert block[5][:2] == ("warning", "stderr")
        assert block[5][2].endswith(f"UserWarning: warned {number}")
    fields = {line[3]: line[4] for line in runner.logs("t")}
    assert fields["debug 1"] == {"number": 1}
    assert fields["logging 1"] == {"logger": "some.where"}
    assert fields["critical 1"]["odd"]["deep"][0] == 1
    times = [line[0] for line in runner.logs("t")]
    assert times == sorted(times)


def test_logs_come_before_the_answer_and_belong_to_their_task(runner: Runner) -> None:
    ids = [runner.ask("run", params(f"a{n}", "say_async", {"name": f"a{n}", "others": 4})) for n in range(4)]
    for one in ids:
        runner.answer(one)
    for number in range(4):
        assert runner.texts(f"a{number}") == [f"a{number} {turn}" for turn in range(20)]
    run(runner, "last", "say_text", {"text": "hello"})
    methods = [m.get("method", "answer") for m in runner.said[-3:]]
    assert methods == ["started", "logs", "answer"]


def test_raw_writes_subprocesses_threads_and_half_lines_are_kept(runner: Runner) -> None:
    run(runner, "t", "say_raw")
    texts = runner.texts("t")
    expected = ["raw 1", "from sh", "err from sh", "from C", "from a thread", "bytes \ufffd", "no end"]
    assert sorted(texts) == sorted(expected)
    assert [text for text in texts if text != "err from sh"] == [t for t in expected if t != "err from sh"]


def test_nothing_that_a_module_writes_can_reach_the_protocol(runner: Runner) -> None:
    assert run(runner, "t", "break_protocol") == {"output": None}
    assert sum("forged" in text for text in runner.texts("t")) == 3
    assert runner.broken_lines == []


def test_control_characters_stay_data(runner: Runner) -> None:
    for text in ("\x00\x07\x1b[2J\x7f", "a\rb", "\u2028\u2029\u202e", '"}\\', "\ud800"):
        runner.said.clear()
        run(runner, "t", "say_text", {"text": text})
        assert runner.texts("t") == [text.replace("\ud800", "\ufffd")]
    assert runner.broken_lines == []


def test_a_long_line_comes_in_marked_pieces(runner: Runner) -> None:
    run(runner, "t", "say_text", {"text": "y" * 200_000})
    pieces = runner.logs("t")
    assert "".join(piece[3] for piece in pieces) == "y" * 200_000
    assert [piece[4]["part"] for piece in pieces] == [1, 2, 3, 4]
    assert max(len(piece[3]) for piece in pieces) == 65_536


def test_many_lines_all_arrive_in_order(runner: Runner) -> None:
    run(runner, "t", "say_much", {"lines": 50_000})
    assert [text.split()[0] for text in runner.texts("t")] == [str(number) for number in range(50_000)]
    assert sum(m.get("method") == "logs" for m in runner.said) < 25_000


def test_lines_beyond_the_log_limit_are_counted_not_sent(runner: Runner) -> None:
    run(runner, "t", "say_much", {"lines": 1_000, "width": 100}, log_bytes=10_000)
    texts = runner.texts("t")
    assert 50 < len(texts) < 110
    assert runner.logs("t")[-1][2] == "system"
    assert runner.logs("t")[-1][4] == {"dropped": 1_000 - (len(texts) - 1)}
    run(runner, "t2", "say_text", {"text": "the next one has its own limit"}, log_bytes=10_000)
    assert runner.texts("t2") == ["the next one has its own limit"]


def test_an_output_over_the_limit_fails_the_task(runner: Runner) -> None:
    assert len(run(runner, "ok", "big", {"size": 900}, output_bytes=1_000)["output"]) == 900
    error = run(runner, "t", "big", {"size": 2_000}, output_bytes=1_000)["error"]
    assert (error["type"], error["retryable"]) == ("OutputTooLarge", False)


def test_a_large_output_within_the_limit_arrives_whole(runner: Runner) -> None:
    assert len(run(runner, "t", "big", {"size": 8 << 20})["output"]) == 8 << 20


def test_an_output_that_is_not_json_says_where(runner: Runner) -> None:
    error = run(runner, "t", "not_json")["error"]
    assert error["type"] == "InvalidOutput"
    assert "rows[1]" in error["message"]


def test_state_progress_and_artifacts_travel(runner: Runner) -> None:
    stored = {"cursor": {"page": 1}}
    runner.answers["state.get"] = lambda p: {"value": stored.get(p["key"])}
    runner.answers["artifact"] = lambda p: {"name": p["name"], "size": Path(p["path"]).stat().st_size}
    output = run(runner, "t", "use_context")["output"]
    assert output["before"] == {"page": 1}
    assert output["after"] == {"page": 2}
    assert output["artifact"] == {"name": "report.txt", "size": 5}
    assert (output["attempt"], output["idempotency_key"]) == (2, "k-1")
    assert runner.notified("state.set", "t") == [{"task": "t", "key": "cursor", "value": {"page": 2}}]
    assert runner.notified("progress", "t") == [{"task": "t", "done": 1, "total": 2, "text": "half"}]
    stored.clear()
    output = run(runner, "t2", "use_context_sync")["output"]
    assert output == {"before": "none", "after": 3, "artifact": {"name": "a.bin", "size": 2}}


def test_a_refused_question_is_an_error_in_the_action(runner: Runner) -> None:
    for action in ("use_context", "use_context_sync"):
        error = run(runner, action, action)["error"]
        assert "the test has no answer" in error["message"]


def test_a_connection_arrives_with_its_secret_masked(runner: Runner) -> None:
    told = params("t", "use_connection", {"vault": "main"})
    told["connections"] = {"vault": {"token": "s3cr3t", "user": "ana"}}
    output = runner.request("run", told)["result"]["output"]
    assert (output["user"], output["length"]) == ("ana", 6)
    assert "s3cr3t" not in output["shown"]
    error = run(runner, "t2", "use_connection", {"vault": "main"})["error"]
    assert error["message"].startswith("vault: names no connection")


def test_standard_input_is_empty_for_the_action(runner: Runner) -> None:
    assert run(runner, "t", "read_stdin") == {"output": ""}


def test_a_fork_that_comes_back_is_not_a_second_runner(runner: Runner) -> None:
    assert run(runner, "t", "fork") == {"output": "parent"}
    assert run(runner, "after", "add", {"a": 2}) == {"output": {"sum": 4}}
    assert runner.broken_lines == []


def test_a_sudden_end_is_seen_as_the_end_of_its_output(runner: Runner) -> None:
    request_id = runner.ask("run", params("t", "die", {"code": 9}))
    assert runner.wait() == 9
    assert [m for m in runner.said if m.get("id") == request_id] == []


def test_an_interrupt_signal_does_not_end_the_runner(runner: Runner) -> None:
    os.kill(runner.process.pid, signal.SIGINT)
    assert run(runner, "after", "add", {"a": 2}) == {"output": {"sum": 4}}


def test_shutdown_finishes_what_runs_and_ends(runner: Runner, tmp_path: Path) -> None:
    ids = [
        runner.ask("run", params(name, name, {"path": str(tmp_path / "go")}))
        for name in ("wait_for_file", "wait_for_file_sync")
    ]
    runner.until(lambda m: m.get("method") == "started" and m["params"]["task"] == "wait_for_file")
    runner.notify("shutdown")
    runner.process.stdin.close()
    (tmp_path / "go").touch()
    assert runner.wait() == 0
    assert all(runner.answer(one)["result"]["output"] == str(tmp_path / "go") for one in ids)


def test_the_end_of_its_input_ends_it_at_once(runner: Runner, tmp_path: Path) -> None:
    runner.ask("run", params("t", "wait_for_file_sync", {"path": str(tmp_path / "never")}))
    runner.until(lambda m: m.get("method") == "started")
    runner.process.stdin.close()
    assert runner.wait() == 0


def test_every_line_is_one_json_rpc_message(runner: Runner) -> None:
    for number in range(3):
        run(runner, f"s{number}", "say")
        run(runner, f"m{number}", "say_much", {"lines": 2_000})
    assert runner.broken_lines == []
    assert all(message["jsonrpc"] == "2.0" for message in runner.said)
    assert json.dumps(runner.said)


def test_a_task_may_be_asked_back_unless_it_has_begun(runner: Runner, tmp_path: Path) -> None:
    begun = runner.ask("run", params("begun", "wait_for_file_sync", {"path": str(tmp_path / "go")}))
    queued = runner.ask("run", params("queued", "echo_sync"))
    runner.until(lambda m: m.get("method") == "started")
    for task in ("queued", "begun"):
        runner.notify("cancel", {"task": task, "unless_begun": True})
    assert runner.answer(queued)["result"]["error"]["type"] == "Cancelled"
    (tmp_path / "go").touch()
    assert runner.answer(begun)["result"] == {"output": str(tmp_path / "go")}
    assert runner.notified("started", "queued") == []
