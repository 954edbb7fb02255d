"""Leases: believed for their time, judged only when the silence cannot have been ours."""

from __future__ import annotations

from monjolo.domains.runs.leases import LEASE, Leases
from monjolo.kit.time import SECOND

NAME = ("run", "a", 1)


def _looked(leases: Leases, until: int, since: int = 0) -> list[tuple[str, str, int]]:
    lost = []
    for now in range(since, until + 1, 5 * SECOND):
        lost = leases.expired(now)
    return lost


def test_a_lease_that_is_not_renewed_runs_out_after_its_time() -> None:
    leases = Leases()
    leases.grant(NAME, 0)
    assert _looked(leases, LEASE) == []
    assert leases.expired(LEASE + SECOND) == [NAME]


def test_a_renewed_lease_goes_on_and_an_ended_one_is_not_renewed() -> None:
    leases = Leases()
    leases.grant(NAME, 0)
    leases.renew([NAME, ("other", "a", 1)], 20 * SECOND)
    assert _looked(leases, LEASE + 5 * SECOND) == []
    leases.end([NAME])
    leases.renew([NAME], 60 * SECOND)
    assert len(leases) == 0


def test_after_a_gap_of_ours_and_a_clock_set_back_all_get_their_time_again() -> None:
    leases = Leases()
    leases.grant(NAME, 0)
    leases.expired(0)
    assert leases.expired(3_600 * SECOND) == []
    assert _looked(leases, 3_600 * SECOND + LEASE, 3_600 * SECOND) == []
    assert leases.expired(10 * SECOND) == []
    assert _looked(leases, 10 * SECOND + LEASE, 10 * SECOND) == []
