from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

import penstock as ps
from penstock.analysis.comparisons import halved
from penstock.analysis.contrasts import Weights, compare, contrast_of
from penstock.analysis.covariates import columns_of, covariates_of, independent
from penstock.analysis.estimating_equations import fit_estimating_equation
from penstock.analysis.mixed_models import fit_mixed_model
from penstock.analysis.regression import regress
from penstock.analysis.sample import Sample, arrange
from penstock.study.hypotheses import AnalysisPlan
from tests.analysis.test_analyze import analysed, hypothesis, study_of

RNG = np.random.default_rng(11)
PROBLEMS, REPLICATES = 8, 3


def sample_with(covariates: Sequence[Any], values: Sequence[float], source: str = "run") -> Sample:
    """Two tones x problems x replicates; a value and a covariate for each run, in that order."""
    shape = ((tone, p, r) for tone in ("right", "left") for p in range(PROBLEMS) for r in range(3))
    rows = [
        {
            "condition_id": tone,
            "agent_id": "a",
            "problem_id": f"p{problem}",
            "replicate": replicate,
            "status": "success",
            "value": value,
            "covariates": {"length": (source, covariate)},
        }
        for (tone, problem, replicate), value, covariate in zip(
            shape, values, covariates, strict=True
        )
    ]
    return arrange({"right": {"tone": "right"}, "left": {"tone": "left"}}, rows)


RUNS = 2 * PROBLEMS * REPLICATES
LENGTHS = (RNG.normal(size=RUNS) * 100 + 400 + np.repeat([0, 80], RUNS // 2)).tolist()
VALUES = (np.array(LENGTHS) / 200 + RNG.normal(size=RUNS)).tolist()
DESIGN = np.column_stack(
    [
        np.repeat([-0.5, 0.5], RUNS // 2),
        LENGTHS,
        np.eye(PROBLEMS)[np.tile(np.repeat(np.arange(PROBLEMS), REPLICATES), 2)],
    ]
)
SIDES: dict[str, Weights] = {"x": {0: -0.5, 1: 0.5}}


def test_a_covariate_of_the_run_enters_the_regression_as_it_does_in_statsmodels() -> None:
    sample = sample_with(LENGTHS, VALUES)

    found = regress(sample, SIDES, columns_of(sample))["x"]

    groups = DESIGN[:, 2:].argmax(axis=1)
    fitted = sm.OLS(np.array(VALUES), DESIGN).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
    )
    assert found.coefficient == pytest.approx(fitted.params[0])
    assert found.covariates["length"].coefficient == pytest.approx(fitted.params[1])
    assert found.cr1.se == pytest.approx(fitted.bse[0] * np.sqrt(PROBLEMS / (PROBLEMS - 1)))
    assert found.interval.low < found.coefficient < found.interval.high
    assert found.n_runs == RUNS


def test_texts_enter_as_one_column_for_each_but_the_first() -> None:
    kinds = ["short", "long", "huge"] * (RUNS // 3)
    sample = sample_with(kinds, VALUES)

    found = regress(sample, SIDES, columns_of(sample))["x"]

    design = np.column_stack(
        [DESIGN[:, 0], *(np.array(kinds) == text for text in ("long", "huge")), DESIGN[:, 2:]]
    )
    fitted = sm.OLS(np.array(VALUES), design).fit()
    assert [*found.covariates] == ["length=long", "length=huge"]
    assert found.coefficient == pytest.approx(fitted.params[0])
    assert found.covariates["length=huge"].coefficient == pytest.approx(fitted.params[2])


def test_a_field_of_problems_that_is_written_as_a_number_is_one_and_an_empty_one_is_missing() -> (
    None
):
    sizes = [("1.5", "20", "")[run // REPLICATES % 3] for run in range(RUNS)]

    (size,) = covariates_of(sample_with(sizes, VALUES, "problem"))
    (level,) = covariates_of(sample_with(sizes, VALUES, "varied"))

    assert (size.columns, size.n_missing) == (("length",), sizes.count(""))
    assert set(columns_of(sample_with(sizes, VALUES, "problem")).cell(0, 0, 3)[:, 0]) == {1.5}
    assert (level.columns, level.n_missing) == (("length=20", "length="), 0)


def test_what_is_the_same_within_a_problem_is_held_fixed_by_the_pairing_and_enters_the_others() -> (
    None
):
    sizes = np.tile(np.repeat(RNG.normal(size=PROBLEMS), REPLICATES), 2)
    others = np.tile(np.repeat(RNG.normal(size=PROBLEMS), REPLICATES), 2)
    values = (np.array(VALUES) + 3 * sizes + others).tolist()
    sample = sample_with(sizes.tolist(), values, source="problem")
    plain = regress(sample, SIDES)["x"]

    found = regress(sample, SIDES, columns_of(sample))["x"]
    mixed = fit_mixed_model(sample, SIDES, columns_of(sample))["x"]

    assert found == plain
    assert "holds it fixed" in covariates_of(sample)[0].note
    assert mixed.covariates == ("length",)
    assert mixed.problem < fit_mixed_model(sample, SIDES)["x"].problem


def test_a_mixed_model_is_adjusted_for_what_differs_within_a_cell() -> None:
    sample = sample_with(LENGTHS, VALUES)

    found = fit_mixed_model(sample, SIDES, columns_of(sample))["x"]

    # The same at those variances, with a row and a column for each run.
    assert found.problem_condition is not None
    assert found.replicate is not None
    cells = np.kron(np.eye(2 * PROBLEMS), np.ones((REPLICATES, 1)))
    covariance = found.replicate * np.eye(RUNS) + found.problem_condition * cells @ cells.T
    covariance += found.problem * DESIGN[:, 2:] @ DESIGN[:, 2:].T
    lengths = (np.array(LENGTHS) - np.mean(LENGTHS)) / np.std(LENGTHS)
    exog = np.column_stack([np.ones(RUNS), DESIGN[:, 0], lengths])
    information = exog.T @ np.linalg.solve(covariance, exog)
    values = np.array(VALUES)
    coefficients = np.linalg.solve(information, exog.T @ np.linalg.solve(covariance, values))
    rest = values - exog @ coefficients
    likelihood = -0.5 * (
        np.linalg.slogdet(covariance)[1]
        + np.linalg.slogdet(information)[1]
        + rest @ np.linalg.solve(covariance, rest)
        + (RUNS - 3) * np.log(2 * np.pi)
    )
    assert found.coefficient == pytest.approx(coefficients[1])
    assert found.se == pytest.approx(np.sqrt(np.linalg.inv(information)[1, 1]))
    assert found.log_likelihood == pytest.approx(likelihood)


def test_runs_without_a_value_are_left_out_and_counted() -> None:
    lengths = [None, *LENGTHS[1:]]
    sample = sample_with(lengths, VALUES)

    found = regress(sample, SIDES, columns_of(sample))["x"]

    fitted = sm.OLS(np.array(VALUES[1:]), DESIGN[1:]).fit()
    assert found.coefficient == pytest.approx(fitted.params[0])
    assert found.n_runs == RUNS - 1
    assert covariates_of(sample)[0].n_missing == 1


def test_an_estimating_equation_is_adjusted_as_statsmodels_adjusts_it() -> None:
    rights = (np.array(VALUES) > np.median(VALUES)).astype(float)
    rights[::5] = 1 - rights[::5]
    sample = sample_with(LENGTHS, rights.tolist())

    found = fit_estimating_equation(sample, SIDES, columns_of(sample))["x"]

    groups = DESIGN[:, 2:].argmax(axis=1)
    order = np.argsort(groups, kind="stable")
    exog = np.column_stack([np.ones(RUNS), DESIGN[:, :2]])
    exog[:, 2] = (exog[:, 2] - exog[:, 2].mean()) / exog[:, 2].std()
    fitted = sm.GEE(
        rights[order],
        exog[order],
        groups=groups[order],
        family=sm.families.Binomial(),
        cov_struct=sm.cov_struct.Exchangeable(),
    ).fit(maxiter=200, ctol=1e-12)
    assert found.coefficient == pytest.approx(fitted.params[1], rel=1e-6)
    assert found.covariates == ("length",)


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ([None] * RUNS, "no run has a value of it"),
        ([4] * RUNS, "it is the same in every run"),
        ([f"text {at}" for at in range(RUNS)], f"it has {RUNS} texts"),
        ([[1]] * RUNS, "no run has a value of it"),
    ],
)
def test_what_cannot_be_a_covariate_says_why(values: list[Any], note: str) -> None:
    sample = sample_with(values, VALUES)

    (covariate,) = covariates_of(sample)

    assert note in covariate.note
    assert covariate.columns == ()
    assert regress(sample, SIDES, columns_of(sample)) == regress(sample, SIDES)


def test_columns_that_follow_from_others_are_not_taken_twice() -> None:
    first = RNG.normal(size=20)
    columns = np.column_stack([first, 2 * first, RNG.normal(size=20) * 1e9, np.zeros(20)])

    assert independent(columns[:, :1], columns[:, 1:]) == [1]
    assert independent(np.empty((20, 0)), columns) == [0, 2]


def test_an_interaction_is_coded_as_a_difference_of_differences() -> None:
    weights = {0: 1.0, 1: -1.0, 2: -1.0, 3: 1.0}

    assert halved(weights) == {0: 0.25, 1: -0.25, 2: -0.25, 3: 0.25}
    sample = sample_with([0.0] * RUNS, VALUES)
    of_two = contrast_of(sample, "tone", "left", "right")
    assert regress(sample, {"x": halved(of_two)})["x"].coefficient == pytest.approx(
        compare(sample, "x", of_two).difference
    )


async def talks(ctx: Any) -> str:
    at = int(ctx.problem.problem_id[1:])
    is_polite = ctx.condition["tone"] == "polite"
    ctx.record(score=at / 10 + 0.1 * is_polite + ctx.rng.normal() / 50, words=at + 3 * is_polite)
    return "x"


def test_a_plan_s_covariates_stand_in_the_analysis_and_in_the_report(tmp_path: Path) -> None:
    plan = AnalysisPlan(
        analysis_plan_id="main",
        hypothesis_ids=("h1",),
        tests=("difference",),
        covariates=("words", "size"),
    )
    study = study_of(
        tmp_path,
        hypotheses=(hypothesis(),),
        analysis_plans=(plan,),
        problems=tuple(
            ps.Problem(problem_id=f"p{at}", payload={"size": at % 3}) for at in range(8)
        ),
    )

    found = analysed(study, talks)

    words, size = found.outcomes["score"].covariates
    assert (words.source, size.source) == ("run", "problem")
    assert "may carry part of what a condition does" in words.note
    assert [*found.outcomes["score"].regressions["polite-plain"].covariates] == []
    page = (tmp_path / "results" / "report.html").read_text()
    assert "Covariate words" in page
