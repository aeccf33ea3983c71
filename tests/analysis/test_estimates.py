from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from penstock.analysis.estimates import estimate_condition
from tests.analysis.samples import sample_of


def test_a_mean_is_that_of_problem_means_however_many_runs_each_has() -> None:
    sample = sample_of({"plain": [[1.0, 3.0], [5.0], [2.0, None]]})

    found = estimate_condition(sample, 0, is_binary=False)

    means = [2.0, 5.0, 2.0]
    low, high = stats.t.interval(0.95, 2, np.mean(means), stats.sem(means))
    assert (found.mean, found.se) == pytest.approx((3.0, stats.sem(means)))
    assert found.t_interval is not None
    assert (found.t_interval.low, found.t_interval.high) == pytest.approx((low, high))
    assert (found.n_problems, found.n_runs) == (3, 4)


def test_a_share_has_wilsons_interval_with_as_many_runs_as_are_independent() -> None:
    sample = sample_of({"plain": [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]})

    found = estimate_condition(sample, 0, is_binary=True)

    assert found.wilson is not None
    assert found.interval == found.wilson
    n = found.wilson.effective_n
    wanted = proportion_confint(0.5 * n, n, method="wilson")
    assert (found.wilson.low, found.wilson.high) == pytest.approx(wanted)
    assert n < 8


def test_problems_that_do_not_differ_count_once_each_however_often_they_were_repeated() -> None:
    once = estimate_condition(sample_of({"plain": [[1.0]] * 10}), 0, is_binary=True)
    often = estimate_condition(sample_of({"plain": [[1.0] * 20] * 10}), 0, is_binary=True)

    assert once.wilson == often.wilson
    assert once.t_interval is None
    assert "all 10 runs came to 1" in once.undefined["t_interval"]


def test_pass_at_k_counts_any_and_pass_hat_k_all_of_k_answers() -> None:
    sample = sample_of({"plain": [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]})

    found = estimate_condition(sample, 0, is_binary=True)

    assert found.pass_at["1"] == pytest.approx(0.5)
    assert found.pass_at["2"] == pytest.approx((2 / 3 + 1) / 2)
    assert found.pass_hat["2"] == pytest.approx((0 + 1 / 3) / 2)
    assert set(found.pass_at) == {"1", "2", "3"}


def test_a_condition_of_which_all_runs_failed_says_so() -> None:
    found = estimate_condition(sample_of({"plain": [[None, None]] * 3}), 0, is_binary=False)

    assert found.mean is None
    assert found.undefined["mean"] == "all 6 runs failed."


def test_texts_have_shares() -> None:
    sample = sample_of({"plain": [["yes", "no"], ["yes", "yes"]]})

    found = estimate_condition(sample, 0, is_binary=False)

    assert found.shares == {"no": 0.25, "yes": 0.75}
    assert (found.n_problems, found.n_runs) == (2, 4)
    assert found.undefined["mean"] == "texts have no mean: no 25 %, yes 75 %"


def test_one_problem_alone_has_its_replicates_as_units() -> None:
    sample = sample_of({"plain": [[1.0, 2.0, 4.0]]})

    found = estimate_condition(sample, 0, is_binary=False)

    assert sample.unit == "replicate"
    assert found.se == pytest.approx(stats.sem([1.0, 2.0, 4.0]))
