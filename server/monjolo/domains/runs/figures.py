"""The figures that runs leave in the metrics."""

from __future__ import annotations

from collections import Counter
from typing import Any

from monjolo.domains.runs.changes import Changes
from monjolo.observability.metrics import Metrics

_QUEUED_AT, _STARTED_AT, _FINISHED_AT, _STATUS = 7, 8, 9, 4  # columns of an attempt's row


class RunFigures:
    """Counts while runs move, and tells the metrics when somebody reads them: a run must not pay for that."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._accepted: Counter[str] = Counter()
        self._finished: Counter[str] = Counter()
        self._attempts: Counter[str] = Counter()
        metrics.before_reading(self._tell)

    def run_changed(self, changes: Changes) -> None:
        if changes.row is not None:
            self._accepted[changes.entry.trigger_type] += 1
        if changes.ended and changes.head is not None:
            self._finished[changes.head.status] += 1
        for attempt in changes.attempts:
            self._count(attempt)

    def _count(self, attempt: Any) -> None:
        if attempt[_FINISHED_AT] is None:
            return
        self._attempts[attempt[_STATUS]] += 1
        if attempt[_STARTED_AT] is not None:
            self._metrics.start_wait.observe(max(0, attempt[_STARTED_AT] - attempt[_QUEUED_AT]) / 1_000_000)

    def _tell(self) -> None:
        live = sum(self._accepted.values()) - sum(self._finished.values())
        self._metrics.runs_live.inc(live)
        for trigger, number in self._accepted.items():
            self._metrics.runs_accepted.labels(trigger).inc(number)
        for status, number in self._finished.items():
            self._metrics.runs_finished.labels(str(status)).inc(number)
        for status, number in self._attempts.items():
            self._metrics.attempts_finished.labels(status).inc(number)
        for counted in (self._accepted, self._finished, self._attempts):
            counted.clear()
