"""What a long backlog costs: counted in steps of the database's own machine, which no busy computer changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from monjolo.domains.runs import dispatch, slots
from monjolo.storage.migrate import prepare
from monjolo.storage.sqlite import connect

MINUTE = 60_000_000
NOW = 1_000 * MINUTE


def _steps_of(connection: sqlite3.Connection, work: Callable[[], object]) -> int:
    """In thousands of instructions, undone afterwards."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    connection.execute("BEGIN IMMEDIATE")
    connection.set_progress_handler(count, 1_000)
    try:
        work()
    finally:
        connection.set_progress_handler(None, 0)
        connection.execute("ROLLBACK")
    return counted


def _fill(connection: sqlite3.Connection, backlog: int) -> None:
    """Ready tasks of ten flows and three priorities, and as many runs that wait for one place."""
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO runs (id, workspace_id, number, flow_id, flow, version, status, seed, trigger_type, trigger,"
        " inputs, labels, context, head, root_run_id, created_at)"
        " VALUES (?, 'w', ?, ?, 'f', 1, 'running', 0, 'manual', '{}', '{}', '{}', '{}', '{}', ?, 0)",
        [(f"r{n:07}", n, f"f{n % 10}", f"r{n:07}") for n in range(backlog)],
    )
    connection.executemany(
        "INSERT INTO tasks (run_id, key, token, attempt, flow_id, worker_group, state, priority, inputs, ready_at,"
        " queue_at) VALUES (?, 'a', 1, 1, ?, 'g', 'ready', ?, '{}', ?, ?)",
        [(f"r{n:07}", f"f{n % 10}", 40 + n % 3 * 10, n, n - (40 + n % 3 * 10) * MINUTE) for n in range(backlog)],
    )
    connection.executemany(
        "INSERT INTO slots (run_id, key, workspace_id, slot_key, state, slot_limit, asked_at, queue_at)"
        " VALUES (?, '', 'w', 's', 'waiting', 1, ?, ?)",
        [(f"r{n:07}", n, n - 50 * MINUTE) for n in range(backlog)],
    )
    connection.execute("COMMIT")


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[int, int]]:
    """By the length of the backlog: what a refill of 200 tasks costs, and a place that is handed on."""
    found = {}
    for backlog in (2_000, 100_000):
        path: Path = tmp_path_factory.mktemp("backlog") / "monjolo.db"
        prepare(path, 0)
        connection = connect(path)
        _fill(connection, backlog)
        refill = _steps_of(connection, lambda: dispatch._next_round(connection, "g", "f4", 200, NOW))  # noqa: B023
        grant = _steps_of(
            connection,
            lambda: [slots._grant(connection, "w", "s") for _ in range(100)],  # noqa: B023
        )
        found[backlog] = (refill, grant)
        connection.close()
    return found


def test_a_refill_from_a_hundred_thousand_tasks_costs_what_one_from_two_thousand_does(costs) -> None:
    assert costs[2_000][0] > 0
    assert costs[100_000][0] <= costs[2_000][0] * 1.2


def test_a_place_is_handed_on_at_the_same_cost_however_many_wait(costs) -> None:
    assert costs[2_000][1] > 0
    assert costs[100_000][1] <= costs[2_000][1] * 1.2
