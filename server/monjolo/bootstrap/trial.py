"""Tries one action outside any flow: the same worker, limits and masks, and nothing of it is kept."""

from __future__ import annotations

import asyncio
from typing import Any

from monjolo.broker.memory import MemoryBroker
from monjolo.domains.modules.models import ModuleVersion
from monjolo.domains.modules.service import Outcome
from monjolo.domains.runs.sealer import TaskSealer
from monjolo.kit.errors import Unavailable
from monjolo.kit.ids import new_id
from monjolo.kit.time import SECOND, to_rfc3339
from monjolo.worker.port import WorkerDoor
from monjolo.worker.worker import Worker, WorkerSettings
from monjolo_sdk.wire import Finished, Limits, LogBatch, Task, TaskMessage

LONGEST = 120 * SECOND
LINES_SHOWN = 1_000


class Trial:
    """One at a time; its worker is started for it and gone after it."""

    def __init__(self, door: WorkerDoor, sealer: TaskSealer, settings: WorkerSettings) -> None:
        self._door = door
        self._sealer = sealer
        self._settings = settings
        self._turn = asyncio.Lock()

    async def __call__(
        self, *, workspace_id: str, version: ModuleVersion, action: str, inputs: dict[str, Any]
    ) -> Outcome:
        filled, connections, masks = await self._sealer.fill(workspace_id, version.digest, action, inputs)
        run_id = new_id()
        task = Task(
            run_id=run_id,
            key="trial",
            token=1,
            attempt=1,
            module=version.id,
            version=version.version,
            digest=version.digest,
            action=action,
            inputs=filled,
            secrets=masks,
            connections=connections,
            flow="trial",
            idempotency_key=run_id,
            alone=True,
            timeout=LONGEST,
            limits=self._settings.limits or Limits(),
            context={"id": run_id, "flow": "trial", "step": "trial", "attempt": 1, "trigger": "trial"},
        )
        async with self._turn:
            return await self._run(task)

    async def _run(self, task: Task) -> Outcome:
        broker = MemoryBroker()
        worker = Worker(broker, self._door, self._settings)
        lines: list[dict[str, Any]] = []
        listening = asyncio.create_task(_hear_logs(broker, lines))
        await worker.start()
        try:
            await broker.publish([TaskMessage(new_id(), self._settings.group, (task,))])
            finished = await asyncio.wait_for(_outcome(broker), LONGEST / SECOND + 60)
        except TimeoutError as error:
            raise Unavailable("The action did not end in time.", code="trial_timeout") from error
        finally:
            await worker.close()
            listening.cancel()
        error_shown = None
        if finished.error is not None:
            cause = finished.error
            error_shown = {"type": cause.type, "message": cause.message, "traceback": cause.traceback}
        return Outcome(finished.status, finished.output, error_shown, lines, finished.at - finished.started_at)


async def _outcome(broker: MemoryBroker) -> Finished:
    while True:
        reports, receipt = await broker.next_reports()
        receipt.done()
        for report in reports:
            if isinstance(report, Finished):
                return report


async def _hear_logs(broker: MemoryBroker, lines: list[dict[str, Any]]) -> None:
    while True:
        batches, receipt = await broker.next_logs()
        receipt.done()
        for batch in batches:
            _keep(batch, lines)


def _keep(batch: LogBatch, lines: list[dict[str, Any]]) -> None:
    for line in batch.lines[: LINES_SHOWN - len(lines)]:
        lines.append(
            {
                "at": to_rfc3339(line.at),
                "level": line.level,
                "stream": line.stream,
                "text": line.text,
                "fields": line.fields,
            }
        )
