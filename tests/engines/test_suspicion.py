"""Which runs are taken for the reason why workers end."""

from __future__ import annotations

from math import inf, log2

import pytest

from penstock.engines.suspicion import Suspicions


def test_a_run_at_two_ends_shares_a_worker_with_half_as_many_until_it_is_alone() -> None:
    suspicions = Suspicions()
    suspicions.note_end(range(8))
    assert suspicions.most_beside(0) == inf
    suspicions.note_end(range(8))
    assert suspicions.most_beside(0) == 4
    suspicions.note_end(range(4))
    assert (suspicions.most_beside(0), suspicions.most_beside(7)) == (2, 4)
    suspicions.note_end(range(2))
    assert suspicions.most_beside(0) == 1


def test_a_run_is_the_reason_after_three_ends_alone_in_a_row() -> None:
    suspicions = Suspicions()
    for _ in range(2):
        suspicions.note_end([1])
        suspicions.note_end([2])

    assert not suspicions.is_culprit(1)
    suspicions.note_end([1])
    assert suspicions.is_culprit(1)
    assert not suspicions.is_culprit(2)


def test_where_workers_with_other_runs_end_too_a_run_is_the_reason_only_after_six_ends() -> None:
    suspicions = Suspicions()
    for _ in range(5):
        suspicions.note_end([1])
        suspicions.note_end([2, 3])

    assert not suspicions.is_culprit(1)
    suspicions.note_end([1])
    assert suspicions.is_culprit(1)


def test_a_run_that_has_ended_by_itself_is_not_suspected() -> None:
    suspicions = Suspicions()
    for _ in range(3):
        suspicions.note_end([1])

    suspicions.clear(1)
    assert not suspicions.is_culprit(1)
    assert suspicions.most_beside(1) == inf


@pytest.mark.parametrize("in_flight", [1, 2, 3, 8, 100, 1000])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_the_run_that_ends_its_workers_is_found_among_any_number_and_no_other_accused(
    in_flight: int, place: float
) -> None:
    suspicions, left = Suspicions(), list(range(in_flight))
    poison, ends = int(place * (in_flight - 1)), 0
    while not suspicions.is_culprit(poison):
        together: list[int] = []
        for position in left:
            if len(together) < suspicions.least([*together, position]):
                together.append(position)

        if poison in together:
            suspicions.note_end(together)
            ends += 1
        else:
            for position in together:
                suspicions.clear(position)
                left.remove(position)

        left.append(left.pop(0))  # whoever is first next time
        assert not any(suspicions.is_culprit(each) for each in range(in_flight) if each != poison)

    assert ends <= 5 + log2(in_flight)
