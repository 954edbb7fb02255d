"""The judge of the fault tests must see each breach: a judge that sees none would always report zero."""

from __future__ import annotations

from tests.chaos import judge
from tests.chaos.sink import Told

RUNS = {"r1": {"status": "succeeded"}, "r2": {"status": "running"}}


def told(at: float, what: str, run: str = "r1", step: str = "a", attempt: int = 1, key: str = "r1:a") -> Told:
    return Told(at, what, run, step, attempt, key)


def test_a_run_that_has_not_ended_and_one_that_is_nowhere_are_lost() -> None:
    breaches, lost = judge.accepted_and_ended({"k1": "r1", "k2": "r2", "k3": "r3"}, RUNS)
    assert lost == ["r2", "r3"]
    assert len(breaches) == 2


def test_a_run_that_no_key_was_answered_with_and_a_run_for_two_keys_are_breaches() -> None:
    assert judge.accepted_and_ended({}, {"r1": RUNS["r1"]})[0] == ["a run that no key was answered with: r1"]
    assert judge.accepted_and_ended({"k1": "r1", "k2": "r1"}, RUNS)[0][0] == "one run for two keys: r1"


def test_success_without_an_effect_is_a_breach() -> None:
    assert judge.effects(RUNS, [told(1, "start")], ["a"]) == ["succeeded without the effect of a: r1"]
    assert judge.effects(RUNS, [told(1, "effect")], ["a"]) == []


def test_a_second_start_is_seen() -> None:
    twice = [told(1, "start"), told(2, "start", attempt=2)]
    assert judge.started_twice(twice, ["a"]) == ["a of r1 started 2 times"]
    assert judge.started_twice(twice[:1], ["a"]) == []


def test_two_keys_of_one_step_and_one_key_of_two_steps_are_breaches() -> None:
    assert len(judge.keys([told(1, "start"), told(2, "start", key="other")])) == 1
    assert len(judge.keys([told(1, "start"), told(1, "start", step="b")])) == 1


def test_a_takeover_is_counted_from_the_kill_that_cut_the_start_off() -> None:
    assert judge.takeovers([told(1, "start"), told(9, "start", attempt=2)], [3.0], []) == [6.0]
    assert judge.takeovers([told(1, "start"), told(2, "failed"), told(9, "start", attempt=2)], [3.0], []) == []


def test_a_log_may_lack_two_seconds_before_the_kill_and_no_more() -> None:
    said = [(number, number / 10) for number in range(1, 101)]
    assert judge.log_prefix(said, False, range(1, 101)) == (0.0, None)
    assert judge.log_prefix(said, False, range(1, 91))[1] is None
    assert judge.log_prefix(said, False, range(1, 71))[1] is not None
    assert judge.log_prefix(said, False, [1, 3])[1] == "lines are not contiguous: line 3 stands at place 2"
    assert judge.log_prefix(said, True, range(1, 100))[1] is not None
