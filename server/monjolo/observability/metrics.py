"""The platform's own figures, in the text format of Prometheus. One registry, handed in; no globals."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WAIT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """Label values come from closed sets (statuses, templates of routes, groups), never from a request."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._before: list[Callable[[], None]] = []
        self._requests = Histogram(
            "monjolo_http_request_seconds",
            "Time until an answer was sent",
            ("method", "route", "status"),
            registry=registry,
            buckets=_REQUEST_BUCKETS,
        )
        self._known: dict[tuple[str, str, int], Histogram] = {}
        self.runs_accepted = Counter(
            "monjolo_runs_accepted", "Runs accepted, by what started them", ("trigger",), registry=registry
        )
        self.runs_finished = Counter(
            "monjolo_runs_finished", "Runs that ended, by status", ("status",), registry=registry
        )
        self.attempts_finished = Counter(
            "monjolo_attempts_finished", "Task attempts that ended, by status", ("status",), registry=registry
        )
        self.start_wait = Histogram(
            "monjolo_task_start_wait_seconds",
            "From a task being ready to its start on a worker",
            registry=registry,
            buckets=_WAIT_BUCKETS,
        )
        self.tasks_ready = Gauge("monjolo_tasks_ready", "Tasks waiting for a worker", ("group",), registry=registry)
        self.runs_live = Gauge("monjolo_runs_live", "Runs that have not ended", registry=registry)
        self.workers = Gauge("monjolo_workers", "Workers heard of lately", registry=registry)
        self.ticks = Counter(
            "monjolo_ticks", "Due instants of schedules, by what came of them", ("status",), registry=registry
        )

    def measure_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request; `route` is the template of the matched route."""
        key = (method if method in _METHODS else "other", route, status)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._requests.labels(key[0], route, str(status))
        known.observe(seconds)

    def before_reading(self, tell: Callable[[], None]) -> None:
        """For figures that are gathered cheaply and told only when somebody reads."""
        self._before.append(tell)

    def exposition(self) -> tuple[bytes, str]:
        """All figures as text, and its content type."""
        for tell in self._before:
            tell()
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4
