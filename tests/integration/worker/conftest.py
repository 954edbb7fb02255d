"""A started worker with a broker in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from monjolo.worker.worker import Worker, WorkerSettings

from .fakes import FakeBroker, FakeDoor

StartWorker = Callable[[WorkerSettings], Awaitable[Worker]]


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor(Path(__file__).parent / "bundles")


@pytest.fixture
async def start(broker: FakeBroker, door: FakeDoor) -> AsyncIterator[StartWorker]:
    workers: list[Worker] = []

    async def start_worker(settings: WorkerSettings) -> Worker:
        worker = Worker(broker, door, settings)
        workers.append(worker)
        await worker.start()
        return worker

    yield start_worker
    for worker in workers:
        await worker.close()


@pytest.fixture
async def worker(start: StartWorker) -> Worker:
    return await start(WorkerSettings(slots=2))
