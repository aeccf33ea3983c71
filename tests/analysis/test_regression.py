from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from penstock.analysis.comparisons import codes_of, halved
from penstock.analysis.contrasts import compare, contrast_of
from penstock.analysis.estimating_equations import fit_estimating_equation
from penstock.analysis.regression import regress
from tests.analysis.samples import crossed, sample_of

RNG = np.random.default_rng(3)


def test_balanced_data_give_the_paired_t_test_again() -> None:
    values = RNG.normal(size=(2, 9, 3))
    sample = sample_of({"right": values[0].tolist(), "left": values[1].tolist()})
    weights = contrast_of(sample, "tone", "left", "right")

    found = regress(sample, {"x": halved(weights)})["x"]

    paired = compare(sample, "x", weights)
    assert found.coefficient == pytest.approx(paired.difference)
    for error in (found.cr1, found.cr2):
        assert (error.se, error.p) == pytest.approx((paired.se, paired.p_t))

    assert found.cr2.df == pytest.approx(8)


def test_unbalanced_data_have_the_clustered_error_of_statsmodels_without_its_dummies() -> None:
    left = [RNG.normal(size=n).tolist() for n in (1, 3, 2, 4, 2)]
    right = [RNG.normal(size=n).tolist() for n in (2, 1, 3, 2, 4)]
    sample = sample_of({"right": right, "left": left})

    found = regress(sample, {"x": halved(contrast_of(sample, "tone", "left", "right"))})["x"]

    y, side, problem = [], [], []
    for code, cells in ((-0.5, right), (0.5, left)):
        for at, cell in enumerate(cells):
            y += cell
            side += [code] * len(cell)
            problem += [at] * len(cell)

    dummies = np.eye(5)[problem]
    fitted = sm.OLS(np.array(y), np.column_stack([side, dummies])).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(problem), "use_correction": False}
    )
    assert found.coefficient == pytest.approx(fitted.params[0])
    assert found.cr1.se == pytest.approx(fitted.bse[0] * np.sqrt(5 / 4))
    assert found.cr1.p == pytest.approx(2 * stats.t.sf(abs(found.coefficient / found.cr1.se), 4))


def test_effects_of_two_factors_are_differences_and_a_difference_of_differences() -> None:
    cells = {(a, b): RNG.normal(size=(6, 2)).tolist() for a in ("a0", "a1") for b in ("b0", "b1")}
    sample = crossed(cells)
    baselines = {"a": "a0", "b": "b0"}

    found = regress(sample, {name: codes_of(sample, name, baselines) for name in ("a", "b", "a:b")})

    mean = {levels: np.mean(values) for levels, values in cells.items()}
    interaction = (mean["a1", "b1"] - mean["a0", "b1"]) - (mean["a1", "b0"] - mean["a0", "b0"])
    assert found["a:b"].coefficient == pytest.approx(interaction)


def test_effects_that_cannot_be_told_apart_have_no_regression() -> None:
    sample = sample_of({"right": [[0.1], [0.2]], "left": [[0.3], [0.5]]})
    weights = halved(contrast_of(sample, "tone", "left", "right"))

    assert regress(sample, {"x": weights, "again": weights}) == {}
    assert regress(sample_of({"right": [[1.0]] * 3, "left": [[1.0]] * 3}), {"x": weights}) == {}


def test_an_estimating_equation_of_shares_is_the_log_odds_ratio() -> None:
    left, right = [[1], [1], [1], [0]], [[0], [1], [0], [0]]
    sample = sample_of({"right": right, "left": left})

    found = fit_estimating_equation(
        sample, {"x": halved(contrast_of(sample, "tone", "left", "right"))}
    )["x"]

    assert found.coefficient == pytest.approx(np.log(9))
    always = sample_of({"right": [[1]] * 4, "left": left})
    weights = halved(contrast_of(always, "tone", "left", "right"))
    assert fit_estimating_equation(always, {"x": weights}) == {}


@pytest.mark.parametrize("values", [[[1, 1], [0, 0]], [[1] * 5, [0] * 5]])
def test_an_estimating_equation_never_has_an_error_that_is_not_a_number(
    values: list[list[float]],
) -> None:
    sample = sample_of({"right": values, "left": values})
    weights = halved(contrast_of(sample, "tone", "left", "right"))

    found = fit_estimating_equation(sample, {"x": weights})

    assert all(np.isfinite([each.coefficient, each.se, each.p]).all() for each in found.values())
