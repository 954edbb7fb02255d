"""The event loop of async actions, in a thread of its own. Loaded when the first of them runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from monjolo_sdk.runner.tasks import RunningTask


class LoopSide:
    """Starts coroutines of tasks and cancels them; `flush` runs once for all that end in one turn."""

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._flushing = False
        self.running: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_for_ever, name="monjolo-loop", daemon=True)
        self._thread.start()

    def is_here(self) -> bool:
        """Is the caller in the loop's thread?"""
        return threading.current_thread() is self._thread

    def start(self, task: RunningTask, run: Callable[[RunningTask], Coroutine[Any, Any, None]]) -> None:
        """Run a task's coroutine beside the others."""
        self._loop.call_soon_threadsafe(self._start, task, run)

    def cancel(self, task: RunningTask) -> None:
        """Cancel a task, begun or not."""
        self._loop.call_soon_threadsafe(self._cancel, task)

    def flush_soon(self) -> None:
        """Write answers when this turn of the loop is over."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush_now)

    def new_answer(self) -> tuple[Awaitable[Any], Callable[[Any, BaseException | None], None]]:
        """A future of this loop, and the function that resolves it from any thread."""
        future: asyncio.Future[Any] = self._loop.create_future()

        def settle(result: Any, problem: BaseException | None) -> None:
            if future.done():
                return
            if problem is not None:
                future.set_exception(problem)
            else:
                future.set_result(result)

        def resolve(result: Any, problem: BaseException | None) -> None:
            self._loop.call_soon_threadsafe(settle, result, problem)

        return future, resolve

    def wait_idle(self) -> None:
        """From another thread: wait until no task runs."""

        async def idle() -> None:
            while self.running:
                await asyncio.wait(self.running)

        asyncio.run_coroutine_threadsafe(idle(), self._loop).result()

    def _start(self, task: RunningTask, run: Callable[[RunningTask], Coroutine[Any, Any, None]]) -> None:
        running = self._loop.create_task(run(task))
        task.asyncio_task = running
        self.running.add(running)
        running.add_done_callback(self.running.discard)

    @staticmethod
    def _cancel(task: RunningTask) -> None:
        # Before its first step it would end without an answer; that step looks at `cancelled` itself.
        if task.asyncio_task is not None and task.context is not None:
            task.asyncio_task.cancel()

    def _flush_now(self) -> None:
        self._flushing = False
        self._flush()

    def _run_for_ever(self) -> None:
        asyncio.set_event_loop(self._loop)
        while True:
            try:
                self._loop.run_forever()
            except BaseException as problem:  # SystemExit in a task that the author started: the others go on
                self._loop.call_exception_handler({"message": "a background task ended the loop", "exception": problem})
            if self._loop.is_closed():
                return
