"""The peer Procrastinate, on PostgreSQL: its tasks, and, run as a program, what drives them."""

from __future__ import annotations

import os

import counting
import procrastinate

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ["BENCH_DATABASE"]),
    import_paths=["procrastinate_tasks"],
)


@app.task(name="nothing")
def nothing() -> None:
    counting.count()


@app.task(name="stamp")
def stamp(sent: float) -> None:
    counting.stamp(sent)


@app.task(name="fib")
async def fib(n: int, left: int) -> None:
    """One of a chain: it defers the next."""
    counting.fib(n)
    if left:
        await fib.defer_async(n=n, left=left - 1)
    counting.count()


if __name__ == "__main__":
    connector = procrastinate.SyncPsycopgConnector(conninfo=os.environ["BENCH_DATABASE"])
    with app.replace_connector(connector) as driver, driver.open():
        counting.Queue(
            nothing.defer,
            lambda sent: stamp.defer(sent=sent),
            lambda steps, n: fib.defer(n=n, left=steps - 1),
            lambda: None,  # its database is removed whole
        ).serve()
