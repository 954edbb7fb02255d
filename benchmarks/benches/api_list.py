"""Pages of fifty runs from a history of a million, asked for by eight clients, beside n8n's list of executions."""

from __future__ import annotations

from typing import Any

from benchmarks.benches.growth import MANY, with_history
from benchmarks.harness import ROUNDS, Goal, Metric, metric, say
from benchmarks.peers import absent
from benchmarks.peers_n8n import N8n
from benchmarks.platform import Platform

CLIENTS, PAGES, N8N_PAGES, N8N_EXECUTIONS = 8, 2_000, 400, 300
PLAIN = ["limit=50"]
FILTERED = [
    "limit=50&status=succeeded",
    "limit=50&status=failed,crashed",
    "limit=50&flow=seldom",
    "limit=50&flow=often&status=succeeded",
    "limit=50&flow=often&status=failed",
    "limit=50&flow=seldom&status=running,queued,waiting",
    "limit=50&trigger=manual",
]

Found = dict[str, list[float]]


def measure() -> list[Metric]:
    found: Found = {}
    with Platform() as ours, absent("n8n", N8n) as n8n:
        with_history(ours, MANY)
        if n8n is not None:
            n8n.throughput(N8N_EXECUTIONS)
        for number in range(ROUNDS):
            _add(found, "plain", _pages(ours, PLAIN))
            _add(found, "filtered", _pages(ours, FILTERED))
            if n8n is not None:
                _add(found, "n8n", n8n.pages(N8N_PAGES, CLIENTS))
            say(f"  round {number + 1}: " + ", ".join(f"{name} {values[-1]:.4g}" for name, values in found.items()))
    rate, late = found.get("n8n_per_second", []), found.get("n8n_p99_ms", [])
    goal = Goal(5, True, True) if rate else None
    return [
        metric("list_50_of_1000000", "requests/s", goal, found["plain_per_second"], "n8n" if rate else None, rate),
        metric("list_p99", "ms", Goal(50, False), found["plain_p99_ms"], "n8n" if late else None, late),
        metric("list_filtered", "requests/s", None, found["filtered_per_second"]),
        metric("list_filtered_p99", "ms", Goal(50, False), found["filtered_p99_ms"]),
    ]


def _pages(ours: Platform, queries: list[str]) -> dict[str, Any]:
    requests = [("GET", f"/api/v1/runs?{query}", None) for query in queries]
    return ours.load(kind="ask", requests=requests, connections=CLIENTS, count=PAGES)


def _add(found: Found, name: str, measured: dict[str, Any]) -> None:
    for key, value in measured.items():
        found.setdefault(f"{name}_{key}", []).append(float(value))
