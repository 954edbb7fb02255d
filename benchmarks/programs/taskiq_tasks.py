"""The peer Taskiq: its tasks, and, run as a program, what drives them."""

from __future__ import annotations

import asyncio
import os

import aio_pika
import counting
from taskiq_aio_pika import AioPikaBroker, Exchange, Queue

NAME = os.environ["BENCH_QUEUE"]
URL = os.environ.get("BENCH_BROKER", "amqp://guest:guest@127.0.0.1:5672/")
broker = AioPikaBroker(
    URL, exchange=Exchange(name=NAME), task_queues=[Queue(name=NAME)],
    dead_letter_queue=Queue(name=f"{NAME}.dead"), delay_queue=Queue(name=f"{NAME}.delay"),
)  # fmt: skip


@broker.task(task_name="nothing")
async def nothing() -> None:
    counting.count()


@broker.task(task_name="stamp")
async def stamp(sent: float) -> None:
    counting.stamp(sent)


@broker.task(task_name="fib")
async def fib(n: int, left: int) -> None:
    """One of a chain: it sends the next."""
    counting.fib(n)
    if left:
        await fib.kiq(n, left - 1)
    counting.count()


async def forget() -> None:
    async with await aio_pika.connect(URL) as connection:
        channel = await connection.channel()
        for name in (NAME, f"{NAME}.dead", f"{NAME}.delay"):
            await channel.queue_delete(name)
        await channel.exchange_delete(NAME)


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        runner.run(broker.startup())
        counting.Queue(
            lambda: runner.run(nothing.kiq()),
            lambda sent: runner.run(stamp.kiq(sent)),
            lambda steps, n: runner.run(fib.kiq(n, steps - 1)),
            lambda: runner.run(forget()),
        ).serve()
        runner.run(broker.shutdown())
