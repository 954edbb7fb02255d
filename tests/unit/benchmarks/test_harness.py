"""The arithmetic of the benchmarks: medians, ratios, goals, turns."""

from __future__ import annotations

from benchmarks.harness import Goal, in_turn, metric


def test_the_ratio_is_that_of_the_medians_ours_divided_by_the_peers() -> None:
    found = metric("b", "runs/s", Goal(2.5, at_least=True, times=True), [10.0, 30.0, 20.0], "celery", [8.0, 1.0, 9.0])
    assert (found.ours, found.peer_value, found.ratio, found.met) == (20.0, 8.0, 2.5, True)


def test_a_goal_without_a_peer_is_held_against_our_own_figure() -> None:
    assert metric("b", "ms", Goal(3, at_least=False), [2.9]).met
    assert not metric("b", "ms", Goal(3, at_least=False), [3.1]).met


def test_a_goal_on_a_ratio_is_missed_when_there_is_no_peer() -> None:
    assert not metric("b", "runs/s", Goal(1, at_least=True, times=True), [100.0]).met


def test_rounds_take_turns() -> None:
    order: list[str] = []

    def note(name: str) -> float:
        order.append(name)
        return 1.0

    found = in_turn({"a": lambda: note("a"), "b": lambda: note("b")}, rounds=2)
    assert order == ["a", "b", "a", "b"]
    assert found == {"a": [1.0, 1.0], "b": [1.0, 1.0]}
