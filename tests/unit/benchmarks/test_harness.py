"""The arithmetic of the benchmarks: medians, ratios, goals, turns."""

from __future__ import annotations

from typing import Self

import pytest
from benchmarks.harness import Goal, in_turn, metric
from benchmarks.peers import ABSENT, Peer, PeerMissing, absent


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


def test_a_figure_without_a_goal_is_never_missed() -> None:
    found = metric("b", "s", None, [5.0], "n8n", [2.0])
    assert (found.goal, found.met, found.ratio) == ("", True, 2.5)


def test_a_peer_that_cannot_be_had_is_named_and_the_others_go_on() -> None:
    def none_here() -> Peer:
        raise PeerMissing("it needs a server")

    ABSENT.clear()
    with absent("lost", none_here) as peer:
        assert peer is None
    assert ABSENT == {"lost": "it needs a server"}
    ABSENT.clear()


class Here:
    """A peer that is there and does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was started."""


def test_a_fault_while_a_peer_is_measured_is_not_taken_for_its_absence() -> None:
    with pytest.raises(RuntimeError, match="broke"), absent("there", Here):
        raise RuntimeError("it broke")
    assert ABSENT == {}
