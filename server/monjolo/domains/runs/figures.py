"""The figures that runs leave in the metrics."""

from __future__ import annotations

from monjolo.domains.runs.changes import Changes
from monjolo.observability.metrics import Metrics


class RunFigures:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def run_changed(self, changes: Changes) -> None:
        if changes.row is not None:
            self._metrics.runs_accepted.labels(changes.entry.trigger_type).inc()
            self._metrics.runs_live.inc()
        if changes.ended and changes.head is not None:
            self._metrics.runs_finished.labels(str(changes.head.status)).inc()
            self._metrics.runs_live.dec()
        for attempt in changes.attempts:
            if attempt[9] is not None:
                self._metrics.attempts_finished.labels(attempt[4]).inc()
                if attempt[8] is not None:
                    self._metrics.start_wait.observe(max(0, attempt[8] - attempt[7]) / 1_000_000)
