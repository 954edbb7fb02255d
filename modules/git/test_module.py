"""`git/report` against real repositories: this project's own history, and one made to be difficult."""

from __future__ import annotations

import os
import subprocess
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from monjolo_sdk import InvalidInput
from monjolo_sdk.testing import Runner

from .module import module
from .repository import NoRepository

runner = Runner(module)
OWN = Path(__file__).resolve().parents[2]


def git(folder: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", **environment},
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout


def report(folder: Path, **inputs: Any) -> Any:
    return runner.run_sync("report", repository=str(folder), **inputs).output


def truth(folder: Path, *options: str) -> dict[str, Any]:
    """What `git log` says, counted the simple way from its plain output."""
    added = deleted = 0
    files: set[str] = set()
    by_day: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    day = ""
    log = git(
        folder, "-c", "core.quotePath=false", "log", "--no-renames", "--numstat", "--date=format-local:%Y-%m-%d",
        "--format=@%cd", *options, TZ="UTC",
    )  # fmt: skip
    for line in log.splitlines():
        if line.startswith("@"):
            day = line[1:]
            by_day[day][0] += 1
        elif line:
            plus, minus, path = line.split("\t")
            files.add(path)
            if plus != "-":
                added, deleted = added + int(plus), deleted + int(minus)
                by_day[day][1] += int(plus)
                by_day[day][2] += int(minus)
    return {
        "commits": int(git(folder, "rev-list", "--count", "HEAD", *options)),
        "merges": int(git(folder, "rev-list", "--count", "--merges", "HEAD", *options)),
        "added": added,
        "deleted": deleted,
        "files": files,
        "by_day": dict(by_day),
    }


def shortlog(folder: Path) -> Counter[str]:
    lines = git(folder, "shortlog", "-sne", "HEAD").splitlines()
    return Counter({who.strip(): int(count) for count, who in (line.split("\t") for line in lines)})


class Maker:
    """Makes commits with times and authors of their own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.clock = folder, 1_700_000_000
        git(folder, "init", "-q", "-b", "main")

    def commit(
        self, subject: str, files: dict[str, bytes | None], who: str = "Ana <ana@x.org>", step: int = 7200
    ) -> None:
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True) if data is None else path.write_bytes(data)
        git(self.folder, "add", "-A")
        self.act("commit", "-q", "--allow-empty", "--allow-empty-message", "-m", subject, who=who, step=step)

    def act(self, *arguments: str, who: str = "Ana <ana@x.org>", step: int = 7200) -> None:
        self.clock += step
        name, _, email = who.removesuffix(">").partition(" <")
        at = f"{self.clock} +0000"
        git(
            self.folder, *arguments, GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=email, GIT_COMMITTER_NAME=name,
            GIT_COMMITTER_EMAIL=email, GIT_AUTHOR_DATE=at, GIT_COMMITTER_DATE=at,
        )  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> Maker:
    """Merges, renames, binaries, odd names, empty and wordless commits, two spellings of one person."""
    maker = Maker(tmp_path / "made")
    maker.commit("first", {"a.txt": b"1\n2\n3\n", "tab\tname": b"x\n", "olá/ç.txt": b"um\n", "new\nline": b"y\n"})
    maker.commit("binary", {"b.bin": bytes(range(256)) * 20, "1\t2\tfake": b"z\n"}, "Bia <bia@x.org>")
    maker.commit("", {})
    maker.commit("rename", {"a.txt": None, "moved.txt": b"1\n2\n3\n"}, "ana old <ANA@old.org>", 90_000)
    git(maker.folder, "checkout", "-q", "-b", "side")
    maker.commit("side\n\nwith a body", {"side.txt": b"s\n" * 50}, "Bia <bia@x.org>")
    git(maker.folder, "checkout", "-q", "main")
    maker.commit("main", {"moved.txt": b"1\n2\n", "x" * 200: b"long\n"}, step=40 * 86_400)
    maker.act("merge", "-q", "--no-ff", "-m", "merge side", "side")
    maker.commit("mailmap", {".mailmap": b"Ana Maria <ana@x.org> <ana@x.org>\nAna Maria <ana@x.org> <ANA@old.org>\n"})
    return maker


def test_the_report_on_this_projects_own_history_equals_what_git_says() -> None:
    if not (OWN / ".git").exists():
        pytest.fail("this test reads the project's own history: run it in a git clone")
    head = git(OWN, "rev-parse", "HEAD").strip()  # the history may grow while we look
    expected, said = truth(OWN, head), report(OWN, branch=head, period="day", top=1000)
    for name in ("commits", "merges"):
        assert said[name] == int(git(OWN, "rev-list", "--count", *(["--merges"] * (name == "merges")), head))
    plain = git(OWN, "log", "-M", "--numstat", "--format=", head).split("\n")
    numbers = [line.split("\t")[:2] for line in plain if line and not line.startswith("-")]
    assert said["added"] == sum(int(plus) for plus, _ in numbers)
    assert said["deleted"] == sum(int(minus) for _, minus in numbers)
    people = Counter({f"{row['name']} <{row['email']}>": row["commits"] for row in said["top_authors"]})
    lines = git(OWN, "shortlog", "-sne", head).splitlines()
    assert people == {who.strip(): int(count) for count, who in (line.split("\t") for line in lines)}
    assert {row["period"]: row["commits"] for row in said["by_period"]} == {
        day: numbers[0] for day, numbers in expected["by_day"].items()
    }


def test_a_difficult_history_is_counted_as_git_counts_it(made: Maker) -> None:
    said = report(made.folder, period="day", top=100)
    people = Counter({f"{row['name']} <{row['email']}>": row["commits"] for row in said["top_authors"]})
    assert people == shortlog(made.folder)
    assert people["Ana Maria <ana@x.org>"] == 6
    assert (said["commits"], said["merges"], said["authors"]) == (8, 1, 2)
    assert said["binary_changes"] == 1
    expected = truth(made.folder)
    assert {row["period"]: row["commits"] for row in said["by_period"]} == {
        day: numbers[0] for day, numbers in expected["by_day"].items()
    }
    touched = {row["path"] for row in said["top_files"]}
    assert {"olá/ç.txt", "tab\tname", "new\nline", "1\t2\tfake", "moved.txt", "x" * 200} <= touched
    assert said["largest_commits"][0]["subject"] == "side"
    assert said["largest_commits"][0]["added"] == 50
    assert sum(row["added"] for row in said["top_files"]) == said["added"]
    assert sum(row["added"] for row in said["by_period"]) == said["added"]


def test_days_and_periods_follow_the_time_zone(made: Maker) -> None:
    utc = report(made.folder, period="month")["by_period"]
    assert [row["period"] for row in utc] == ["2023-11-01", "2023-12-01"]
    weeks = report(made.folder, period="week")["by_period"]
    assert weeks[0]["period"] == "2023-11-13"  # a Monday
    first = {zone: report(made.folder, period="day", timezone=zone)["by_period"][0]["period"] for zone in (
        "Pacific/Kiritimati", "America/Los_Angeles")}  # fmt: skip
    assert first == {"Pacific/Kiritimati": "2023-11-15", "America/Los_Angeles": "2023-11-14"}


def test_bounds_are_those_of_git_log(made: Maker) -> None:
    for since, until in (("2023-11-16", ""), ("", "2023-11-15"), ("2023-11-15", "2023-11-16")):
        options = [f"--since-as-filter={since}T00:00:00Z"] if since else []
        options += [f"--until={until}T23:59:59Z"] if until else []
        assert report(made.folder, since=since, until=until)["commits"] == truth(made.folder, *options)["commits"]
    assert report(made.folder, since="1d")["commits"] == 0
    assert report(made.folder, since="2023-11-14T23:00:00-03:00", until="2099-01-01T00:00:00Z")["commits"] > 0


def test_a_report_can_be_limited_to_a_branch_and_to_paths(made: Maker) -> None:
    assert report(made.folder, branch="side")["commits"] == 5
    only = report(made.folder, paths=["olá"])
    assert (only["commits"], only["files"]) == (1, 1)
    assert report(made.folder, paths=["*"])["commits"] == 0  # a literal name, not a pattern


def test_a_bare_repository_a_shallow_clone_and_a_work_tree_are_read(made: Maker, tmp_path: Path) -> None:
    whole = report(made.folder, top=100)
    git(tmp_path, "clone", "-q", "--bare", str(made.folder), "bare")
    git(tmp_path, "clone", "-q", "--depth", "2", f"file://{made.folder}", "shallow")
    git(made.folder, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "other")
    bare = report(tmp_path / "bare", top=100)
    assert bare["top_authors"] == whole["top_authors"]
    assert report(tmp_path / "tree")["commits"] == whole["commits"]
    shallow = int(git(tmp_path / "shallow", "rev-list", "--count", "HEAD"))
    assert report(tmp_path / "shallow")["commits"] == shallow


def test_nothing_that_a_repository_configures_is_run(made: Maker, tmp_path: Path) -> None:
    mark = tmp_path / "owned"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\necho run >> {mark}\ncat\n")
    script.chmod(0o755)
    for name, value in {
        "core.fsmonitor": str(script), "core.pager": str(script), "core.sshCommand": str(script),
        "diff.external": str(script), "diff.evil.textconv": str(script), "gpg.program": str(script),
        "log.showSignature": "true", "core.hooksPath": str(tmp_path), "alias.log": f"!{script}",
        "filter.evil.smudge": str(script), "remote.origin.url": f"ext::{script}", "remote.origin.promisor": "true",
        "extensions.partialClone": "origin", "core.repositoryformatversion": "1", "include.path": "/dev/stdin",
        "core.attributesFile": str(tmp_path / "attributes"),
    }.items():  # fmt: skip
        git(made.folder, "config", name, value)
    (tmp_path / "attributes").write_text("* diff=evil\n")
    (made.folder / ".gitattributes").write_text("* diff=evil\n")
    hooks = made.folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-checkout", "reference-transaction", "fsmonitor-watchman"):
        (hooks / hook).write_text(script.read_text())
        (hooks / hook).chmod(0o755)
    assert report(made.folder)["commits"] == 8
    assert not mark.exists()


def test_a_repository_of_another_owner_is_read(made: Maker) -> None:
    if os.geteuid() != 0:
        return  # only root can give a folder away; git's own check is covered by safe.directory above
    for path in [made.folder, *made.folder.rglob("*")]:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    assert report(made.folder)["commits"] == 8


def test_an_empty_range_gives_zeros(made: Maker) -> None:
    said = report(made.folder, until="1999-12-31")
    assert (said["commits"], said["first_at"], said["by_period"], said["largest_commits"]) == (0, None, [], [])


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ({"repository": "relative"}, InvalidInput, "absolute path"),
        ({"repository": "/no/such/folder"}, InvalidInput, "no folder"),
        ({"branch": "--output=/tmp/x"}, InvalidInput, "not the name of a branch"),
        ({"branch": "nope"}, NoRepository, "no branch"),
        ({"since": "yesterday-ish"}, InvalidInput, "no date"),
        ({"timezone": "Mars/Base"}, InvalidInput, "time zone"),
        ({"timezone": "../etc/passwd"}, InvalidInput, "time zone"),
        ({"paths": ["../x"]}, InvalidInput, "within the repository"),
        ({"top": 0}, InvalidInput, "top"),
    ],
)
def test_bad_inputs_are_refused(made: Maker, inputs: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        runner.run_sync("report", {"repository": str(made.folder), **inputs})


def test_a_folder_that_is_no_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoRepository, match="not a git repository"):
        report(tmp_path)
