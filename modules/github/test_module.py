"""`github/repository_report` against a handler that answers as GitHub does, and against stands made by others.

The stands are npm packages, recorded answers of GitHub and an emulator that keeps state; `scripts/stands.sh`
installs them, and `make test` runs it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from monjolo_sdk import AuthError, EgressRefused, InvalidInput, PermanentError, RetryLater
from monjolo_sdk.testing import Outcome, Runner

from .client import GitHubRefused, GitHubUnavailable
from .module import module

TOKEN = "0000000000000000000000000000000000000001"
STANDS = Path(__file__).parents[2] / "tests" / "stands"

Answer = tuple[int, dict[str, str], Any]


class Door(ThreadingHTTPServer):
    """Answers by `answer(path with query, headers)` and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, answer: Callable[[str, Any], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.asked: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_address[1]}"

    def matched(self) -> list[str | None]:
        """The If-None-Match of each request."""
        return [headers.get("if-none-match") for _, headers in self.asked]


class Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        door: Any = self.server
        headers = {name.lower(): value for name, value in self.headers.items()}
        door.asked.append((self.path, headers))
        status, more, value = door.answer(self.path, headers)
        body = b"" if status in (204, 304) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **more}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[str, Any], Answer]], Door]]:
    doors: list[Door] = []

    def start(answer: Callable[[str, Any], Answer]) -> Door:
        door = Door(answer)
        threading.Thread(target=door.serve_forever, args=(0.05,), daemon=True).start()
        doors.append(door)
        return door

    yield start
    for door in doors:
        door.shutdown()
        door.server_close()


Serve = Callable[[Callable[[str, Any], Answer]], Door]


def issue(number: int, created: str, closed: str | None = None, pull: dict[str, Any] | None = None) -> dict[str, Any]:
    made = {"number": number, "title": f"n{number}", "state": "closed" if closed else "open", "user": {"login": "ana"}}
    made |= {"created_at": created, "closed_at": closed, "html_url": f"https://example.org/{number}"}
    return made | ({"pull_request": pull} if pull is not None else {})


HEAD = {
    "full_name": "octo/hello", "html_url": "https://example.org/octo/hello", "stargazers_count": 5, "forks_count": 2,
    "subscribers_count": 3, "open_issues_count": 9,
}  # fmt: skip
ISSUES = [
    issue(15, "2026-01-20T00:00:00Z"),
    issue(14, "2025-12-01T00:00:00Z", "2026-01-19T00:00:00Z"),
    issue(13, "2026-01-18T00:00:00Z", "2026-01-18T01:00:00Z", {"merged_at": "2026-01-18T01:00:00Z"}),
    issue(12, "2026-01-17T00:00:00Z", "2026-01-18T02:00:00Z", {"merged_at": None}),
    issue(11, "2026-01-16T00:00:00Z", None, {"merged_at": None}),
]
ANA: dict[str, Any] = {"author": {"login": "ana"}}
COMMITS = [ANA, {"author": None, "commit": {"author": {"name": "Rui"}}}, ANA]


def release(tag: str, published: str | None, *downloads: int) -> dict[str, Any]:
    assets = [{"download_count": count} for count in downloads]
    made = {"tag_name": tag, "name": None, "published_at": published, "html_url": tag, "draft": published is None}
    return made | {"assets": assets}


RELEASES = [release("v1", "2025-01-01T00:00:00Z"), release("v2", "2026-01-17T00:00:00Z", 3, 4), release("v3", None)]


class GitHubLike:
    """A repository behind the API: a row a page, links by the repository's number, ETags of what it says."""

    def __init__(self, *, may_push: bool = True) -> None:
        self.may_push = may_push
        self.lists: dict[str, list[Any]] = {
            "issues": ISSUES, "commits": COMMITS, "releases": RELEASES,
            "contributors": [{"login": "ana", "contributions": 40}, {"login": "rui", "contributions": 2}],
        }  # fmt: skip
        self.spoilt: dict[str, Answer] = {}  # part of a path -> answer
        self.url = ""

    def __call__(self, path: str, headers: Any) -> Answer:
        for part, answer in self.spoilt.items():
            if part in path:
                return answer
        if path.startswith("/repos/octo/old"):
            return 301, {"Location": path.replace("/repos/octo/old", "/repositories/1000")}, {}
        status, more, value = self._answer(path)
        etag = f'"{hash(json.dumps(value)) & 0xFFFFFF:x}"'
        if status == 200 and headers.get("if-none-match") == etag:
            return 304, {"ETag": etag}, None
        return status, {"ETag": etag, "X-RateLimit-Remaining": "4000", **more}, value

    def _answer(self, path: str) -> Answer:
        split = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        name = split.path.removeprefix("/repos/octo/hello").removeprefix("/repositories/1000").strip("/")
        if name == "":
            return 200, {}, HEAD
        if name.startswith("traffic/"):
            return self._traffic(name.removeprefix("traffic/"))
        if name == "pulls":
            link = f'<{self.url}/repositories/1000/pulls?state=open&per_page=1&page=4>; rel="last"'
            return 200, {"Link": link}, [{"number": 1}]
        rows, page = self.lists[name], int(query.get("page", 1))
        return 200, self._link(name, page, len(rows), query), rows[page - 1 : page]

    def _link(self, name: str, page: int, pages: int, query: dict[str, str]) -> dict[str, str]:
        if page >= pages:
            return {}
        rest = "".join(f"{key}={value}&" for key, value in query.items() if key != "page")
        here = f"{self.url}/repositories/1000/{name}?{rest}page="
        return {"Link": f'<{here}{page + 1}>; rel="next", <{here}{pages}>; rel="last"'}

    def _traffic(self, name: str) -> Answer:
        if not self.may_push:
            return 403, {}, {"message": "Must have push access to repository"}
        values = {
            "views": {"count": 14, "uniques": 3, "views": []}, "clones": {"count": 2, "uniques": 1, "clones": []},
            "popular/referrers": [{"referrer": "Google", "count": 4, "uniques": 3}],
            "popular/paths": [{"path": "/octo/hello", "title": "x", "count": 8, "uniques": 2}],
        }  # fmt: skip
        return 200, {}, values[name]


def like(serve: Serve, **options: Any) -> tuple[GitHubLike, Door]:
    made = GitHubLike(**options)
    door = serve(made)
    made.url = door.url
    return made, door


async def report(url: str, *, state: dict[str, Any] | None = None, token: str = TOKEN, **inputs: Any) -> Outcome:
    connections = {"connection": {"type": "github_token", "fields": {"token": token}, "hosts": ["localhost"],
                                  "secrets": ["token"]}} if token else {}  # fmt: skip
    runner = Runner(module, connections=connections, state=state)
    given = {"repository": "octo/hello", "since": "2026-01-15", "base_url": url, **inputs}
    return await runner.run("repository_report", {**given, **({"connection": "connection"} if token else {})})


async def test_a_report_counts_what_happened_since_a_day(serve: Serve) -> None:
    _, door = like(serve)
    output = (await report(door.url)).output
    assert (output["repository"], output["stars"], output["forks"], output["watchers"]) == ("octo/hello", 5, 2, 3)
    counts = {name: value for name, value in output["issues"].items() if name != "items"}
    assert counts == {"open": 5, "opened": 1, "closed": 1}
    assert [item["number"] for item in output["issues"]["items"]] == [15, 14]
    pulls = {name: value for name, value in output["pull_requests"].items() if name != "items"}
    assert pulls == {"open": 4, "opened": 3, "merged": 1, "closed": 1}
    assert output["commits"] == {
        "count": 3, "author_count": 2, "authors": [{"name": "ana", "count": 2}, {"name": "Rui", "count": 1}],
    }  # fmt: skip
    assert (output["releases"]["published"], output["releases"]["latest"]["tag"]) == (1, "v2")
    assert output["releases"]["latest"]["downloads"] == 7
    assert output["traffic"]["views"] == {"count": 14, "unique": 3}
    assert output["traffic"]["referrers"] == [{"name": "Google", "count": 4}]
    assert output["contributors"]["top"][0] == {"name": "ana", "count": 40}
    assert output["complete"]
    assert output["rate_limit_remaining"] == 4000


async def test_all_five_pages_are_followed_as_the_links_say(serve: Serve) -> None:
    _, door = like(serve)
    await report(door.url, sections=["issues"])
    pages = [path for path, _ in door.asked if "/issues" in path]
    assert pages[0].startswith("/repos/octo/hello/issues?")
    assert [urlsplit(path).path for path in pages[1:]] == ["/repositories/1000/issues"] * 4
    assert [parse_qs(urlsplit(path).query).get("page") for path in pages] == [None, ["2"], ["3"], ["4"], ["5"]]
    assert {headers["authorization"] for _, headers in door.asked} == {f"token {TOKEN}"}


async def test_what_did_not_change_is_asked_for_by_its_etag_and_taken_from_the_state(serve: Serve) -> None:
    github, door = like(serve)
    first = await report(door.url)
    assert door.matched() == [None] * len(door.asked)
    door.asked.clear()
    second = await report(door.url, state=first.state)
    assert all(door.matched())
    assert second.output["unchanged"] == second.output["requests"] == len(door.asked)
    spent = ("requests", "unchanged", "rate_limit_remaining", "until")
    assert {k: v for k, v in second.output.items() if k not in spent} == {
        k: v for k, v in first.output.items() if k not in spent
    }
    github.lists["commits"] = [*COMMITS[:2], {"author": {"login": "new"}}]
    third = await report(door.url, state=second.state)
    assert third.output["unchanged"] == third.output["requests"] - 1
    assert {row["name"] for row in third.output["commits"]["authors"]} == {"ana", "Rui", "new"}


async def test_without_push_access_the_report_says_so_and_goes_on(serve: Serve) -> None:
    _, door = like(serve, may_push=False)
    output = (await report(door.url)).output
    assert output["traffic"]["available"] is False
    assert "may push" in output["traffic"]["reason"]
    assert output["traffic"]["views"] is None
    assert output["contributors"]["available"]


async def test_public_data_needs_no_token(serve: Serve) -> None:
    _, door = like(serve, may_push=False)
    assert (await report(door.url, token="")).output["commits"]["count"] == 3
    assert not any("authorization" in headers for _, headers in door.asked)


async def test_more_pages_than_allowed_are_told(serve: Serve) -> None:
    _, door = like(serve)
    outcome = await report(door.url, sections=["commits"], max_pages=2)
    assert (outcome.output["complete"], outcome.output["commits"]["count"]) == (False, 2)
    assert "there are more pages than max_pages" in outcome.texts
    assert len(door.asked) == 3
    assert (await report(door.url, sections=["commits"], max_pages=3)).output["complete"]


LIMITED = {"message": "API rate limit exceeded"}
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}


@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [
        ((429, {"Retry-After": "17"}, SECONDARY), 17, 17),
        ((403, {"Retry-After": "17"}, SECONDARY), 17, 17),
        ((403, {}, SECONDARY), 60, 60),
        ((429, {}, {}), 60, 60),
        ((403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "IN 100"}, LIMITED), 95, 102),
        ((403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, LIMITED), 1, 1),
        ((403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1507651200000"}, LIMITED), 3600, 3600),
        ((403, {"X-RateLimit-Remaining": "0"}, LIMITED), 60, 60),
        ((429, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, LIMITED), 3600, 3600),
    ],
)
async def test_a_rate_limit_says_when_to_come_back(serve: Serve, answer: Answer, least: float, most: float) -> None:
    github, door = like(serve)
    headers = {name: text.replace("IN 100", str(int(time.time()) + 100)) for name, text in answer[1].items()}
    github.spoilt["/commits"] = (answer[0], headers, answer[2])
    with pytest.raises(RetryLater) as raised:
        await report(door.url)
    assert least <= (raised.value.retry_after or 0) <= most
    assert sum("/commits" in path for path, _ in door.asked) == 1  # nobody who is limited is asked again at once


@pytest.mark.parametrize(
    ("part", "answer", "error"),
    [
        ("/hello", (401, {}, {"message": "Bad credentials"}), AuthError),
        ("/hello", (404, {}, {"message": "Not Found"}), PermanentError),
        ("/commits", (422, {}, {"message": "Validation Failed"}), GitHubRefused),
        ("/commits", (502, {}, {}), GitHubUnavailable),
        ("/commits", (200, {}, {"not": "a list"}), GitHubRefused),
        ("/commits", (200, {"Link": '<https://elsewhere.example/x>; rel="next"'}, []), GitHubRefused),
    ],
)
async def test_other_answers_are_named_for_what_they_are(
    serve: Serve, part: str, answer: Answer, error: type[Exception]
) -> None:
    github, door = like(serve)
    github.spoilt[part] = answer
    with pytest.raises(error):
        await report(door.url)


async def test_an_empty_repository_is_a_report_of_zeros(serve: Serve) -> None:
    github, door = like(serve)
    github.spoilt = {"/commits": (409, {}, {"message": "Git Repository is empty."}), "/contributors": (204, {}, None)}
    output = (await report(door.url)).output
    assert (output["commits"]["count"], output["contributors"]["count"]) == (0, 0)


async def test_a_renamed_repository_is_followed(serve: Serve) -> None:
    _, door = like(serve)
    assert (await report(door.url, repository="octo/old", sections=["traffic"])).output["repository"] == "octo/hello"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"repository": "hello"}, "owner/name"),
        ({"repository": "a/../../x"}, "owner/name"),
        ({"repository": "a/.."}, "owner/name"),
        ({"since": "yesterday"}, "no date"),
        ({"sections": ["stars"]}, "sections"),
        ({"base_url": "ftp://x"}, "not a web address"),
    ],
)
async def test_bad_inputs_are_refused(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        await report("http://localhost:1", **inputs)


async def test_the_platforms_rules_for_outgoing_requests_hold(serve: Serve) -> None:
    _, door = like(serve)
    with pytest.raises(EgressRefused, match="not a public address"):
        await Runner(module, egress_allow=()).run("repository_report", repository="octo/hello", base_url=door.url)
    bound = {"connection": {"type": "github_token", "fields": {"token": TOKEN}, "secrets": ["token"]}}
    with pytest.raises(EgressRefused, match=r"bound to api\.github\.com"):
        await Runner(module, connections=bound).run(
            "repository_report", repository="octo/hello", base_url=door.url, connection="connection"
        )
    assert door.asked == []


# --- stands that others made ------------------------------------------------------------------------------------------


@pytest.fixture
def stand() -> Iterator[Callable[..., str]]:
    """Start a server of the stands on a free port; it is waited for, and ended with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(program: str, *arguments: str) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        assert (STANDS / "node_modules").is_dir(), "the stands are not installed: run scripts/stands.sh"
        command = [f"{STANDS}/node_modules/.bin/node", f"{STANDS}/node_modules/{program}", *arguments]
        command += ["--port", str(port)]
        running.append(subprocess.Popen(command, cwd=STANDS, stdout=subprocess.DEVNULL, start_new_session=True))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    return f"http://localhost:{port}"
            time.sleep(0.05)
        raise AssertionError(f"{program} does not listen")

    yield start
    for process in running:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


async def test_the_report_follows_all_five_recorded_pages_of_github(serve: Serve, stand: Callable[..., str]) -> None:
    """The recording begins with `per_page=3` and no filter; a handler in front translates the first question alone."""
    fixtures = stand("@octokit/fixtures-server/bin/server.js")
    async with httpx2.AsyncClient(trust_env=False) as client:
        made = (await client.post(f"{fixtures}/fixtures", json={"scenario": "paginate-issues"})).json()["url"]
    place = urlsplit(made).path

    def front(path: str, headers: Any) -> Answer:
        if path == "/repos/octokit-fixture-org/paginate-issues":
            return 200, {}, HEAD
        if "/pulls" in path:
            return 200, {}, []
        if path.startswith("/repos/"):
            path = "/repos/octokit-fixture-org/paginate-issues/issues?per_page=3"
        sent = {name: headers[name] for name in ("authorization", "accept")}
        recorded = httpx2.get(f"{fixtures}{place}{path}", headers=sent, trust_env=False)
        link = recorded.headers.get("link", "").replace(made, door.url)
        more = {"Link": link, "ETag": recorded.headers["etag"]} if link else {}
        return recorded.status_code, more, recorded.json()

    door = serve(front)
    outcome = await report(
        door.url, repository="octokit-fixture-org/paginate-issues", since="2010-01-01", sections=["issues"]
    )
    pages = [path for path, _ in door.asked if "/issues" in path]
    assert len(pages) == 5
    assert all(path.startswith("/repositories/1000/issues?per_page=3&page=") for path in pages[1:])
    assert [item["number"] for item in outcome.output["issues"]["items"]] == list(range(13, 0, -1))


SEED = """
github:
  users: [{login: octocat, name: Octo}]
  repos: [{owner: octocat, name: hello-world, description: x, auto_init: true}]
tokens: {test_token_admin: {login: octocat, scopes: [repo]}}
"""


async def test_a_report_of_the_emulator(stand: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "seed.yaml").write_text(SEED)
    url = stand("emulate/dist/index.js", "--service", "github", "--seed", str(tmp_path / "seed.yaml"))
    sent = {"Authorization": "token test_token_admin"}
    async with httpx2.AsyncClient(trust_env=False, headers=sent) as client:
        for number in range(3):
            answer = await client.post(f"{url}/repos/octocat/hello-world/issues", json={"title": f"n{number}"})
            assert answer.status_code == 201, answer.text
    outcome = await report(url, token="test_token_admin", repository="octocat/hello-world", since="1d")
    assert (outcome.output["issues"]["open"], outcome.output["issues"]["opened"]) == (3, 3)
    assert outcome.output["traffic"]["available"] is False
    with pytest.raises(PermanentError, match="no such repository"):
        await report(url, token="test_token_admin", repository="octocat/none")


def test_the_input_of_the_action_names_its_connection() -> None:
    with pytest.raises(InvalidInput, match="names no connection"):
        Runner(module).run_sync("repository_report", repository="a/b", connection="mine")
