"""SQLite behind the port: one writer thread that commits whatever waits, a few readers, no timer."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

from monjolo.kit.disk import disk_error
from monjolo.kit.errors import Unavailable
from monjolo.storage.errors import named
from monjolo.storage.port import Connection

T = TypeVar("T")
BATCH_LIMIT = 512  # works in one commit; more wait for the next, so that the first are not kept long
_STATEMENTS = 512
_KEPT_PAGES = 1_000  # 4 MB
_BUSY_MS, _CHECKPOINT_WAIT_MS = 5_000, 200
_WRITER = ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=4000", "journal_size_limit=67108864")
_COMMON = (
    "foreign_keys=OFF",
    f"busy_timeout={_BUSY_MS}",
    "temp_store=MEMORY",
    "cache_size=-16000",
    "mmap_size=268435456",
)


def connect(path: Path, *, read_only: bool = False, create: bool = False) -> sqlite3.Connection:
    """A connection with our settings and no implicit transactions. Raises Unavailable with a named code."""
    if not read_only and not os.access(path.parent, os.W_OK):  # SQLite would only say that it cannot open it
        raise disk_error(PermissionError(errno.EACCES, "read-only"), path.parent)
    mode = "ro" if read_only else "rwc" if create else "rw"
    new = create and _make_file(path)
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS,
        )
        try:
            _configure(connection, read_only=read_only, new=new)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise named(error, path) from error
    connection.row_factory = sqlite3.Row
    return connection


def _make_file(path: Path) -> bool:
    """An empty file that only its owner reads; SQLite gives its side files the same mode."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return path.stat().st_size == 0
    except OSError as error:
        raise disk_error(error, path) from error
    return True


def _configure(connection: sqlite3.Connection, *, read_only: bool, new: bool) -> None:
    if new:  # only a file without tables takes it: retention gives pages back step by step
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    for pragma in _COMMON if read_only else (*_COMMON, *_WRITER):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if read_only:
        connection.execute("PRAGMA query_only=ON")


class _Job:
    __slots__ = ("bare", "courier", "error", "future", "result", "work")

    def __init__(self, work: Callable[[Connection], Any], courier: _Courier, bare: bool = False) -> None:
        self.work = work
        self.bare = bare  # alone, and outside a transaction
        self.courier = courier
        self.future: asyncio.Future[Any] = courier.loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():  # the caller went away
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class _Courier:
    """Brings finished jobs back to their loop, waking it once for all that are there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._done: deque[_Job] = deque()
        self._called = False

    def deliver(self, jobs: list[_Job]) -> None:
        self._done.extend(jobs)
        if self._called:
            return
        self._called = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._called = False  # before taking: what is added from here on calls again
        while self._done:
            self._done.popleft().settle()


class SqliteDatabase:
    """`Database` on one migrated SQLite file. Open it once, under the data folder's lock."""

    def __init__(self, path: Path, *, readers: int = 3) -> None:
        self.path = path
        self._writes: SimpleQueue[_Job | None] = SimpleQueue()
        self._reads: SimpleQueue[_Job | None] = SimpleQueue()
        self._courier: _Courier | None = None
        self._held: _Job | None = None  # taken from the queue, for the next turn
        self._closed = False
        writer = connect(path)
        self._threads = [threading.Thread(target=self._write_all, args=(writer,), name="database-writer")]
        for number in range(readers):
            reader = connect(path, read_only=True)
            name = f"database-reader-{number}"
            self._threads.append(threading.Thread(target=self._read_all, args=(reader,), name=name))
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    async def read(self, query: Callable[[Connection], T]) -> T:
        return await self._ask(self._reads, query)

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self._ask(self._writes, work)

    def close(self) -> None:
        """Ends what is queued, then the threads. Later calls raise Unavailable."""
        if self._closed:
            return
        self._closed = True
        self._writes.put(None)
        for _ in self._threads[1:]:
            self._reads.put(None)
        for thread in self._threads:
            thread.join()

    async def give_back(self, pages: int = 400) -> bool:
        """Gives up to `pages` free pages back to the disk; False when none are left worth the trouble.

        Some stay, since what is written next would only ask for them again.
        """

        def work(connection: Connection) -> bool:
            free, total = _pragma(connection, "freelist_count"), _pragma(connection, "page_count")
            spare = free - max(_KEPT_PAGES, total // 20)
            if spare > 0:  # `execute` would free one page alone; a script is stepped to its end
                cast(sqlite3.Connection, connection).executescript(f"PRAGMA incremental_vacuum({min(spare, pages)})")
            return spare > pages

        return await self._ask(self._writes, work, bare=True)

    async def checkpoint(self) -> None:
        """Moves the log of writes into the database file and cuts it to nothing, unless a long reader holds it.

        A backup reads for as long as it takes; the writer must not wait for its end.
        """

        def work(connection: Connection) -> None:
            connection.execute(f"PRAGMA busy_timeout={_CHECKPOINT_WAIT_MS}").fetchall()
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}").fetchall()

        await self._ask(self._writes, work, bare=True)

    async def sizes(self) -> dict[str, int]:
        """Bytes of the file, of those the free ones, and of the log of writes."""

        def query(connection: Connection) -> tuple[int, int]:
            page = _pragma(connection, "page_size")
            return _pragma(connection, "page_count") * page, _pragma(connection, "freelist_count") * page

        total, free = await self.read(query)
        log = self.path.with_name(self.path.name + "-wal")
        return {"database": total, "free": free, "write_log": log.stat().st_size if log.exists() else 0}

    async def _ask(self, queue: SimpleQueue[_Job | None], work: Callable[[Connection], T], *, bare: bool = False) -> T:
        if self._closed:
            raise Unavailable("Monjolo is stopping; try again when it is up", code="stopping", retry_after=5)
        loop = asyncio.get_running_loop()
        courier = self._courier
        if courier is None or courier.loop is not loop:
            courier = self._courier = _Courier(loop)
        job = _Job(work, courier, bare)
        queue.put(job)
        result: T = await job.future
        return result

    # --- the reader threads ---------------------------------------------------------------------------------

    def _read_all(self, connection: sqlite3.Connection) -> None:
        while (job := self._reads.get()) is not None:
            if not job.future.cancelled():
                self._read(connection, job)
                job.courier.deliver([job])
            del job  # an idle thread must not keep the last answer alive
        connection.close()

    def _read(self, connection: sqlite3.Connection, job: _Job) -> None:
        try:
            connection.execute("BEGIN")
            job.result = job.work(connection)
        except BaseException as error:
            job.error = named(error, self.path)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    # --- the writer thread ----------------------------------------------------------------------------------

    def _write_all(self, connection: sqlite3.Connection) -> None:
        ended = False
        while not ended:
            jobs, ended = self._take()
            if jobs:
                try:
                    self._commit(connection, jobs)
                except BaseException as error:
                    self._undo(connection, jobs, error)
                for courier in {job.courier for job in jobs}:
                    courier.deliver([job for job in jobs if job.courier is courier])
            del jobs
        connection.close()

    def _take(self) -> tuple[list[_Job], bool]:
        """Waits for one job and takes those that are there with it; True when the end was among them."""
        jobs: list[_Job] = []
        job, self._held = self._held or self._writes.get(), None
        try:
            while job is not None:
                if job.bare and jobs:
                    self._held = job
                    return jobs, False
                if not job.future.cancelled():
                    jobs.append(job)
                if job.bare or len(jobs) >= BATCH_LIMIT:
                    return jobs, False
                job = self._writes.get_nowait()
        except Empty:
            return jobs, False
        return jobs, True

    def _commit(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        """One transaction for all; raises when it is lost as a whole."""
        execute = connection.execute
        if jobs[0].bare:
            jobs[0].result = jobs[0].work(connection)
            return
        execute("BEGIN IMMEDIATE")
        if len(jobs) == 1:
            jobs[0].result = jobs[0].work(connection)
        else:
            for job in jobs:
                execute("SAVEPOINT work")
                try:
                    job.result = job.work(connection)
                except BaseException as error:
                    if not connection.in_transaction:  # a full disk ends the transaction of all
                        raise
                    job.error = named(error, self.path)
                    execute("ROLLBACK TO work")
                execute("RELEASE work")
        execute("COMMIT")

    def _undo(self, connection: sqlite3.Connection, jobs: list[_Job], error: BaseException) -> None:
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        for job in jobs:
            job.result = None
            job.error = job.error or named(error, self.path)


def _pragma(connection: Connection, name: str) -> int:
    found: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return found
