"""How many runs come: counted once for flows that keep the same hours, and never without an end."""

from __future__ import annotations

from monjolo.domains.reports.forecast import MOST_FOR_ONE, Forecast
from monjolo.kit import json
from monjolo.kit.ids import lowest_id, new_id
from monjolo.kit.time import HOUR, MINUTE, SECOND, SystemClock, from_rfc3339

NOW = from_rfc3339("2026-03-01T10:10:00Z")
EDGES = [NOW, *(NOW - 10 * MINUTE + hour * HOUR for hour in range(1, 5))]  # the rest of this hour, then three more


def every(text: str) -> str:
    return str(json.dumps({"type": "interval", "every": text, "id": new_id()}))


def cron(text: str) -> str:
    return str(json.dumps({"type": "schedule", "cron": text, "timezone": "UTC", "id": new_id()}))


def test_each_instant_is_in_the_span_it_falls_into() -> None:
    found, whole = Forecast().spans([(cron("*/30 * * * *"), 0)], NOW, EDGES)
    assert (found, whole) == ([1, 2, 2, 2], True)


def test_an_instant_on_an_edge_belongs_to_what_begins_there() -> None:
    found, _ = Forecast().spans([(cron("0 * * * *"), 0)], NOW, EDGES)
    assert found == [0, 1, 1, 1]


def test_intervals_count_from_their_own_start() -> None:
    found, _ = Forecast().spans([(every("2h"), NOW - HOUR), (every("2h"), NOW - 30 * MINUTE)], NOW, EDGES)
    assert found == [0, 2, 0, 2]


def test_a_second_look_later_says_what_a_first_look_there_would() -> None:
    triggers = [(cron("*/7 * * * *"), 0), (every("11m"), NOW - 5 * MINUTE), (cron("0 3 * * *"), 0)]
    kept = Forecast()
    for minutes in range(0, 300, 13):
        now = NOW + minutes * MINUTE
        edges = [now, *(now + hour * HOUR for hour in range(1, 9))]
        assert kept.spans(triggers, now, edges) == Forecast().spans(triggers, now, edges)


def test_a_schedule_of_every_second_is_cut_and_says_so() -> None:
    edges = [NOW, NOW + 10 * HOUR]
    found, whole = Forecast().spans([(every("1s"), NOW)], NOW, edges)
    assert whole is False
    assert MOST_FOR_ONE - 1 <= found[0] <= MOST_FOR_ONE


def test_a_zone_that_is_gone_never_fires() -> None:
    config = json.dumps({"type": "schedule", "cron": "* * * * *", "timezone": "Mars/Olympus"})
    assert Forecast().spans([(str(config), 0)], NOW, EDGES) == ([0, 0, 0, 0], True)


def test_ids_made_now_are_not_below_the_lowest_of_this_moment() -> None:
    now = SystemClock().now()
    assert lowest_id(now) <= new_id() < lowest_id(now + 60 * SECOND)
