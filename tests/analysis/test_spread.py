from __future__ import annotations

import numpy as np
import pytest

from penstock.analysis.spread import Spread, declared_spread, pilot_spread
from penstock.study.hypotheses import ExpectedVariance
from tests.analysis.samples import sample_of

LESS = {1: 1.0, 0: -1.0}


def pilot(replicates: int = 4, problems: int = 200, *, sd: float = 1.0) -> Spread:
    """A pilot in which conditions differ between problems with variance 1, replicates with sd²."""
    rng = np.random.default_rng(1)
    effects = rng.normal(size=(2, problems, 1))
    values = effects + rng.normal(scale=sd, size=(2, problems, replicates))
    found = pilot_spread(sample_of(dict(zip("ab", values.tolist(), strict=True))), LESS)
    assert isinstance(found, Spread)
    return found


def test_replicates_and_problems_are_told_apart() -> None:
    found = pilot(replicates=4, sd=2.0)

    assert found.variance == pytest.approx(2 * (1 + 4 / 4), rel=0.2)
    assert found.replicate == pytest.approx(2 * 4, rel=0.1)
    assert found.standard_error(50, None) ** 2 * 50 == pytest.approx(2, rel=0.35)
    assert found.standard_error(50, 1) ** 2 * 50 == pytest.approx(2 * (1 + 4), rel=0.15)


def test_limits_hold_the_variance_and_come_closer_with_more_problems() -> None:
    few, many = pilot(problems=10), pilot(problems=500)

    for each in (few, many):
        assert each.limits[0] < each.variance < each.limits[1]

    assert many.limits[1] / many.limits[0] < few.limits[1] / few.limits[0]


def test_outliers_make_the_limits_wider() -> None:
    even = sample_of({"a": [[0.0]] * 20, "b": [[float(at)] for at in range(20)]})
    odd = sample_of({"a": [[0.0]] * 20, "b": [[float(at) ** 6] for at in range(20)]})
    of_even, of_odd = pilot_spread(even, LESS), pilot_spread(odd, LESS)

    assert isinstance(of_even, Spread)
    assert isinstance(of_odd, Spread)
    assert of_odd.limits[1] / of_odd.variance > of_even.limits[1] / of_even.variance


def test_one_replicate_cannot_be_told_from_its_problem() -> None:
    found = pilot(replicates=1)

    assert (found.replicate, found.replicate_part) == (None, None)


def test_what_runs_of_other_numbers_tell_is_weighed_by_their_numbers() -> None:
    table = {"a": [[0.0, 2.0], [5.0]], "b": [[0.0, 2.0, 4.0], [9.0, 11.0]]}
    found = pilot_spread(sample_of(table), LESS)

    assert isinstance(found, Spread)
    of_a, of_b = 2.0, (8.0 + 2.0) / 3
    assert found.replicate == pytest.approx(of_a + of_b)
    assert found.replicate_part == pytest.approx(
        of_a * (1 / 2 + 1) / 2 + of_b * (1 / 3 + 1 / 2) / 2
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"a": [[1.0, 2.0]], "b": [[2.0, 2.0]]}, "one problem"),
        ({"a": [[1.0], [None]], "b": [[2.0], [3.0]]}, "fewer than two problems"),
        ({"a": [[1.0], [2.0]], "b": [[2.0], [3.0]]}, "no variation"),
    ],
)
def test_a_pilot_that_does_not_tell_has_a_sentence(
    table: dict[str, list[list[float]]], said: str
) -> None:
    found = pilot_spread(sample_of(table), LESS)

    assert isinstance(found, str)
    assert said in found


def test_declared_components_are_a_spread_without_limits() -> None:
    declared = ExpectedVariance(problem_condition=0.01, replicate=0.2)

    found = declared_spread(declared, LESS)

    assert found.standard_error(30, 5) ** 2 == pytest.approx(2 * (0.01 + 0.2 / 5) / 30)
    assert found.limits == (found.variance, found.variance)
