"""What a running action may ask of the platform, answered through the worker door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from monjolo.worker.artifacts import taken
from monjolo.worker.attempt import Attempt
from monjolo.worker.port import WorkerDoor

MAX_OPEN_QUESTIONS = 256
REFUSED = -32000


class Services:
    def __init__(self, door: WorkerDoor) -> None:
        self._door = door
        self._open: set[asyncio.Task[None]] = set()

    def serve(self, attempt: Attempt, method: str, params: dict[str, Any], answer: Callable[[Any], None]) -> None:
        """Answers in its own time; a runner that asks without end is told to stop asking."""
        if len(self._open) >= MAX_OPEN_QUESTIONS:
            answer(_refusal("TooManyQuestions", "too many questions are open at once"))
            return
        task = asyncio.get_running_loop().create_task(self._answer(attempt, method, params, answer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    def close(self) -> None:
        for task in list(self._open):
            task.cancel()

    async def _answer(
        self, attempt: Attempt, method: str, params: dict[str, Any], answer: Callable[[Any], None]
    ) -> None:
        try:
            answer({"result": await self._ask(attempt, method, params)})
        except Exception as error:  # the action gets it as an exception; the worker goes on
            answer(_refusal(type(error).__name__, str(error)))

    async def _ask(self, attempt: Attempt, method: str, params: dict[str, Any]) -> Any:
        if method == "state.get":
            key = str(params["key"])
            if key in attempt.state_writes:
                return {"value": attempt.state_writes[key]}
            return {"value": await self._door.state_get(attempt.task, key)}
        if method == "artifact":
            kind = params.get("content_type")
            name = attempt.masker.text(str(params["name"]))
            if attempt.runner is None:
                raise ValueError("the step has ended")
            with taken(attempt.runner.folder, str(params["path"])) as file:
                artifact = await self._door.put_artifact(attempt.task, name, str(file), kind)
            attempt.artifacts.append(artifact)
            return artifact
        if method == "token":
            return await self._door.token(attempt.task)
        raise ValueError(f"there is no request {method}")


def _refusal(kind: str, message: str) -> dict[str, Any]:
    data = {"type": kind, "message": message}
    return {"error": {"code": REFUSED, "message": message, "data": data}}
