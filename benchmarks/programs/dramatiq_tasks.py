"""The peer Dramatiq: its actors, and, run as a program, what drives them."""

from __future__ import annotations

import os

import counting
import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

QUEUE = os.environ["BENCH_QUEUE"]
broker = RabbitmqBroker(url=os.environ.get("BENCH_BROKER", "amqp://guest:guest@127.0.0.1:5672/"))
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=QUEUE)
def nothing() -> None:
    counting.count()


@dramatiq.actor(queue_name=QUEUE)
def stamp(sent: float) -> None:
    counting.stamp(sent)


@dramatiq.actor(queue_name=QUEUE)
def fib(n: int) -> None:
    counting.fib(n)
    counting.count()


def chain(steps: int, n: int) -> None:
    dramatiq.pipeline(fib.message_with_options(args=(n,), pipe_ignore=True) for _ in range(steps)).run()


def forget() -> None:
    with broker.connection.channel() as channel:
        for name in (QUEUE, f"{QUEUE}.DQ", f"{QUEUE}.XQ"):
            channel.queue_delete(name)


if __name__ == "__main__":
    counting.Queue(nothing.send, stamp.send, chain, forget).serve()
