"""Find files by age, size, name and content, and move or delete them; what was found is kept on disk, not in memory."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from . import tree
from .amounts import age_of, size_of
from .patterns import Excluded, compile_patterns
from .places import FULL, Blocked, Ground, begin_file, clear_unfinished, settle, shown
from .tree import Problem

_BLOCK = 1024 * 1024
_KEPT_PROBLEMS = 1000  # the artifact tells every one that concerns a file that was found
_TABLE = """
CREATE TABLE found (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode TEXT, sha256 TEXT, same_as BLOB, result TEXT
);
CREATE INDEX by_size ON found (size);
"""

Step = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files: ages are nanoseconds of the clock, sizes bytes; None: no such condition."""

    included: Excluded | None
    excluded: Excluded
    changed_before: int | None
    changed_after: int | None
    min_size: int | None
    max_size: int | None
    duplicates: bool


@dataclass(slots=True)
class Swept:
    scanned: int = 0
    found: int = 0
    found_bytes: int = 0
    groups: int = 0
    done: int = 0
    done_bytes: int = 0
    problem_count: int = 0
    problems: list[Problem] = field(default_factory=list)

    def report(self, problem: Problem) -> None:
        self.problem_count += 1
        if len(self.problems) < _KEPT_PROBLEMS:
            self.problems.append(problem)


class TargetFailed(Exception):
    """The target of a move takes no more. `full`: there is no room."""

    def __init__(self, error: OSError, path: str) -> None:
        self.full = error.errno in FULL
        what = "there is no room left" if self.full else error.strerror or str(error)
        super().__init__(f"{shown(path)} could not be moved: {what}; what was moved until then is whole")


@dataclass(frozen=True, slots=True)
class _Row:
    path: str
    size: int
    mtime_ns: int
    inode: str
    same_as: str | None

    def is_still(self, status: os.stat_result | None) -> bool:
        """Is it the very file that was found, unchanged?"""
        return (
            status is not None
            and stat.S_ISREG(status.st_mode)
            and (_inode(status), status.st_size, status.st_mtime_ns) == (self.inode, self.size, self.mtime_ns)
        )


def wanted(
    include: Sequence[str],
    exclude: Sequence[str],
    older_than: str,
    newer_than: str,
    min_size: str,
    max_size: str,
    duplicates: bool,
) -> Wanted:
    """Raises InvalidInput for what is no age or size."""
    now = time.time_ns()
    older, newer = age_of(older_than, "older_than"), age_of(newer_than, "newer_than")
    return Wanted(
        compile_patterns(include) if include else None,
        compile_patterns(exclude),
        None if older is None else now - older,
        None if newer is None else now - newer,
        size_of(min_size, "min_size"),
        size_of(max_size, "max_size"),
        duplicates,
    )


class Sweep:
    """One sweep: `find`, then perhaps `act`, then `listing`. `step(count, path)` may raise to stop."""

    def __init__(self, root: Path, notes: Path, step: Step) -> None:
        self._root, self._step = root, step
        self._db = sqlite3.connect(notes, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; " + _TABLE)
        self.swept = Swept()

    def close(self) -> None:
        self._db.close()

    def find(self, wanted: Wanted) -> None:
        """Look at every file. Raises OSError only when the folder itself cannot be read."""
        self._db.execute("BEGIN")
        for entry in tree.walk(self._root, wanted.excluded, self.swept.report):
            if entry.kind != tree.FILE:
                continue
            self.swept.scanned += 1
            self._step(self.swept.scanned, entry.path)
            if _meets(entry, wanted):
                status = entry.status
                row = (os.fsencode(entry.path), status.st_size, status.st_mtime_ns, _inode(status))
                self._db.execute("INSERT INTO found (path, size, mtime_ns, inode) VALUES (?, ?, ?, ?)", row)
        self._db.execute("COMMIT")
        if wanted.duplicates:
            self._keep_duplicates()
        count, size = self._db.execute("SELECT count(*), coalesce(sum(size), 0) FROM found").fetchone()
        self.swept.found, self.swept.found_bytes = count, size

    def paths(self, limit: int) -> list[str]:
        rows = self._db.execute("SELECT path FROM found ORDER BY path LIMIT ?", (limit,))
        return [shown(os.fsdecode(path)) for (path,) in rows]

    def act(self, action: Literal["move", "delete"], target: Path | None) -> None:
        """Raises TargetFailed when the target of a move takes no more."""
        ground = Ground(self._root)
        to = Ground(target) if target is not None else None
        try:
            mover = _Mover(ground, to) if to is not None else None
            for count, row in enumerate(self._rows(), 1):
                self._step(count, row.path)
                result = self._act_on(row, ground, mover)
                self._db.execute("UPDATE found SET result = ? WHERE path = ?", (result, os.fsencode(row.path)))
        finally:
            ground.close()
            if to is not None:
                to.close()

    def listing(self, file: Path) -> None:
        """Write all that was found, one JSON object a line."""
        select = "SELECT path, size, mtime_ns, sha256, same_as, result FROM found ORDER BY path"
        with file.open("w", encoding="ascii") as out:
            for path, size, mtime_ns, sha256, same_as, result in self._db.execute(select):
                modified = datetime.fromtimestamp(mtime_ns // 10**9, UTC).isoformat().replace("+00:00", "Z")
                line = {"path": shown(os.fsdecode(path)), "size": size, "modified_at": modified}
                if same_as is not None:
                    line |= {"sha256": sha256, "same_as": shown(os.fsdecode(same_as))}
                out.write(json.dumps(line | {"result": result or "found"}) + "\n")

    def _rows(self) -> Iterator[_Row]:
        """In portions, as rows are written between them."""
        after = b""
        select = "SELECT path, size, mtime_ns, inode, same_as FROM found WHERE path > ? ORDER BY path LIMIT 1000"
        while rows := self._db.execute(select, (after,)).fetchall():
            for path, size, mtime_ns, inode, same_as in rows:
                same = os.fsdecode(same_as) if same_as is not None else None
                yield _Row(os.fsdecode(path), size, mtime_ns, inode, same)
            after = rows[-1][0]

    def _act_on(self, row: _Row, ground: Ground, mover: _Mover | None) -> str:
        try:
            if not row.is_still(ground.status(row.path)):
                raise FileNotFoundError
            if row.same_as is not None and not self._first_stands(row.same_as, ground):
                raise FileNotFoundError
            above, _, name = row.path.rpartition("/")
            if mover is not None:
                mover.move(row.path)
            else:
                os.unlink(name, dir_fd=ground.folder(above))
        except FileExistsError:
            self.swept.report(Problem(row.path, "exists", "there is one of that name in the target; it stays here"))
            return "exists"
        except Blocked as error:
            self.swept.report(Problem(row.path, "blocked", str(error)))
            return "blocked"
        except FileNotFoundError:
            self.swept.report(Problem(row.path, "changed", "it changed since it was found; it was left alone"))
            return "changed"
        except OSError as error:
            self.swept.report(Problem(row.path, "unwritable", error.strerror or str(error)))
            return "unwritable"
        self.swept.done += 1
        self.swept.done_bytes += row.size
        return "moved" if mover is not None else "deleted"

    def _first_stands(self, path: str, ground: Ground) -> bool:
        """A copy goes only while the first one, which stays, is there as it was read."""
        select = "SELECT size, mtime_ns, inode FROM first WHERE path = ?"
        size, mtime_ns, inode = self._db.execute(select, (os.fsencode(path),)).fetchone()
        return _Row(path, size, mtime_ns, inode, None).is_still(ground.status(path))

    def _keep_duplicates(self) -> None:
        """Leave in the table only what is a further copy of something; the oldest of each content goes to `first`.

        Names of one file (hard links) are no copies of each other: removing one frees nothing.
        """
        db = self._db
        db.execute("BEGIN")
        db.execute(
            "DELETE FROM found WHERE size = 0 OR size IN"
            " (SELECT size FROM found GROUP BY size HAVING count(DISTINCT inode) < 2)"
        )
        for row in self._rows():
            self._step(self.swept.scanned, row.path)
            if (digest := self._digest(row)) is not None:
                db.execute("UPDATE found SET sha256 = ? WHERE path = ?", (digest, os.fsencode(row.path)))
        db.executescript("""
            DELETE FROM found WHERE sha256 IS NULL;
            CREATE INDEX by_content ON found (size, sha256, mtime_ns, path);
            CREATE TABLE first AS SELECT * FROM (
                SELECT path, size, mtime_ns, inode, sha256,
                       row_number() OVER (PARTITION BY size, sha256 ORDER BY mtime_ns, path) AS place
                FROM found
            ) WHERE place = 1;
            CREATE INDEX first_path ON first (path);
            CREATE INDEX first_content ON first (size, sha256);
            UPDATE found SET same_as =
                (SELECT path FROM first WHERE first.size = found.size AND first.sha256 = found.sha256);
            DELETE FROM found WHERE inode =
                (SELECT inode FROM first WHERE first.size = found.size AND first.sha256 = found.sha256);
        """)
        self.swept.groups = db.execute("SELECT count(DISTINCT same_as) FROM found").fetchone()[0]

    def _digest(self, row: _Row) -> str | None:
        ground = Ground(self._root)
        try:
            status = ground.status(row.path)
            if not row.is_still(status) or status is None:
                raise FileNotFoundError("it changed while the folder was being read")
            above, _, name = row.path.rpartition("/")
            entry = tree.Entry(row.path, tree.FILE, status, ground.folder(above), name)
            with os.fdopen(entry.open(), "rb", buffering=0) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except Blocked as error:
            self.swept.report(Problem(row.path, "vanished", str(error)))
        except OSError as error:
            self.swept.report(tree.problem_of(row.path, error))
        finally:
            ground.close()
        return None


class _Mover:
    """Moves files to the same relative path elsewhere; never over another, and never a half file under the name."""

    def __init__(self, ground: Ground, to: Ground) -> None:
        self._ground, self._to = ground, to
        self._known: set[str] = set()

    def move(self, path: str) -> None:
        """Raises FileExistsError, Blocked, TargetFailed; OSError when this one file cannot be moved."""
        above, _, name = path.rpartition("/")
        try:
            self._prepare(above)
        except OSError as error:
            if error.errno in FULL:
                raise TargetFailed(error, path) from None
            raise
        source = self._ground.folder(above)
        self._place(source, self._to.folder(above), name)
        os.unlink(name, dir_fd=source)

    def _prepare(self, above: str) -> None:
        """Make the folders that are missing, with the modes of those they stand for."""
        if above in self._known:
            return
        made: list[str] = []
        folder = self._to.folder(above, made.append)
        for path in made:
            if (status := self._ground.status(path)) is not None:
                os.fchmod(self._to.folder(path), stat.S_IMODE(status.st_mode))
        if above not in made:
            clear_unfinished(folder)
        self._known.add(above)

    def _place(self, source: int, target: int, name: str) -> None:
        try:
            os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:  # another disk, or one without hard links
            self._copy(source, target, name)

    def _copy(self, source: int, target: int, name: str) -> None:
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source), "rb") as file:
            try:
                unfinished, descriptor = begin_file(target)
            except OSError as error:
                raise TargetFailed(error, name) from None
            try:
                with os.fdopen(descriptor, "wb") as out:
                    while data := file.read(_BLOCK):
                        out.write(data)
                    out.flush()
                    status = os.fstat(file.fileno())
                    if os.geteuid() == 0:
                        os.fchown(descriptor, status.st_uid, status.st_gid)
                    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
                    os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
                    os.fsync(descriptor)
                settle(target, unfinished, name, replace=False)
            except OSError as error:
                if error.errno in FULL:
                    raise TargetFailed(error, name) from None
                raise
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(unfinished, dir_fd=target)


def _meets(entry: tree.Entry, wanted: Wanted) -> bool:
    status = entry.status
    return (
        (wanted.min_size is None or status.st_size >= wanted.min_size)
        and (wanted.max_size is None or status.st_size <= wanted.max_size)
        and (wanted.changed_before is None or status.st_mtime_ns <= wanted.changed_before)
        and (wanted.changed_after is None or status.st_mtime_ns >= wanted.changed_after)
        and (wanted.included is None or _included(wanted.included, entry.path))
    )


def _included(matches: Excluded, path: str) -> bool:
    parts = path.split("/")
    return matches(path, False) or any(matches("/".join(parts[:count]), True) for count in range(1, len(parts)))


def _inode(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"
