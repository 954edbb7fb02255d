"""The life of the attempts a worker holds: what is done with what a runner, a timer or the orchestrator says.

`Phase` names the stations. Each ends by one report, Finished or Released, once its log is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from monjolo.broker.port import Delivery, WorkerBroker
from monjolo.kit.time import SECOND, Clock
from monjolo.worker.attempt import Attempt, Name, Phase
from monjolo.worker.logs import DEFAULT_LOG_BYTES, AttemptLog, LogShipper
from monjolo.worker.masking import masker_for
from monjolo.worker.outcome import (
    CANCELLED,
    DEFAULT_OUTPUT_BYTES,
    TIMED_OUT,
    Outcome,
    masked_error,
    outcome_of,
)
from monjolo.worker.pool import Pool, PoolSettings
from monjolo.worker.port import WorkerDoor
from monjolo.worker.reporter import Receipt, Reporter, Returned
from monjolo.worker.runner import PROTOCOL_ERRORS, Runner, RunnerPlace, RunnerState
from monjolo.worker.services import Services
from monjolo_sdk.wire import (
    Cancel,
    Claim,
    Finished,
    Permit,
    Progress,
    Redelivered,
    Released,
    Report,
    Started,
    Task,
    TaskError,
)

LONG_SECONDS = 1.0  # a task past this is leased, and nobody waits behind it
CLOSE_SECONDS = 10.0  # for the last words, when a worker is closed
CLAIM_SECONDS = 30.0  # without a permit by then the task is given back
ASYNC_GRACE_SECONDS = 2.0  # for an async action to end by itself at its time-out: its neighbours would go with it
NEIGHBOUR_SECONDS = 2.0  # for the neighbours of a step that left a process behind
BEHIND, NO_SLOT, TOO_LATE, NO_PERMIT = "behind_a_long_task", "no_free_slot", "too_late", "no_permit"
RUNNER_ENDED, DRAINING = "runner_ended", "draining"
STOPPED = {"timed_out": TIMED_OUT, "cancelled": CANCELLED}


class Beginning:
    """A lone task whose start must be durable before it begins."""

    __slots__ = ("_attempt", "_then")

    def __init__(self, attempt: Attempt, then: Callable[[Attempt], None]) -> None:
        self._attempt, self._then = attempt, then

    def durable(self, report: Report) -> Receipt | None:
        receipt = self._attempt.durable(report)
        self._then(self._attempt)
        return receipt


class Attempts:
    def __init__(
        self,
        worker: str,
        broker: WorkerBroker,
        door: WorkerDoor,
        clock: Clock,
        settings: PoolSettings,
        place: RunnerPlace,
        room: Callable[[], None],
    ) -> None:
        """`room` is called when something ended and there may be room for more."""
        self.held: dict[Name, Attempt] = {}
        self.busy = asyncio.Event()  # set while anything is in hand
        self.reporter = Reporter(broker, self._told)
        self.shipper = LogShipper(broker)
        self.pool = Pool(settings, place, door, self)
        self._tell_room = room
        self._worker, self._clock, self._place = worker, clock, place
        self._services = Services(door)
        self._loop = asyncio.get_running_loop()
        self._young: dict[Attempt, float] = {}  # at the head of a queue, not yet leased; oldest first
        self._look_timer: asyncio.TimerHandle | None = None
        self._endings: set[asyncio.Task[None]] = set()

    # --- from the broker

    def accept(self, delivery: Delivery) -> None:
        receipt = Receipt(delivery)
        for task in delivery.message.tasks:
            attempt = Attempt(
                task,
                receipt,
                AttemptLog(task, masker_for(task.secrets), self.shipper, self._clock),
                masker_for(task.secrets),
                self.held,
            )
            if delivery.redelivered or attempt.name in self.held:
                report = Redelivered(task.run_id, task.key, task.token, self._worker, self._clock.now())
                self.reporter.submit(report, Returned(receipt))
                continue
            self.held[attempt.name] = attempt
            self.busy.set()
            self.pool.add(attempt)
        self._give_back_stuck()

    def cancel(self, order: Cancel) -> None:
        attempt = self.held.get((order.run_id, order.key, order.token))
        if attempt is None or attempt.phase is Phase.ENDED or attempt.stopped:
            return
        if attempt.phase in (Phase.WAITING, Phase.CLAIMED):
            self.pool.withdraw(attempt)
            self._finish(attempt, Outcome("cancelled", error=CANCELLED))
            return
        attempt.stopped = "cancelled"
        attempt.stop_timer()
        if attempt.runner is not None:
            attempt.runner.cancel(attempt)
        attempt.timer = self._loop.call_later(order.grace / SECOND, self._kill_for, attempt)

    async def permit(self, order: Permit) -> None:
        attempt = self.held.get((order.run_id, order.key, order.token))
        if attempt is None or attempt.phase is not Phase.CLAIMED or order.worker != self._worker:
            return
        attempt.permit_until = order.deadline
        self._resume(attempt)
        receipt = attempt.settle()
        if receipt is not None:
            await self.reporter.settle(receipt)

    def may_begin(self, attempt: Attempt) -> None:
        """That a lone task begins is written down: should it take the worker with it, that counts as a crash."""
        if attempt.phase is Phase.CLAIMED:
            self._resume(attempt)

    def _resume(self, attempt: Attempt) -> None:
        """On with an attempt that waited for leave, in the runner that was kept free for it if that still lives."""
        attempt.stop_timer()
        attempt.leased = True
        attempt.phase = Phase.WAITING
        runner = attempt.runner
        if runner is not None and runner.reserved is attempt and runner.state is RunnerState.READY:
            self.run(attempt, runner)
            runner.reserved = None
            runner.blocked = runner.blocked or (bool(runner.queue) and not attempt.is_async)
            if not runner.busy:
                self.pool.changed(runner)
        else:
            self.pool.add(attempt)

    # --- from the pool

    def run(self, attempt: Attempt, runner: Runner) -> None:
        task, now = attempt.task, self._clock.now()
        if task.not_after is not None and now > task.not_after:
            self._release(attempt, TOO_LATE)
        elif not task.at_most_once and (attempt.leased or not task.alone):
            runner.send(attempt, self._context(task))
        elif not task.at_most_once:
            self._reserve(attempt, runner)
            started = Started(task.run_id, task.key, task.token, self._worker, now)
            self.reporter.submit(started, Beginning(attempt, self.may_begin))
        elif not attempt.permit_until:
            self._reserve(attempt, runner)
            self.reporter.submit(Claim(task.run_id, task.key, task.token, self._worker, now), attempt)
            attempt.timer = self._loop.call_later(CLAIM_SECONDS, self._no_permit, attempt)
        elif now > attempt.permit_until:
            self._release(attempt, NO_PERMIT)
        else:
            runner.send(attempt, self._context(task))

    def _reserve(self, attempt: Attempt, runner: Runner) -> None:
        attempt.phase = Phase.CLAIMED
        attempt.runner = runner
        runner.reserved = attempt

    def not_startable(self, attempt: Attempt, error: TaskError, crashed: bool) -> None:
        self._finish(attempt, Outcome("crashed" if crashed else "failed", error=error))

    def changed(self, runner: Runner) -> None:
        self.pool.changed(runner)

    def room(self) -> None:
        self._give_back_stuck()
        self._tell_room()

    # --- from a runner

    def head(self, attempt: Attempt) -> None:
        attempt.head_at = self._loop.time()
        self._young[attempt] = attempt.head_at
        if self._look_timer is None:
            self._look_timer = self._loop.call_later(LONG_SECONDS, self._look)

    def begun(self, attempt: Attempt, at: Any) -> None:
        if attempt.phase is not Phase.SENT:
            return
        now = self._clock.now()
        attempt.phase = Phase.BEGUN
        attempt.begun_at = at if type(at) is int and now - 60 * SECOND <= at <= now else now
        if attempt.task.timeout is not None and not attempt.stopped:
            left = (attempt.task.timeout - (now - attempt.begun_at)) / SECOND
            attempt.timer = self._loop.call_later(max(0.0, left), self._time_out, attempt)
        self._limit_processor_time(attempt, attempt.task.limits.cpu_seconds)

    def answered(self, attempt: Attempt, message: dict[str, Any], size: int) -> None:
        self._limit_processor_time(attempt, None)
        if (
            attempt.called_off
            and attempt.phase is Phase.SENT
            and not attempt.stopped
            and "output" not in (message.get("result") or {})
        ):
            self._release(attempt, attempt.called_off)
            return
        try:
            outcome = outcome_of(attempt, message, size)
        except PROTOCOL_ERRORS:
            error = TaskError("ProtocolBroken", "the runner's answer is not of the protocol")
            self._finish(attempt, Outcome("crashed", error=error))
            raise
        if attempt.stopped and attempt.runner is not None:
            attempt.stop_timer()
            ending = self._loop.create_task(self._end_stopped(attempt, attempt.runner, outcome))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
        else:
            self._finish(attempt, outcome)

    def said(self, attempt: Attempt, method: str, params: dict[str, Any], size: int) -> None:
        if method == "logs":
            self._log(attempt, params["lines"], size)
        elif method == "log":
            line = [params["at"], params["level"], params["stream"], params["text"], params.get("fields")]
            self._log(attempt, [line], size)
        elif method == "progress":
            self._progress(attempt, params)
        elif method == "state.set":
            attempt.state_writes[str(params["key"])] = params["value"]
        else:
            raise ValueError(f"there is no notification {method}")

    def asked(self, attempt: Attempt, method: str, params: dict[str, Any], answer: Callable[[Any], None]) -> None:
        self._services.serve(attempt, method, params, answer)

    def lost(self, attempt: Attempt, begun: bool, error: TaskError, tail: bytes) -> None:
        """Its runner is gone, with every process below it."""
        if attempt.stopped:
            self._finish(attempt, Outcome(attempt.stopped, error=STOPPED[attempt.stopped]))
        elif not begun and not attempt.task.at_most_once:
            self._release(attempt, RUNNER_ENDED)  # of what may run once only, nobody knows whether it had begun
        else:
            now = self._clock.now()
            lines = tail.decode(errors="replace").splitlines()
            attempt.log.add([[now, "error", "stderr", line, None] for line in lines], len(tail))
            self._finish(attempt, Outcome("crashed", error=masked_error(error, attempt.masker)))

    # --- drain

    def give_back(self) -> None:
        """Releases what has not begun; what has goes on."""
        for attempt in self.pool.waiting():
            self.pool.withdraw(attempt)
            self._release(attempt, DRAINING)
        for attempt in list(self.held.values()):
            if attempt.phase is Phase.CLAIMED:
                self.pool.withdraw(attempt)
                self._release(attempt, DRAINING)
            elif attempt.phase is Phase.SENT and attempt.runner is not None and not attempt.called_off:
                attempt.runner.call_off(attempt, DRAINING)

    async def close(self) -> None:
        """Ends all runners; what was in them is reported as they leave."""
        await self.pool.close()
        if self._look_timer is not None:
            self._look_timer.cancel()
        while self._endings:
            await asyncio.wait(self._endings)
        self._services.close()
        with suppress(TimeoutError):  # a broker that is away does not keep the process: leases cover what is lost
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.shipper.close()
                await self.reporter.close()

    # --- inside

    def _context(self, task: Task) -> dict[str, Any]:
        return {
            **task.context,
            "run": task.run_id,
            "run_number": task.run_number,
            "flow": task.flow,
            "step": task.key,
            "attempt": task.attempt,
            "idempotency_key": task.idempotency_key,
            "log_bytes": task.limits.log_bytes or DEFAULT_LOG_BYTES,
            "output_bytes": task.limits.output_bytes or DEFAULT_OUTPUT_BYTES,
            "egress_allow": self._place.egress_allow,
        }

    def _told(self) -> None:
        if not self.held:
            self.busy.clear()
        self._tell_room()

    def _look(self) -> None:
        """Leases what has run for a second. One timer for all, none when nothing runs."""
        self._look_timer = None
        now = self._loop.time()
        for attempt, since in list(self._young.items()):
            if now - since < LONG_SECONDS:
                self._look_timer = self._loop.call_later(LONG_SECONDS - (now - since), self._look)
                return
            del self._young[attempt]
            self._lease(attempt)

    def _lease(self, attempt: Attempt) -> None:
        self.begun(attempt, None)  # a runner too busy to say so has begun the first of its queue all the same
        task, runner = attempt.task, attempt.runner
        if not attempt.leased:
            attempt.leased = True
            started = Started(task.run_id, task.key, task.token, self._worker, attempt.begun_at)
            self.reporter.submit(started, attempt)
        if runner is not None and not attempt.is_async:
            runner.blocked = runner.long = True
            self._call_off_queue(runner, BEHIND)
        self._give_back_stuck()

    def _limit_processor_time(self, attempt: Attempt, seconds: int | None) -> None:
        """Only sync actions: what side by side ones use cannot be told apart."""
        if attempt.task.limits.cpu_seconds is not None and not attempt.is_async and attempt.runner is not None:
            attempt.runner.limit_processor_time(seconds)

    def _call_off_queue(self, runner: Runner, reason: str) -> None:
        """Asks back what has not begun: not the first, which may have."""
        for attempt in list(runner.queue.values())[1:]:
            if attempt.phase is Phase.SENT and not attempt.called_off:
                runner.call_off(attempt, reason)

    def _give_back_stuck(self) -> None:
        for attempt in self.pool.stuck():
            self.pool.withdraw(attempt)
            self._release(attempt, NO_SLOT)

    def _time_out(self, attempt: Attempt) -> None:
        attempt.stopped = "timed_out"
        if attempt.is_async and attempt.runner is not None:
            attempt.runner.cancel(attempt)
            attempt.timer = self._loop.call_later(ASYNC_GRACE_SECONDS, self._kill_for, attempt)
        else:
            self._kill_for(attempt)

    def _kill_for(self, attempt: Attempt) -> None:
        """Nothing but the end of its runner ends it. One behind others has not begun: it can wait."""
        runner = attempt.runner
        if attempt.phase is Phase.ENDED or runner is None:
            return
        if attempt.phase is Phase.SENT and not attempt.head_at:
            attempt.timer = self._loop.call_later(LONG_SECONDS, self._kill_for, attempt)
        else:
            runner.kill(f"a step in it was stopped ({attempt.stopped})")

    async def _end_stopped(self, attempt: Attempt, runner: Runner, outcome: Outcome) -> None:
        """It ended when asked to. It is over when none of its processes is left."""
        if runner.killed or await runner.others_alive():
            runner.state = max(runner.state, RunnerState.RETIRING)
            self._call_off_queue(runner, RUNNER_ENDED)
            with suppress(TimeoutError):
                async with asyncio.timeout(NEIGHBOUR_SECONDS):
                    await runner.wait_alone()
            runner.kill(f"a step in it was stopped ({attempt.stopped}) and left a process behind")
            await runner.wait_gone()
        self._finish(attempt, outcome)

    def _no_permit(self, attempt: Attempt) -> None:
        if attempt.phase is Phase.CLAIMED:
            self.pool.withdraw(attempt)
            self._release(attempt, NO_PERMIT)

    def _log(self, attempt: Attempt, lines: Any, size: int) -> None:
        for _, level, stream, text, _ in lines:
            if type(text) is not str or type(level) is not str or type(stream) is not str:
                raise TypeError("a log line is [at, level, stream, text, fields]")
        attempt.log.add(lines, size)
        if self.shipper.full and attempt.runner is not None:
            attempt.runner.pause()
            self.shipper.when_room(attempt.runner.resume)

    def _progress(self, attempt: Attempt, params: dict[str, Any]) -> None:
        task, total = attempt.task, params.get("total")
        self.reporter.progress(
            Progress(
                task.run_id,
                task.key,
                task.token,
                float(params["done"]),
                float(total) if total is not None else None,
                attempt.masker.text(str(params.get("text") or ""))[:1024],
                self._clock.now(),
            )
        )

    def _release(self, attempt: Attempt, reason: str) -> None:
        self._end(attempt)
        task = attempt.task
        released = Released(task.run_id, task.key, task.token, self._worker, self._clock.now(), reason)
        attempt.log.end(partial(self.reporter.submit, released, attempt))

    def _finish(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.phase is Phase.ENDED:
            return
        self._end(attempt)
        task, now = attempt.task, self._clock.now()
        finished = Finished(
            task.run_id,
            task.key,
            task.token,
            self._worker,
            outcome.status,
            now,
            attempt.begun_at or now,
            outcome.output,
            outcome.error,
            tuple(attempt.artifacts),
            attempt.state_writes if outcome.status == "succeeded" else {},
            attempt.log.whole(),
        )
        if finished.log is not None:
            self.reporter.submit(finished, attempt)
        else:
            attempt.log.end(partial(self.reporter.submit, finished, attempt))

    def _end(self, attempt: Attempt) -> None:
        attempt.phase = Phase.ENDED
        attempt.stop_timer()
        self._young.pop(attempt, None)
