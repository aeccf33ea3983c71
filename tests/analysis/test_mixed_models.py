"""Mixed models agree with other implementations, and exist or not where they should."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

from penstock.analysis.comparisons import halved
from penstock.analysis.contrasts import compare, contrast_of
from penstock.analysis.mixed_models import MixedModel, fit_mixed_model
from penstock.analysis.sample import Sample
from tests.analysis.samples import sample_of

RNG = np.random.default_rng(3)


def fitted(left: Any, right: Any) -> MixedModel | None:
    sample = sample_of({"right": right, "left": left})
    return fit_mixed_model(sample, {"x": halved(weights_of(sample))}).get("x")


def weights_of(sample: Sample) -> Any:
    return contrast_of(sample, "tone", "left", "right")


def test_a_mixed_model_of_balanced_data_has_the_error_and_the_df_of_the_paired_test() -> None:
    problems = RNG.normal(size=(1, 10, 1))
    values = problems + RNG.normal(size=(2, 10, 1)) / 2 + RNG.normal(size=(2, 10, 4)) / 4
    sample = sample_of({"right": values[0].tolist(), "left": values[1].tolist()})
    weights = weights_of(sample)

    found = fit_mixed_model(sample, {"x": halved(weights)})["x"]

    paired = compare(sample, "x", weights)
    assert (found.coefficient, found.df) == pytest.approx((paired.difference, paired.df))
    assert found.se == pytest.approx(paired.se, rel=1e-6)


def unbalanced() -> tuple[list[list[float]], list[list[float]]]:
    """Problems with a spread of their own, cells of one to four runs, some of them empty."""
    sides = []
    problems = RNG.normal(size=12)
    for shift, empty in ((0.4, {2}), (0.0, {5, 9})):
        cells = problems + shift + RNG.normal(size=12) / 2
        sides.append(
            [
                [] if at in empty else (cell + RNG.normal(size=1 + at % 4) / 3).tolist()
                for at, cell in enumerate(cells)
            ]
        )

    return sides[0], sides[1]


def test_unbalanced_data_have_the_likelihood_and_the_variances_of_statsmodels() -> None:
    left, right = unbalanced()
    rows = [
        (value, code, at)
        for code, side in ((0.5, left), (-0.5, right))
        for at, cell in enumerate(side)
        for value in cell
    ]
    values, codes, groups = map(np.array, zip(*rows, strict=True))
    cells = [
        np.column_stack([codes[groups == at] > 0, codes[groups == at] < 0]) for at in range(12)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = MixedLM(
            values,
            np.column_stack([np.ones(len(codes)), codes]),
            groups=groups,
            exog_re=np.ones((len(codes), 1)),
            exog_vc=VCSpec(["cell"], [[["left", "right"]] * 12], [cells]),
        ).fit(reml=True, method="bfgs", gtol=1e-10)

    found = fitted(left, right)

    assert found is not None
    assert found.log_likelihood == pytest.approx(theirs.llf, abs=1e-8)
    assert found.coefficient == pytest.approx(theirs.params[1], rel=1e-5)
    variances = (found.problem, found.problem_condition, found.replicate)
    assert variances == pytest.approx(
        (theirs.cov_re[0, 0], theirs.vcomp[0], theirs.scale), rel=1e-4
    )


def test_missing_cells_cost_degrees_of_freedom_and_widen_the_error() -> None:
    found = fitted(*unbalanced())

    assert found is not None
    assert 6 < found.df < 12
    assert found.adjusted_se > found.se


REPEATING = [[0.2] * 3, [0.4] * 3, [0.5] * 3, [0.9] * 3]


@pytest.mark.parametrize("replicates", [1, 3])
def test_replicates_that_are_one_or_repeat_each_other_give_the_paired_test(replicates: int) -> None:
    left = [[0.3] * replicates, [0.6] * replicates, [0.5] * replicates, [1.3] * replicates]
    right = [cell[:replicates] for cell in REPEATING]

    found = fitted(left, right)

    sample = sample_of({"right": right, "left": left})
    paired = compare(sample, "x", weights_of(sample))
    assert found is not None
    assert (found.se, found.p, found.df) == pytest.approx((paired.se, paired.p_t, 3))
    known = (found.problem_condition, found.replicate)
    assert [each is None for each in known] == ([True, False] if replicates == 1 else [False, True])


UNDEFINED = {
    "nothing varies": ([[1.0] * 2] * 4, [[1.0] * 2] * 4),
    "a constant difference": ([[0.3], [0.4], [0.7]], [[0.1], [0.2], [0.5]]),
    "no difference at all": (REPEATING, REPEATING),
    "one side failed": ([[None] * 2] * 4, [[0.1, 0.2]] * 4),
    "all failed": ([[None]] * 4, [[None]] * 4),
    "one problem": ([[0.1, 0.3]], [[0.4, 0.9]]),
}


@pytest.mark.parametrize("case", UNDEFINED)
def test_where_there_is_nothing_to_fit_there_is_no_model(case: str) -> None:
    assert fitted(*UNDEFINED[case]) is None


@pytest.mark.parametrize("seed", range(8))
def test_a_variance_of_zero_is_found_and_is_no_fault(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 2, size=(2, 24, 4)).astype(float)

    found = fitted(noise[0].tolist(), noise[1].tolist())

    assert found is not None
    assert found.problem >= 0
    assert 0 < found.p <= 1
    assert np.isfinite([found.se, found.adjusted_se, found.df, found.log_likelihood]).all()
