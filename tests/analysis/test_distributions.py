from __future__ import annotations

from math import isfinite, sqrt

import numpy as np
import pytest
from scipy import stats

from penstock.analysis.distributions import (
    binomial_two_sided,
    dunnett_critical,
    dunnett_p,
    equivalence_power,
    hedges_factor,
    t_quantile,
    t_two_sided,
    two_sided_t_power,
)


def test_students_t_is_scipys() -> None:
    assert t_quantile(0.975, 11) == pytest.approx(stats.t.ppf(0.975, 11), rel=1e-12)
    assert t_two_sided(-2.5, 7) == pytest.approx(2 * stats.t.sf(2.5, 7), rel=1e-12)


def test_power_counts_both_tails() -> None:
    bound = stats.t.ppf(0.975, 11)
    wanted = stats.nct.sf(bound, 11, 0.4) + stats.nct.cdf(-bound, 11, 0.4)

    assert two_sided_t_power(0.4, 11) == pytest.approx(wanted, rel=1e-9)
    assert two_sided_t_power(0.0, 11) == pytest.approx(0.05)


@pytest.mark.parametrize("noncentrality", [20.0, 60.0, 400.0])
def test_power_of_a_large_effect_is_a_number(noncentrality: float) -> None:
    power = two_sided_t_power(noncentrality, 11)

    assert isfinite(power)
    assert power == pytest.approx(1.0)


def test_an_exact_binomial_is_scipys_and_no_trials_are_no_evidence() -> None:
    both, greater = binomial_two_sided(17, 24)

    assert both == pytest.approx(stats.binomtest(17, 24).pvalue)
    assert greater == pytest.approx(stats.binomtest(17, 24, alternative="greater").pvalue)
    assert binomial_two_sided(0, 0) == (1.0, 1.0)
    assert binomial_two_sided(0, 5)[1] == 1.0


def test_dunnett_with_one_comparison_is_students_t() -> None:
    assert dunnett_p(2.3, 1, 20) == pytest.approx(2 * stats.t.sf(2.3, 20), rel=1e-8)
    assert dunnett_critical(1, 20) == pytest.approx(stats.t.ppf(0.975, 20), rel=1e-8)


def test_dunnetts_critical_values_are_those_of_his_table() -> None:
    # C. W. Dunnett, Biometrics 20 (1964), table II: two-sided, 5 %, equal numbers.
    assert dunnett_critical(2, 20) == pytest.approx(2.38, abs=0.005)
    assert dunnett_critical(4, 60) == pytest.approx(2.51, abs=0.005)


def test_hedges_correction_tends_to_one() -> None:
    assert hedges_factor(11) == pytest.approx(0.9300, abs=2e-4)
    assert hedges_factor(10_000) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("delta", [0.5, 0.8])
def test_the_power_of_an_equivalence_is_what_simulated_tests_come_to(delta: float) -> None:
    rng = np.random.default_rng(3)
    differences = rng.normal(size=(40_000, 20))
    errors = differences.std(axis=1, ddof=1) / sqrt(20)
    bound = t_quantile(0.95, 19) * errors
    is_shown = np.abs(differences.mean(axis=1)) + bound < delta

    found = equivalence_power(delta * sqrt(20), 19)

    assert found == pytest.approx(float(is_shown.mean()), abs=0.01)
