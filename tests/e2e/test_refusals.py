"""What is wrong is refused with a stable code that says what to do, and changes nothing."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from typing import Any

import pytest

from .conftest import Platform, until

GOOD = {
    "schema": "monjolo/flow/v1",
    "id": "refused",
    "steps": [{"id": "tell", "uses": "core/log", "with": {"message": "hello"}}],
}


def flow(**changes: Any) -> str:
    return json.dumps({**GOOD, **changes})


TELL = {"id": "tell", "uses": "core/log", "with": {"message": "hello"}}


def steps(*more: dict[str, Any]) -> str:
    return flow(steps=[TELL, *more])


def step(**changes: Any) -> str:
    return steps({"id": "x", "uses": "core/log", "with": {"message": "x"}, **changes})


def message(text: Any) -> str:
    return step(**{"with": {"message": text}})


BAD_DOCUMENTS = {
    "text that is no YAML": "id: [",
    "an anchor": "schema: &a monjolo/flow/v1\nid: refused\nsteps: []\n",
    "a duplicate key": "id: refused\nid: again\n",
    "a tag": "schema: !!python/object:os.system monjolo/flow/v1\n",
    "an unknown key": flow(stepz=[]),
    "an unknown key of a step": step(wiht={}),
    "no id": json.dumps({key: value for key, value in GOOD.items() if key != "id"}),
    "a step without id": steps({"uses": "core/log", "with": {"message": "x"}}),
    "an id twice": steps(TELL),
    "a cycle": flow(steps=[{**TELL, "id": a, "needs": [b]} for a, b in ("ab", "ba")]),
    "a step that is not there": step(needs=["nobody"]),
    "an action that is not there": step(uses="core/levitate"),
    "a value of the wrong type": message(5),
    "an input that is missing": step(**{"with": {}}),
    "an expression that does not compile": step(**{"if": "1 +"}),
    "an expression that reaches out": message("${{ ().__class__.__mro__ }}"),
    "a function that is not there": message("${{ __import__('os').system('id') }}"),
    "a name that is not in scope": message("${{ os.environ }}"),
    "a step that is not upstream": flow(steps=[{**TELL, "if": "steps.late.output"}, {"id": "late", "sleep": "1s"}]),
    "a secret in a condition": step(**{"if": "secrets.a == 'b'"}),
    "an expression that doubles its data": message("${{ [1]" + ".map(a, [a, a])" * 25 + " }}"),
    "a bad cron": flow(triggers=[{"id": "t", "type": "schedule", "cron": "99 * * * *"}]),
    "a zone that is none": flow(triggers=[{"id": "t", "type": "schedule", "cron": "@daily", "timezone": "Mars/X"}]),
    "a bad duration": flow(timeout="soon"),
}


@pytest.mark.parametrize("what", BAD_DOCUMENTS)
def test_a_flow_with_this_fault_is_refused_and_not_stored(platform: Platform, what: str) -> None:
    answer = platform.ask("POST", "/flows", json={"source": BAD_DOCUMENTS[what]})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_flow"), problem
    assert answer.headers["content-type"] == "application/problem+json"
    errors = [error for error in problem["errors"] if error["severity"] == "error"]
    assert errors
    assert all(re.fullmatch(r"[a-z][a-z0-9_]+", error["code"]) and error["message"] for error in errors)
    assert platform.ask("GET", "/flows/refused").status_code == 404


HOSTILE_YAML = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


def test_a_bomb_of_aliases_and_a_flow_too_large_are_refused_quickly(platform: Platform) -> None:
    bomb = platform.ask("POST", "/flows/validate", json={"source": HOSTILE_YAML})
    assert bomb.status_code == 200
    assert bomb.json()["problems"]
    large = platform.ask("POST", "/flows", json={"source": "# " + "x" * (1 << 20)})
    assert (large.status_code, large.json()["code"]) == (413, "flow_too_large")


def test_an_expression_that_runs_away_fails_its_run_only(platform: Platform) -> None:
    platform.publish("""
schema: monjolo/flow/v1
id: runaway
inputs: {type: object, properties: {n: {type: array, default: [1,2,3,4,5,6,7,8,9,10]}}}
steps:
  - id: count
    uses: core/transform
    with:
      value: >-
        ${{ inputs.n.map(a, inputs.n.map(b, inputs.n.map(c, inputs.n.map(d, inputs.n.map(e, a*b*c*d*e))))) }}
""")
    run = platform.run("runaway")
    assert run["status"] == "failed"
    assert run["error"]["message"]
    assert platform.get("/health/ready")["status"] == "ok"


def test_inputs_and_bodies_that_do_not_fit_start_nothing(platform: Platform) -> None:
    platform.publish("""
schema: monjolo/flow/v1
id: strict
inputs: {type: object, properties: {n: {type: integer}}, required: [n], additionalProperties: false}
steps: [{id: tell, uses: core/log, with: {message: "${{ string(inputs.n) }}"}}]
""")
    path = "/flows/strict/runs"
    for body, status, code in (
        ({"inputs": {"n": "five"}}, 422, "invalid_inputs"),
        ({"inputs": {}}, 422, "invalid_inputs"),
        ({"inputs": {"n": 1, "m": 2}}, 422, "invalid_inputs"),
        ({"inputs": 5}, 422, "invalid_input"),
        ({"input": {"n": 1}}, 422, "invalid_input"),
        ({"inputs": {"n": 1}, "version": 99}, 404, None),
    ):
        answer = platform.ask("POST", path, json=body)
        assert answer.status_code == status, (body.keys(), answer.text[:300])
        assert code is None or answer.json()["code"] == code
    broken = platform.ask("POST", path, content=b"{ no json", headers={"content-type": "application/json"})
    assert broken.status_code in (400, 422)
    huge = platform.ask("POST", path, content=b"x" * 10_500_000, headers={"content-type": "application/json"})
    assert (huge.status_code, huge.json()["code"]) == (413, "payload_too_large")
    assert platform.runs_of("strict") == []
    platform.publish("""
schema: monjolo/flow/v1
id: roomy
inputs: {type: object, properties: {text: {type: string}}}
steps: [{id: tell, uses: core/log, with: {message: "${{ inputs.text }}"}}]
""")
    large = platform.ask("POST", "/flows/roomy/runs", json={"inputs": {"text": "y" * (1 << 20)}})
    assert (large.status_code, large.json()["code"]) == (413, "payload_too_large")
    assert platform.runs_of("roomy") == []


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/flows/nobody", "flow_not_found"),
        ("POST", "/flows/nobody/runs", "flow_not_found"),
        ("DELETE", "/flows/nobody", "flow_not_found"),
        ("GET", "/runs/01a20434-5ff4-70ee-a3be-000000000000", "run_not_found"),
        ("POST", "/runs/nobody/cancel", "run_not_found"),
        ("POST", "/hooks/nobody/here", "webhook_not_found"),
        ("GET", "/modules/nobody", None),
        ("GET", "/secrets/nobody", None),
        ("GET", "/nothing/here", "not_found"),
    ],
)
def test_what_is_not_there_is_404(platform: Platform, method: str, path: str, code: str | None) -> None:
    answer = platform.ask(method, path, json={} if method == "POST" else None)
    assert answer.status_code == 404, answer.text
    assert code is None or answer.json()["code"] == code
    assert answer.json()["request_id"]


def test_a_token_that_is_forged_or_expired_or_wrong_is_401(platform: Platform) -> None:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"sub": "system", "exp": 9_999_999_999, "aud": "monjolo", "typ": "access"}
    forged = [
        f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.",
        f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.{'A' * 43}",
        f"{part({'alg': 'ES256', 'kid': '../../etc/passwd'})}.{part({**claims, 'exp': 1})}.{'A' * 86}",
        "mj_" + "A" * 43, platform.token[:-1], platform.token + "x", "null",
    ]  # fmt: skip
    for token in forged:
        answer = platform.ask("GET", "/flows", token=token)
        assert answer.status_code == 401, (token, answer.text)
        assert answer.json()["code"] in ("unauthenticated", "invalid_token"), answer.text
    assert platform.ask("GET", "/flows", token=platform.token).status_code == 200


def test_every_route_of_the_running_platform_is_shut_to_strangers(platform: Platform) -> None:
    public = {
        ("get", "/api/v1/setup/state"), ("post", "/api/v1/setup"), ("post", "/api/v1/auth/token"),
        ("post", "/api/v1/auth/session"), ("post", "/api/v1/auth/refresh"), ("get", "/api/v1/schemas/flow.json"),
        ("get", "/health/live"), ("get", "/health/ready"), ("get", "/.well-known/jwks.json"),
        ("get", "/api/v1/health/live"), ("get", "/api/v1/health/ready"),
    }  # fmt: skip
    described = platform.ask("GET", "/openapi.json", token=None).json()["paths"]
    asked = 0
    for path, methods in described.items():
        for method in set(methods) & {"get", "post", "put", "patch", "delete"}:
            if (method, path) in public or path.startswith("/api/v1/hooks/"):
                continue
            target = re.sub(r"\{[^}]*\}", "x", path).removeprefix("/api/v1")
            answer = platform.ask(method.upper(), target, token=None)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), (method, path)
            asked += 1
    assert asked > 50


def test_a_secret_that_a_step_uses_is_nowhere_to_be_read(platform: Platform) -> None:
    canary = "canary-7f3a9c-value-of-secret"
    assert platform.cli("secret", "set", "canary", given=canary).returncode == 0
    platform.publish("""
schema: monjolo/flow/v1
id: canary
steps:
  - id: speak
    uses: core/shell
    with: {command: 'echo "it is $WORD"; echo "$WORD" | base64; echo "$WORD" >&2', env: {WORD: "${{ secrets.canary }}"}}
  - {id: pass, uses: core/transform, with: {value: "${{ steps.speak.output }}"}}
  - {id: shout, uses: core/fail, with: {message: "failed with ${{ secrets.canary }}"}}
""")
    run = platform.run("canary")
    assert run["status"] == "failed"
    until(lambda: "it is" in platform.log_of(run["id"]), "log of the run")
    told = [
        json.dumps(run),
        json.dumps(platform.get(f"/runs/{run['id']}/steps")),
        *(json.dumps(platform.get(f"/runs/{run['id']}/steps/{key}")) for key in ("speak", "shout")),
        json.dumps(platform.get(f"/runs/{run['id']}/why")),
        json.dumps(platform.get("/secrets")),
        json.dumps(platform.get("/audit")),
        platform.ask("GET", f"/runs/{run['id']}/logs/download", params={"format": "ndjson"}).text,
        platform.log,
    ]
    forms = (canary, base64.b64encode(canary.encode()).decode(), base64.b64encode(f"{canary}\n".encode()).decode())
    for text in told:
        assert [form for form in forms if form in text] == []
    with sqlite3.connect(f"file:{platform.folder / 'monjolo.db'}?mode=ro", uri=True) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    for form in forms:
        assert form not in dump
        assert form.encode().hex() not in dump.lower()
    stored = b"".join(f.read_bytes() for f in platform.folder.glob("monjolo.db*"))
    assert [form for form in forms if form.encode() in stored] == []
