"""What the rest sees of a database. SQL is written so that SQLite and PostgreSQL both know it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from monjolo.kit.errors import Conflict

T = TypeVar("T")


class Duplicate(Conflict):
    """A row with this key is there already. Raised by `Database.write` when a unique rule was broken.

    Inside a unit of work use `ON CONFLICT`, which both dialects know.
    """

    code, title = "duplicate", "There is one like this already"


class Row(Protocol):
    """One line of an answer: `row["column"]`, `row[0]`, or unpacked like a tuple."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def keys(self) -> list[str]: ...


class Cursor(Protocol):
    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection inside a transaction that somebody else began and will end."""

    def execute(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ..., /) -> Cursor:
        """Parameters by name (`:name`) or by place (`?`)."""

    def executemany(self, sql: str, rows: Iterable[Mapping[str, Any] | Sequence[Any]], /) -> object: ...


class Database(Protocol):
    async def read(self, query: Callable[[Connection], T]) -> T:
        """Runs `query` in a thread, on a read-only connection, seeing one moment of the database."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in the writer's thread; returns once its commit is durable.

        Works that wait together share a commit; one that raises is undone alone. `work` must not wait for
        anything but the database. A caller that is cancelled does not know whether its work was stored.
        """
