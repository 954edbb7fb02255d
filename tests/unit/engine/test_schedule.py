"""What becomes of the instants of a schedule once the clock has passed them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monjolo.engine.schedule import (
    LISTED,
    Due,
    Jitter,
    Misfire,
    MisfirePolicy,
    TickStatus,
    ascending,
    descending,
    due,
)
from monjolo.engine.types import SECOND

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def every_minute(after: int) -> int:
    return (after // MINUTE + 1) * MINUTE


def decide(now: int, policy: MisfirePolicy, first: int = 0, **more: object) -> Due:
    return due(every_minute, first, now, policy, **more)  # type: ignore[arg-type]


def statuses(what: Due) -> dict[str, int]:
    found: dict[str, int] = {}
    for tick in what.ticks:
        found[tick.status] = found.get(tick.status, 0) + 1
    return found


def test_an_instant_on_time_runs_and_is_not_late() -> None:
    what = decide(200_000, MisfirePolicy(), first=0)
    assert [(t.instant, t.status, t.late) for t in what.ticks] == [(0, TickStatus.RAN, False)]
    assert what.next_instant == MINUTE


def test_an_instant_within_the_grace_runs_whatever_the_policy_and_is_marked_late() -> None:
    for misfire in Misfire:
        what = decide(40 * SECOND, MisfirePolicy(misfire), first=0)
        assert [(t.status, t.late) for t in what.ticks] == [(TickStatus.RAN, True)]


def test_before_its_time_nothing_happens() -> None:
    assert decide(-1, MisfirePolicy(), first=0) == Due((), 0)


def test_six_hours_away_with_skip_start_nothing_and_account_for_all() -> None:
    what = decide(6 * HOUR + 5 * SECOND, MisfirePolicy(Misfire.SKIP), first=MINUTE)
    assert statuses(what) == {"skipped": 360}


def test_six_hours_away_with_last_start_the_newest_only() -> None:
    what = decide(6 * HOUR + 5 * SECOND, MisfirePolicy(Misfire.LAST), first=MINUTE)
    assert statuses(what) == {"coalesced": 359, "ran": 1}
    assert what.ticks[-1].instant == 6 * HOUR
    assert what.ticks[-1].status is TickStatus.RAN


def test_six_hours_away_with_all_start_the_newest_up_to_the_limit() -> None:
    for maximum, ran in ((100, 100), (1000, 360)):
        what = decide(6 * HOUR + 5 * SECOND, MisfirePolicy(Misfire.ALL, maximum=maximum), first=MINUTE)
        assert sum(t.status is TickStatus.RAN for t in what.ticks) == ran
        assert sum(t.status is TickStatus.MISSED for t in what.ticks) == 360 - ran
        assert [t.instant for t in what.ticks] == [n * MINUTE for n in range(1, 361)]


def test_an_end_is_respected() -> None:
    what = due(lambda after: None, 0, 10, MisfirePolicy())
    assert what.next_instant is None
    assert len(what.ticks) == 1


def test_a_clock_that_leapt_years_lists_the_newest_and_names_the_gap() -> None:
    years = 20 * 365 * 24 * HOUR
    for misfire, ran in ((Misfire.SKIP, 0), (Misfire.LAST, 1), (Misfire.ALL, 100)):
        what = decide(years + 5 * SECOND, MisfirePolicy(misfire), first=0)
        assert len(what.ticks) <= LISTED + 1
        assert sum(t.status is TickStatus.RAN for t in what.ticks) == ran
        assert what.ticks[0].reason == "and_all_until_the_next_tick"
        assert what.next_instant == years + MINUTE
        instants = [t.instant for t in what.ticks]
        assert instants == sorted(set(instants))


def test_jitter_delays_within_its_bound_and_is_the_same_each_time() -> None:
    jitter = Jitter(30 * SECOND, "seed")
    delays = [jitter.fires_at(n * MINUTE) - n * MINUTE for n in range(500)]
    assert all(0 <= delay < 30 * SECOND for delay in delays)
    assert len(set(delays)) > 400
    assert delays == [Jitter(30 * SECOND, "seed").fires_at(n * MINUTE) - n * MINUTE for n in range(500)]


def test_an_instant_waits_for_its_jitter_and_its_tick_keeps_the_nominal_time() -> None:
    jitter = Jitter(30 * SECOND, "seed")
    fires_at = jitter.fires_at(0)
    assert decide(fires_at - 1, MisfirePolicy(), jitter=jitter).ticks == ()
    what = decide(fires_at, MisfirePolicy(), jitter=jitter)
    assert [(t.instant, t.late) for t in what.ticks] == [(0, False)]


@given(
    st.integers(0, 3_000), st.integers(0, 59), st.sampled_from(list(Misfire)), st.integers(1, 200),
    st.integers(0, 5),
)  # fmt: skip
def test_each_instant_is_accounted_for_once_whatever_the_policy(
    minutes: int, seconds: int, misfire: Misfire, maximum: int, grace_minutes: int
) -> None:
    policy = MisfirePolicy(misfire, grace_minutes * MINUTE, maximum)
    what = decide(minutes * MINUTE + seconds * SECOND, policy, first=0)
    assert [t.instant for t in what.ticks] == [n * MINUTE for n in range(minutes + 1)]
    assert what.next_instant == (minutes + 1) * MINUTE
    assert sum(t.status is TickStatus.RAN for t in what.ticks) <= maximum


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=30), st.sampled_from(list(Misfire)))
def test_looking_often_or_seldom_the_instants_are_the_same(steps: list[int], misfire: Misfire) -> None:
    policy = MisfirePolicy(misfire)
    now, instant = 0, 0
    seen: list[int] = []
    for step in steps:
        now += step * SECOND
        what = decide(now, policy, first=instant)
        seen += [t.instant for t in what.ticks]
        assert what.next_instant is not None
        instant = what.next_instant
    assert seen == [n * MINUTE for n in range(now // MINUTE + 1)]


def test_the_instants_of_a_span_are_the_same_forwards_and_backwards() -> None:
    for every, least in ((SECOND, 5), (7 * SECOND, 100), (3_600 * SECOND, 0), (40 * 86_400 * SECOND, 3)):
        span = (every * 3 + 1, every * 1_000)

        def following(after: int, every: int = every) -> int:
            return (after // every + 1) * every

        forwards, low = [], span[0]
        while chunk := ascending(following, low, span[1], 90 + least):
            forwards += chunk
            low = chunk[-1] + 1
        backwards, high = [], span[1]
        while chunk := descending(following, span[0], high, 90 + least):
            assert len(chunk) <= 90 + least
            backwards += chunk
            high = chunk[-1]
        assert forwards == backwards[::-1] == list(range(every * 4, every * 1_000, every))


def test_a_crowded_month_before_eleven_empty_ones_is_walked_backwards_in_small_pieces() -> None:
    month, year = 30 * 86_400 * SECOND, 360 * 86_400 * SECOND
    asked = 0

    def following(after: int) -> int:
        nonlocal asked
        asked += 1
        instant = (after // (60 * SECOND) + 1) * 60 * SECOND
        return instant if instant % year < month else (instant // year + 1) * year

    newest = descending(following, 0, year, 100)
    assert newest[0] == month - 60 * SECOND
    assert 1 <= len(newest) <= 100
    assert asked < 10_000
