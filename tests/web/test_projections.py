"""Time left and cost, each with an interval that says how sure it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penstock.web.projections import cost_of_all, over_time, rate_of, time_left

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def seconds(counts: list[int]) -> dict[str, int]:
    return {
        (BEGAN + timedelta(seconds=at)).isoformat()[:19]: count
        for at, count in enumerate(counts)
        if count
    }


def test_a_steady_study_is_known_to_the_second_and_an_unsteady_one_is_not() -> None:
    steady = time_left(600, rate_of(seconds([10] * 60), BEGAN + timedelta(seconds=60)))
    unsteady = time_left(600, rate_of(seconds([5] * 20 + [15] * 40), BEGAN + timedelta(seconds=32)))

    assert steady is not None
    assert (steady.low, steady.likely, steady.high) == (60, 60, 60)
    assert unsteady is not None
    assert unsteady.high is not None
    assert unsteady.low < unsteady.likely < unsteady.high


def test_the_rate_is_that_of_late_and_not_of_the_beginning() -> None:
    counts = seconds([100] * 500 + [10] * 500)

    assert set(rate_of(counts, BEGAN + timedelta(seconds=1000))) == {10}


def test_nothing_is_said_of_a_study_that_stands_still_or_has_just_begun() -> None:
    later = BEGAN + timedelta(hours=2)

    assert time_left(10, rate_of(seconds([5]), later)) is None
    assert time_left(10, rate_of({}, later)) is None
    assert time_left(0, [1.0, 1.0]) is None


def test_a_rate_that_may_be_nothing_has_no_longest_time() -> None:
    found = time_left(100, [0.0, 0.0, 0.0, 9.0])

    assert found is not None
    assert found.high is None


@pytest.mark.parametrize(
    ("lasts_s", "step_s"), [(1, 1), (120, 1), (121, 2), (3_600, 60), (36_000, 300)]
)
def test_runs_over_time_stand_in_no_more_than_120_stretches(lasts_s: int, step_s: int) -> None:
    counts = [at % 3 for at in range(1, lasts_s + 1)]
    step, found = over_time(seconds(counts), BEGAN + timedelta(seconds=lasts_s - 1))

    assert step == step_s
    assert sum(found) == sum(counts)
    assert len(found) <= 120


def test_what_ended_before_the_clock_says_so_is_in_the_last_stretch() -> None:
    _, found = over_time(seconds([1, 1, 5]), BEGAN)

    assert sum(found) == 7


def test_the_cost_of_the_whole_is_forecast_from_what_runs_cost() -> None:
    even = cost_of_all(10.0, (100, 10.0, 1.0), done=100, remaining=300)
    uneven = cost_of_all(10.0, (100, 10.0, 2.0), done=100, remaining=300)

    assert even is not None
    assert even.likely == pytest.approx(40.0)
    assert even.low == pytest.approx(40.0)
    assert uneven is not None
    assert uneven.high is not None
    assert uneven.low < 40.0 < uneven.high
    assert uneven.high - 40.0 == pytest.approx(1.96 * 0.1 * (300 + 900) ** 0.5)


@pytest.mark.parametrize("known", [(0, 0.0, 0.0), (1, 1.0, 1.0), (3, 0.0, 0.0)])
def test_nothing_is_forecast_where_no_cost_is_known(known: tuple[int, float, float]) -> None:
    found = cost_of_all(0.0, known, done=3, remaining=5)

    assert found is None
