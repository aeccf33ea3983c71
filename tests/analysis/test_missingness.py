from __future__ import annotations

import pytest

from penstock.analysis.contrasts import contrast_of
from penstock.analysis.missingness import bounds_of, flow_of, missing_by_condition
from tests.analysis.samples import sample_of

TABLE: dict[str, list[list[float | None]]] = {
    "right": [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
    "left": [[1.0, None], [None, None], [1.0, 1.0], [1.0, 1.0]],
}


def test_the_flow_counts_what_became_of_each_conditions_runs() -> None:
    right, left = flow_of(sample_of(TABLE))

    assert (right.planned, right.failed, right.scored) == (8, 0, 8)
    assert (left.planned, left.failed, left.scored) == (8, 3, 5)
    assert left.failures == {"RuntimeError": 3}


def test_whether_runs_are_missing_by_condition_is_tested_by_problem() -> None:
    sample = sample_of(TABLE)

    found = missing_by_condition(sample, contrast_of(sample, "tone", "left", "right"), "left-right")

    assert found is not None
    assert found.contrast.difference == pytest.approx((0.5 + 1.0) / 4)
    assert found.contrast.n_problems == 4


def test_nothing_is_tested_where_nothing_is_missing() -> None:
    sample = sample_of({"right": TABLE["right"], "left": TABLE["right"]})
    weights = contrast_of(sample, "tone", "left", "right")

    assert missing_by_condition(sample, weights, "x") is None
    assert bounds_of(sample, weights) is None


def test_failed_runs_bound_a_difference_of_shares() -> None:
    sample = sample_of(TABLE)

    found = bounds_of(sample, contrast_of(sample, "tone", "left", "right"))

    assert found is not None
    assert found.worst == pytest.approx(5 / 8 - 4 / 8)
    assert found.best == pytest.approx(8 / 8 - 4 / 8)
    assert (found.manski_low, found.manski_high) == pytest.approx((5 / 8 - 0.5, 1 - 0.5))
