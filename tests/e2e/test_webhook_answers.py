"""A webhook that answers `sync`: the caller waits for the run, the run waits for nobody."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from .conftest import Platform, until

SUM = """
schema: monjolo/flow/v1
id: sum-now
inputs: {type: object, properties: {a: {type: integer}, b: {type: integer}}}
triggers:
  - id: door
    type: webhook
    auth: none
    respond: sync
    wait: 20s
    inputs: {a: "${{ event.body.a }}", b: "${{ event.body.b }}"}
steps:
  - {id: think, uses: core/shell, with: {command: "sleep 0.3"}}
outputs: {sum: "${{ inputs.a + inputs.b }}"}
"""
FAILS = """
schema: monjolo/flow/v1
id: fails-now
triggers: [{id: door, type: webhook, auth: none, respond: sync}]
steps: [{id: a, fail: "the inside of the flow"}]
"""
SLOW = """
schema: monjolo/flow/v1
id: slow-now
triggers: [{id: door, type: webhook, auth: none, respond: sync, wait: 200ms}]
steps: [{id: nap, sleep: 2s}]
outputs: {rested: true}
"""


def test_the_caller_gets_the_outputs_and_a_second_delivery_the_same(platform: Platform) -> None:
    platform.publish(SUM)
    asked = {"json": {"a": 2, "b": 3}, "headers": {"webhook-id": "sum-1"}, "token": None}
    answers = [platform.ask("POST", "/hooks/sum-now/door", **asked) for _ in range(2)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"sum": 5})] * 2
    [run] = platform.runs_of("sum-now")
    assert {answer.headers["location"] for answer in answers} == {f"/api/v1/runs/{run['id']}"}


def test_a_failed_run_is_a_problem_that_tells_nothing_of_the_inside(platform: Platform) -> None:
    platform.publish(FAILS)
    answer = platform.ask("POST", "/hooks/fails-now/door", token=None)
    [run] = platform.runs_of("fails-now")
    assert (answer.status_code, answer.json()["code"]) == (500, "run_failed")
    assert answer.json()["run"] == {"id": run["id"], "number": run["number"], "status": "failed"}
    assert "inside" not in answer.text


def test_when_the_time_is_over_the_caller_is_told_where_the_run_is(platform: Platform) -> None:
    platform.publish(SLOW)
    answer = platform.ask("POST", "/hooks/slow-now/door", headers={"webhook-id": "s1"}, token=None)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/v1/runs/{answer.json()['id']}"
    assert platform.ended(answer.json()["id"])["status"] == "succeeded"
    again = platform.ask("POST", "/hooks/slow-now/door", headers={"webhook-id": "s1"}, token=None)
    assert (again.status_code, again.json()) == (200, {"rested": True})


def test_a_caller_who_hangs_up_leaves_a_run_that_goes_on(platform: Platform) -> None:
    platform.publish(SUM.replace("sum-now", "sum-alone"))
    address = urlsplit(platform.url)
    body = b'{"a": 1, "b": 1}'
    with socket.create_connection((address.hostname, address.port)) as caller:
        caller.sendall(
            b"POST /api/v1/hooks/sum-alone/door HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(body), body)
        )
        [run] = until(lambda: platform.runs_of("sum-alone"), "run of the call")
    assert platform.ended(run["id"])["outputs"] == {"sum": 2}
