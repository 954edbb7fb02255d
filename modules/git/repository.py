"""Read a local repository with the git program, and nothing that the repository itself could make it run.

The history is read in an empty git folder of our own that only borrows the repository's objects, so that no line
of the repository's configuration, no hook and no attribute of its counts. No protocol is allowed, so nothing is
fetched either.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monjolo_sdk import InvalidInput, ModuleError, PermanentError

_CHUNK = 256 * 1024
_HASH = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_STAT = re.compile(rb"(\d+|-)\t(\d+|-)\t(.*)", re.DOTALL)
_FIELDS = ("%H", "%aN", "%aE", "%ct", "%P", "%s")
_QUIET = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never",
    "-c", "protocol.ext.allow=never", "-c", "log.showSignature=false", "-c", "core.pager=cat",
)  # fmt: skip


class GitMissing(PermanentError):
    """There is no git program on this worker."""


class NoRepository(PermanentError):
    """The folder is no git repository, or the branch is not there."""


class GitFailed(ModuleError):
    """git ended with an error."""


@dataclass(frozen=True, slots=True)
class FileChange:
    path: str
    added: int
    deleted: int
    binary: bool = False


@dataclass(slots=True)
class Commit:
    """One commit. `at`: seconds since the epoch, when it was committed; `files` is empty for a merge."""

    id: str
    author: str
    email: str
    at: int
    parents: int
    subject: str
    files: list[FileChange] = field(default_factory=list)


class Repository:
    """A repository on this machine's disk."""

    def __init__(self, folder: Path) -> None:
        git = shutil.which("git")
        if git is None:
            raise GitMissing("git is not installed on this worker (on Debian: apt-get install git)")
        self._git = git
        self._folder = folder
        self._objects = Path(self._path("objects"))
        self._bare = self._ask("rev-parse", "--is-bare-repository") == "true"
        self._format = self._ask("rev-parse", "--show-object-format")

    def resolve(self, branch: str) -> str:
        """The id of the commit that a branch, tag or other name stands for."""
        if branch.startswith("-") or "\0" in branch or not branch.strip():
            raise InvalidInput(f"{branch!r} is not the name of a branch", "branch")
        try:
            return self._ask("rev-parse", "--verify", "--quiet", "--end-of-options", branch + "^{commit}")
        except GitFailed:
            raise NoRepository(f"there is no branch, tag or commit {branch!r} in {self._folder}") from None

    def commits(self, start: str, *, since: int | None, until: int | None, paths: Sequence[str]) -> Iterator[Commit]:
        """Every commit reachable from `start`, newest first, committed within the bounds (seconds, inclusive).

        `paths` are literal names of files or folders, as seen from the top of the repository.
        """
        bounds = [f"--since-as-filter=@{since}"] if since is not None else []
        bounds += [f"--until=@{until}"] if until is not None else []
        options = (
            "log", "-z", "--numstat", "-M", "--no-ext-diff", "--no-textconv", "--no-color", "--encoding=UTF-8",
            "--no-show-signature", "--date-order", f"--format=tformat:{'%x00'.join(_FIELDS)}", *bounds, start, "--",
        )  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="monjolo-git-") as borrowed:
            environment, settings = self._borrow(Path(borrowed), start)
            argv = [self._git, "--literal-pathspecs", *_QUIET, *settings, *options, *paths]
            yield from _parse(_tokens(argv, environment, borrowed))

    def _borrow(self, own: Path, start: str) -> tuple[dict[str, str], list[str]]:
        """An empty git folder that sees the repository's objects; the environment and settings to use it."""
        version = 1 if self._format != "sha1" else 0
        extensions = f"[extensions]\n\tobjectFormat = {self._format}\n" if version else ""
        (own / "config").write_text(f"[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extensions}")
        (own / "HEAD").write_text("ref: refs/heads/none\n")
        (own / "refs").mkdir()
        (own / "objects").mkdir()
        environment = _environment() | {"GIT_DIR": str(own), "GIT_OBJECT_DIRECTORY": str(self._objects)}
        shallow = Path(self._path("shallow"))
        if shallow.is_file():
            environment["GIT_SHALLOW_FILE"] = str(shallow)
        return environment, self._mailmap(start)

    def _mailmap(self, start: str) -> list[str]:
        """What git itself would use: the file in the work tree, or the one in the history of a bare repository."""
        if self._bare:
            return ["-c", f"mailmap.blob={start}:.mailmap"]
        file = Path(self._ask("rev-parse", "--show-toplevel")) / ".mailmap"
        usable = file.is_file() and not file.is_symlink()
        return ["-c", "mailmap.blob=", "-c", f"mailmap.file={file if usable else os.devnull}"]

    def _path(self, name: str) -> str:
        return self._ask("rev-parse", "--path-format=absolute", "--git-path", name)

    def _ask(self, *arguments: str) -> str:
        """A question that reads refs only. The folder was named by the flow's author, so its owner is trusted."""
        trust = ["-c", f"safe.directory={self._top()}"]
        done = subprocess.run(  # noqa: S603 - an argument list, no shell
            [self._git, "-C", str(self._folder), *_QUIET, *trust, *arguments],
            env=_environment(),
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            if "not a git repository" in said or not said.strip():
                if arguments[:2] == ("rev-parse", "--verify"):
                    raise GitFailed(said or "no such commit")
                raise NoRepository(f"{self._folder} is not a git repository")
            raise GitFailed(said[-1000:])
        return os.fsdecode(done.stdout).removesuffix("\n")

    def _top(self) -> Path:
        """The folder that holds .git, found as git finds it."""
        for folder in (self._folder, *self._folder.parents):
            if (folder / ".git").exists():
                return folder
        return self._folder


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return kept | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat",
        "HOME": os.devnull,
        "LC_ALL": "C",
    }


def _tokens(argv: Sequence[str], environment: dict[str, str], folder: str) -> Iterator[bytes]:
    """What git writes, split at its zero bytes, as it comes. Raises GitFailed when git fails."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - an argument list, no shell
            argv, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        )
        try:
            assert process.stdout is not None
            rest = b""
            while chunk := process.stdout.read(_CHUNK):
                *whole, rest = (rest + chunk).split(b"\0")
                yield from whole
            if rest.strip(b"\n"):
                yield rest
            if process.wait() != 0:
                said.seek(0)
                raise GitFailed(said.read(4000).decode("utf-8", "replace").strip() or "git log failed")
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _parse(tokens: Iterator[bytes]) -> Iterator[Commit]:
    """A commit is its fields, then one token for each file (three for a renamed one)."""
    commit: Commit | None = None
    for token in tokens:
        token = token.removeprefix(b"\n")
        if not token:
            continue
        stat = _STAT.fullmatch(token)
        if stat is not None and commit is not None:
            commit.files.append(_change(stat, tokens))
            continue
        if not _HASH.fullmatch(token):
            raise GitFailed("git wrote something that is not understood")
        if commit is not None:
            yield commit
        commit = _commit(token, [next(tokens) for _ in _FIELDS[1:]])
    if commit is not None:
        yield commit


def _commit(identity: bytes, fields: Sequence[bytes]) -> Commit:
    author, email, at, parents, subject = fields
    return Commit(
        identity.decode("ascii"), _text(author), _text(email), int(at), len(parents.split()), _text(subject)[:200]
    )


def _change(stat: re.Match[bytes], tokens: Iterator[bytes]) -> FileChange:
    added, deleted, path = stat.groups()
    if not path:  # a renamed file: the old name, then the new one
        next(tokens)
        path = next(tokens)
    if added == b"-":
        return FileChange(_text(path), 0, 0, binary=True)
    return FileChange(_text(path), int(added), int(deleted))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
